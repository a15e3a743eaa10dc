"""The example: its parts, and a training of a few steps."""

import doctest
import sys
import time

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("sklearn")
pytest.importorskip("pycocotools")
pytest.importorskip("typer")

import torch
import typer
from sklearn.datasets import load_digits, load_sample_images

import roipool
from examples.fast_rcnn import boxes, scenes
from examples.fast_rcnn.__main__ import main
from examples.fast_rcnn.boxes import decode, encode, iou, suppressed
from examples.fast_rcnn.evaluation import DIGITS, Detections, average_precision, detect
from examples.fast_rcnn.model import CLASSES, losses
from examples.fast_rcnn.pooling import RoIOp, Timed
from examples.fast_rcnn.proposals import windows
from examples.fast_rcnn.sampling import PER_SCENE, batch, sample
from examples.fast_rcnn.scenes import SIDE, Scene, scene
from examples.fast_rcnn.training import train


@pytest.fixture(autouse=True)
def _torch_as_before():
    threads, deterministic = torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()
    yield
    torch.set_num_threads(threads)
    torch.use_deterministic_algorithms(deterministic)


def random_boxes(count):
    first, size = np.random.default_rng(count).uniform(1, 60, (2, count, 2))
    return np.concatenate([first, first + size - 1], axis=1)


@pytest.mark.parametrize("module", [boxes, scenes], ids=["boxes", "scenes"])
def test_docstrings(module):
    results = doctest.testmod(module)
    assert results.attempted > 0
    assert results.failed == 0


def test_a_scene_depends_on_its_split_seed_and_number_alone():
    first = scene("train", 0, 1)
    for other in (scene("train", 0, 2), scene("train", 1, 1), scene("test", 0, 1)):
        assert not np.array_equal(first.image, other.image)
    again = scene("train", 0, 1)
    for name in ("image", "boxes", "labels"):
        assert np.array_equal(getattr(again, name), getattr(first, name))


def test_training_and_test_share_no_digit_and_no_pixel():
    whole = load_digits()
    kept, trained = scenes.digits("test"), scenes.digits("train")
    assert np.array_equal(np.concatenate([trained[0], kept[0]]) * 16, whole.images)
    assert np.array_equal(np.concatenate([trained[1], kept[1]]), whole.target)
    for i, photo in enumerate(load_sample_images().images):
        halves = scenes.photographs("test")[i], scenes.photographs("train")[i]
        assert np.array_equal(np.concatenate(halves, axis=1), photo)


def test_digits_lie_apart_and_inside():
    for i in range(30):
        drawn = scene("test", 0, i)
        assert len(drawn.boxes) == len(drawn.labels) >= 1
        assert drawn.boxes.min() >= 0
        assert drawn.boxes.max() <= SIDE - 1
        assert np.array_equal(iou(drawn.boxes, drawn.boxes) > 0, np.eye(len(drawn.boxes)))


def test_proposals_cover_the_digits():
    rng = np.random.default_rng(0)
    proposals = [windows(rng) for _ in range(60)]
    assert {each.shape for each in proposals} == {proposals[0].shape}
    assert not np.array_equal(proposals[0], proposals[1])
    assert min(each.min() for each in proposals) >= 0
    assert max(each.max() for each in proposals) <= SIDE - 1
    best = [iou(each, scene("test", 0, i).boxes).max(axis=0) for i, each in enumerate(proposals)]
    assert np.mean(np.concatenate(best) >= 0.5) > 0.98


def test_iou_counts_pixels():
    several = np.array([[0, 0, 9, 9], [5, 0, 14, 9], [10, 0, 12, 9], [3, 3, 3, 3]])
    assert iou(several[:1], several) == pytest.approx(np.array([[1, 50 / 150, 0, 1 / 100]]))


def test_decode_undoes_encode():
    objects, proposals = random_boxes(50), random_boxes(51)[:50]
    offsets = encode(objects, proposals)
    assert decode(offsets, proposals) == pytest.approx(objects)
    assert encode(objects, objects) == pytest.approx(np.zeros((50, 4)))
    # A box of twice the width, one width to the right: (1, 0, log 2, 0), over the spread.
    one = encode(np.array([[5.0, 0, 24, 9]]), np.array([[0.0, 0, 9, 9]]))
    assert one == pytest.approx(np.array([[10, 0, np.log(2) / 0.2, 0]]))


def test_suppression_keeps_the_best_of_those_that_overlap():
    found = random_boxes(60)
    scores = np.random.default_rng(0).permutation(60) / 60
    kept = suppressed(found, scores, 0.3)
    assert (np.diff(scores[kept]) < 0).all()
    overlaps = iou(found, found[kept]) > 0.3
    for i in range(60):
        better = overlaps[i] & (scores[kept] > scores[i])
        assert better.any() == (i not in kept)


