"""The other operators explained: weights, winners and planes that give the operator's values."""

import numpy as np
import pytest
from matplotlib.patches import Polygon

import roipool
from cases import normal_maps
from roipool.command.axis import window
from roipool.command.explain import explain
from roipool.command.explanations import EXPLAINED
from roipool.command.explanations.largest import Largest
from roipool.command.features import Features
from roipool.command.operators import choose
from roipool.command.picture import draw, save_picture
from roipool.command.sketch import sketch
from roipool.descriptions import OPERATORS

SCALE, SIZE = 0.7, (2, 2)
COUNTED = np.arange(48, dtype=np.float32).reshape(1, 1, 8, 6)
SEED = Features(COUNTED, "x.npy", ())
HUNDREDS = Features(np.concatenate([COUNTED + 100 * k for k in range(8)], axis=1), "ps.npy", ())
MAPS = Features(normal_maps(np.random.default_rng(0), (2, 8, 23, 31)), "map.npy", ())
CORNERS = [
    (2, 2, 6, 6),
    (-3, 2, 3, 50),
    (9, 30, 4, 11),
    (10, 12, 10, 25),
    (400, 500, 420, 520),
    (-20, -30, 90, 70),
]
OPTIONS = [
    ("roi_pool_avg", {}),
    ("roi_align_max", {"sampling_ratio": 2}),
    ("roi_align_max", {"aligned": False}),
    ("roi_align_onnx_max", {}),
    ("roi_align_rotated", {}),
    ("roi_align_rotated", {"clockwise": True, "sampling_ratio": 3, "aligned": False}),
    ("ps_roi_pool", {}),
    ("ps_roi_pool", {"convention": "torchvision"}),
    ("ps_roi_align", {"sampling_ratio": 1}),
    ("prroi_pool", {}),
    ("crop_and_resize", {"extrapolation_value": 7.5}),
    ("crop_and_resize", {"method": "nearest"}),
]
ONCE = [OPTIONS[i] for i in (0, 1, 4, 7, 8, 9, 10)]


def row_of(name, corners, shape=(8, 6), scale=SCALE):
    """A row of the operator of corners in the image."""
    x1, y1, x2, y2 = corners
    if name == "roi_align_rotated":
        return (0, (x1 + x2) / 2, (y1 + y2) / 2, abs(x2 - x1), abs(y2 - y1), 0.4)
    if name == "crop_and_resize":
        height, width = (scale / (side - 1) for side in shape)
        return (0, y1 * height, x1 * width, y2 * height, x2 * width)
    return (0, *corners)


def explained(name, corners, features=MAPS, options=None, size=SIZE, channel=0, asked=None):
    chosen = choose(name, options or {})
    row = row_of(name, corners, features.maps.shape[2:])
    scale = SCALE if chosen.operator.rows.scaled else 1.0
    return explain(features, row, size, scale, channel, chosen, asked), np.array([row])


def pooled(name, features, row, size, options):
    """By the public function."""
    operator = OPERATORS[name]
    function = getattr(roipool, operator.function or name)
    scale = (SCALE,) if operator.rows.scaled else ()
    return function(features.maps, row, size, *scale, **operator.fixed, **options)


def test_every_operator_is_explained():
    assert set(EXPLAINED) == set(OPERATORS)


@pytest.mark.parametrize(("name", "options"), OPTIONS, ids=str)
def test_what_is_shown_gives_the_operators_values(name, options):
    for corners in CORNERS:
        found, row = explained(name, corners, options=options, channel=1)
        values = pooled(name, MAPS, row, SIZE, options)
        np.testing.assert_array_equal(found.values, values[0, 1])
        fill = options.get("extrapolation_value", 0)
        for (i, j), value in np.ndenumerate(found.values):
            plane = found.plane if found.planes is None else found.planes.maps[i, j]
            total = sum(weight * float(plane[y, x]) for y, x, weight in found.weights_of(i, j))
            expected = fill if found.is_empty(i, j) else total
            assert value == pytest.approx(expected, rel=1e-4, abs=1e-5)
            for y, x, _ in found.weights_of(i, j):
                assert (i, j) in found.bins_at(y, x)
        tint = found.spread(np.ones(SIZE), range(0, 23, 2), range(1, 31, 3))
        every = np.zeros((23, 31))
        for bin in np.ndindex(*SIZE):
            for y, x, weight in found.weights_of(*bin):
                every[y, x] += weight
        np.testing.assert_allclose(tint, every[::2, 1::3], rtol=1e-5, atol=1e-9)