def test_a_quarter_is_objects_and_the_rest_near_them():
    rng = np.random.default_rng(0)
    for i in range(5):
        drawn, proposals = scene("train", 0, i), windows(rng)
        taken = sample(drawn, proposals, rng)
        candidates = (iou(proposals, drawn.boxes).max(axis=1) >= 0.5).sum() + len(drawn.boxes)
        overlap = iou(taken.regions, drawn.boxes)
        best, nearest = overlap.max(axis=1), overlap.argmax(axis=1)
        objects = taken.labels > 0
        assert len(taken.regions) == PER_SCENE
        assert objects.sum() == min(PER_SCENE // 4, candidates)
        assert best[objects].min() >= 0.5
        assert best[~objects].min() >= 0.1
        assert best[~objects].max() < 0.5
        assert np.array_equal(taken.labels[objects], drawn.labels[nearest[objects]] + 1)
        moved = decode(taken.offsets[objects], taken.regions[objects])
        assert moved == pytest.approx(drawn.boxes[nearest[objects]], abs=1e-3)
        assert not taken.offsets[~objects].any()


def test_losses_are_the_papers():
    offsets = torch.zeros(3, CLASSES, 4)
    offsets[1, 5] = torch.tensor([0.5, -0.5, 3.0, 0.0])
    labels = torch.tensor([0, 5, 0])
    of_classes, of_boxes = losses(torch.zeros(3, CLASSES), offsets, labels, torch.zeros(3, 4))
    assert of_classes.item() == pytest.approx(np.log(CLASSES))
    assert of_boxes.item() == pytest.approx((0.125 + 0.125 + 2.5) / 3)
    _, of_background = losses(torch.zeros(3, CLASSES), offsets, labels * 0, torch.ones(3, 4))
    assert of_background.item() == 0


def test_training_repeats_itself_and_learns():
    torch.set_num_threads(1)
    first, again = (train(roipool.roi_pool, seed=3, steps=30) for _ in range(2))
    assert np.array_equal(first.losses, again.losses)
    total = first.losses.sum(axis=1)
    assert total[-8:].mean() < 0.85 * total[:8].mean()
    assert 0 < first.seconds.roi_pool < first.seconds.all
    assert not np.array_equal(first.losses[:1], train(roipool.roi_pool, 4, 1).losses)


def test_batches_number_their_images():
    two = batch(0, 0)
    assert two.images.shape == (2, 3, SIDE, SIDE)
    assert np.array_equal(two.rois[:, 0], np.repeat([0, 1], PER_SCENE))
    assert two.images.dtype == np.uint8
    assert two.rois.dtype == two.offsets.dtype == np.float32


class Sleepy(torch.autograd.Function):
    """10 ms forward, 20 backward."""

    @staticmethod
    def forward(ctx, data):
        time.sleep(0.01)
        return data * 2

    @staticmethod
    def backward(ctx, grad):
        time.sleep(0.02)
        return grad * 2


def test_only_the_operator_is_timed():
    timed = Timed(lambda data, rois, size, scale: Sleepy.apply(data))
    data = torch.ones(3, requires_grad=True)
    slow = Sleepy.apply(timed(Sleepy.apply(data), data, (1, 1), 1.0))
    assert 0.01 <= timed.seconds < 0.03
    slow.sum().backward()
    assert 0.03 <= timed.seconds < 0.07
    assert data.grad.tolist() == [8, 8, 8]


def test_average_precision_is_cocos():
    drawn = Scene(
        np.zeros((SIDE, SIDE, 3), np.uint8),
        np.array([[0, 0, 19, 19], [50, 50, 89, 89]], np.float32),
        np.array([7, 7]),
    )

    def precision(*found):
        columns = (np.array(column) for column in zip(*found, strict=True))
        return average_precision([drawn], [Detections(*columns)])[7]

    first, second = drawn.boxes
    right, also_right, wrong = (first, 7, 0.9), (second, 7, 0.8), (first + 100, 7, 0.95)
    assert precision(right, also_right) == 1
    assert precision(right) == pytest.approx(51 / 101)
    assert precision(right, wrong) == pytest.approx(51 / 101 / 2)
    assert precision((first, 3, 0.9)) == 0
    assert precision((first + np.array([8, 0, 8, 0]), 7, 0.9)) == 0  # IoU 12 / 28
    assert np.isnan(average_precision([drawn], [Detections(*np.zeros((3, 0)))])).sum() == DIGITS - 1


def test_a_network_that_knows_finds_everything():
    def knows(image, proposals):
        overlap = iou(proposals, drawn.boxes)
        nearest, best = overlap.argmax(axis=1), overlap.max(axis=1)
        probabilities = np.zeros((len(proposals), CLASSES))
        probabilities[np.arange(len(proposals)), drawn.labels[nearest] + 1] = best >= 0.5
        offsets = encode(drawn.boxes[nearest], proposals)
        return probabilities, np.repeat(offsets[:, None], CLASSES, axis=1)

    drawn = scene("test", 0, 1)
    found = detect(knows, drawn, seed=0, index=1)
    assert found.labels.tolist() == sorted(drawn.labels)
    assert iou(found.boxes, drawn.boxes).max(axis=0).min() > 0.99


def test_the_command_fails_below_what_is_expected(tmp_path, capsys):
    with pytest.raises(SystemExit, match=r"^1$"):
        main(steps=2, test_scenes=2, threads=1, output=tmp_path)
    assert "below 0.8" in capsys.readouterr().out
    written = {path.name: path.stat().st_size for path in tmp_path.iterdir()}
    assert set(written) == {"detections.png", "figures.json", "losses.csv", "losses.png"}
    curve = np.loadtxt(tmp_path / "losses.csv", delimiter=",", skiprows=1)
    assert np.array_equal(curve, train(roipool.roi_pool, 0, 2).losses)


def test_a_missing_torchvision_is_told(monkeypatch):
    monkeypatch.setitem(sys.modules, "torchvision", None)
    with pytest.raises(typer.BadParameter, match=r"needs torchvision.*pip install torchvision"):
        main(roi_op=RoIOp.TORCHVISION)