LINES = {
    ("roi_pool_avg", ()): [
        "Region 2 2 6 6 at scale 0.7: columns 1 to 4, rows 1 to 4",
        "   10.5   12.5\n   22.5   24.5\n",
        "x: 2 → 1.4 → 1, 6 → 4.2 → 4: 4 pixels in 2 bins of step 2.0",
        "y bin 1: pixel 3 × 0.5 + pixel 4 × 0.5",
    ],
    ("roi_align_max", ()): [
        "    2   └  1┌   12  [13] [14] [15] [16]  17",
        "[ ] read by a bin's largest sample",
        "x bin 1: samples at 2.65, 3.35\n",
        "bin 0 0: the largest sample is at x 1.95, y 1.95: 0.0025 × 7 + 0.0475 × 8 + 0.0475 × 13 + "
        "0.902 × 14 = 13.65",
    ],
    ("roi_align_onnx_max", ()): [
        "bin 0 0: the largest pixel's share is of the sample at x 1.95, y 1.95: 0.902 × 14 = 12.63",
        "compared are the four pixels around each sample, each times its weight",
    ],
    ("roi_align_rotated", ()): [
        "Region 4 4 4 4 0.4 at scale 0.7: columns 0.465329 to 4.13467, rows 0.465329 to 4.13467",
        "x: centre 4 → 2.8 → 2.3; width 4 → 2.8: 2 bins of 1.4, 2 samples each",
        "turned counter-clockwise by 0.4 radians, 22.92 degrees",
        "a letter per bin   + in several bins",
        "nothing is rounded; the box turns on its centre",
    ],
    ("ps_roi_pool", ()): [
        "ps.npy, image 0, channels 4 to 7, ps_roi_pool, convention rfcn",
        "bin 0 1, of channel 5\n",
        "    1  0┌   506   507   508   509   510   511",
        "x: 2 → 2 → 1.4, 6 → 7 → 4.9: 3.5 in 2 bins of 1.75",
        "x bin 1: pixel 3 × 0.5 + pixel 4 × 0.5",
        "bin 0 0 channel 4, bin 0 1 channel 5, bin 1 0 channel 6, bin 1 1 channel 7",
        "   414   516\n   623   724\n",
    ],
    ("ps_roi_pool", ("torchvision", (0, 1))): [
        "ps.npy, image 0, channel 5, ps_roi_pool, convention torchvision",
        "x: 2 → 1.4 → 1, 6 → 4.2 → 4: 3 in 2 bins of 1.5",
        "bin 0 1: 0.5 × 0.5 × 508 + 0.5 × 0.5 × 509 + 0.5 × 0.5 × 514 + 0.5 × 0.5 × 515 = 511.5",
        "last row and column are never read",
    ],
    ("ps_roi_align", ()): [
        "ps_roi_align, sampling ratio 0",
        "x bin 0: samples at 1.25, 1.95: pixel 1 × 0.4 + pixel 2 × 0.6",
    ],
    ("prroi_pool", ()): [
        "x: 2 → 1.4, 6 → 4.2: 2.8 in 2 bins of 1.4",
        "x bin 0: from 1.4 to 2.8: pixel 1 × 0.129 + pixel 2 × 0.643 + pixel 3 × 0.229",
        "nothing is rounded and nothing sampled",
    ],
    ("crop_and_resize", ()): [
        "Region 0.2 0.28 0.6 0.84: columns 1.4 to 4.2, rows 1.4 to 4.2",
        "x: 0.28 → 1.4, 0.84 → 4.2: 2 samples, 2.8 apart",
        "x bin 0: sample at 1.4: pixel 1 × 0.6 + pixel 2 × 0.4",
    ],
}


@pytest.mark.parametrize(("name", "how"), LINES, ids=str)
def test_texts(name, how):
    options, asked = ({"convention": how[0]}, how[1]) if how else ({}, None)
    features, channel = (HUNDREDS, 1) if name.startswith("ps_") else (SEED, 0)
    found, _ = explained(name, (2, 2, 6, 6), features, options, channel=channel, asked=asked)
    text = sketch(found, 90).plain
    for line in LINES[name, how]:
        assert line in text
    for narrow in (20, 200):
        assert found.x.in_words() in sketch(found, narrow).plain


@pytest.mark.parametrize(
    ("name", "corners", "said"),
    [
        ("roi_pool_avg", (400, 500, 420, 520), "outside the map: every bin is empty and gives 0"),
        ("ps_roi_pool", (-3, 2, 3, 80), "2 of 4 bins lie outside the map: empty, they give 0"),
        ("roi_align_max", (-20, -30, 90, 70), "past the map's length count as 0"),
        ("roi_align_rotated", (400, 500, 420, 520), "no sample lies on the map"),
        ("roi_align_rotated", (10, 12, 10, 25), "a side of 0: a grid without samples gives 0"),
        ("roi_align_rotated", (-20, -30, 90, 70), "count as 0, and in the divisor too"),
        ("prroi_pool", (10, 12, 10, 25), "a bin without area gives 0"),
        ("prroi_pool", (400, 500, 420, 520), "outside the map: every bin gives 0"),
        ("prroi_pool", (-20, -30, 90, 70), "falls to 0 within a pixel"),
        ("crop_and_resize", (-20, -30, 90, 70), "4 of 4 samples outside the map: 0, the extrapol"),
        ("crop_and_resize", (9, 30, 4, 11), "before the begin along x and y: mirrored"),
    ],
)
def test_notes_on_what_is_unusual(name, corners, said):
    found, _ = explained(name, corners)
    assert any(said in note for note in found.notes())


@pytest.mark.parametrize(("name", "options"), ONCE, ids=str)
def test_pictures(name, options, tmp_path):
    close, _ = explained(name, CORNERS[0], options=options)
    far, _ = explained(name, CORNERS[5], options=options)
    for found in (close, far):
        for axis in (found.x, found.y):
            low, high = window(axis)
            assert -2 <= low < high <= axis.length + 1
    save_picture(close, tmp_path / "picture.png", (), [far])
    assert (tmp_path / "picture.png").stat().st_size > 20_000


def drawn(axes, gid):
    return [line for line in axes.lines if line.get_gid() == gid]


def test_the_picture_of_samples_of_which_one_wins():
    found, _ = explained("roi_align_max", (2, 2, 6, 6), SEED)
    assert isinstance(found, Largest)
    of_map = draw(found).axes[0]
    winners = [(line.get_xdata()[0], line.get_ydata()[0]) for line in drawn(of_map, "winner")]
    np.testing.assert_allclose(winners, [(1.95, 1.95), (3.35, 1.95), (1.95, 3.35), (3.35, 3.35)])
    assert sum(len(line.get_xdata()) for line in drawn(of_map, "samples")) == 16
    labels = [text.get_text() for text in of_map.get_legend().get_texts()]
    assert labels == ["not rounded", "a sample", "a bin's largest", "tinted by weight"]


def test_the_picture_of_a_turned_box():
    found, _ = explained("roi_align_rotated", (2, 2, 6, 6), SEED)
    of_map = draw(found).axes[0]
    frames = [p for p in of_map.patches if isinstance(p, Polygon)]
    (outline,) = (p for p in frames if p.get_gid() == "region")
    corners = outline.get_xy()[:4]
    sides = np.diff([*corners, corners[0]], axis=0)
    np.testing.assert_allclose(np.hypot(*sides.T), 2.8, rtol=1e-6)
    np.testing.assert_allclose(corners.mean(axis=0), (2.3, 2.3), rtol=1e-6)
    np.testing.assert_allclose(np.arctan2(*sides[0][::-1]), -0.4, rtol=1e-6)
    assert len([p for p in frames if p.get_gid() == "bin"]) == 4


def test_the_picture_of_a_map_for_each_bin():
    found, _ = explained("ps_roi_pool", (2, 2, 6, 6), HUNDREDS, channel=1)
    *of_maps, of_pooled = draw(found).axes
    titles = ["channel 4", "channel 5", "channel 6", "channel 7"]
    assert [axes.get_title() for axes in of_maps] == titles
    for axes, hundreds in zip(of_maps, (4, 5, 6, 7), strict=True):
        assert {text.get_text()[0] for text in axes.texts} == {str(hundreds)}
        assert len([p for p in axes.patches if p.get_gid() == "bin"]) == 1
    assert [text.get_text() for text in of_pooled.texts] == ["414", "516", "623", "724"]
