"""The command: its results, its help, and its demonstration."""

import io
import re
import shlex
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import roipool
from cases import normal_maps
from command_line import MAPS, RNG, ROWS, coco, folder, photos, roipool_command  # noqa: F401
from roipool import command
from roipool.command import chunked, demo

pytestmark = pytest.mark.usefixtures("folder")


def pooled(capsys, *arguments):
    status, _, err = roipool_command(capsys, "pool", *arguments, "-o", "out.npy")
    assert (status, err) == (0, "")
    return np.load("out.npy")


def assert_same(got, expected):
    assert got.dtype == expected.dtype
    np.testing.assert_array_equal(got, expected, strict=True)


@pytest.mark.parametrize("dtype", ["<f4", ">f4", "<f8", "<f2", "u1", "<i4"])
@pytest.mark.parametrize("order", ["C", "F"])
def test_arrays(capsys, dtype, order):
    maps = np.asarray(MAPS * 50).astype(dtype, order=order)
    np.save("maps.npy", maps)
    assert_same(pooled(capsys, "maps.npy", "rows.npy"), roipool.roi_pool(maps, ROWS, 7, 1 / 16))


@pytest.mark.parametrize(
    "rows", [ROWS.astype(np.float32), ROWS.astype(np.float16), ROWS.astype(int)]
)
def test_rows_of_other_dtypes(capsys, rows):
    np.save("rows.npy", rows)
    expected = roipool.roi_pool(MAPS, rows, (3, 2), 0.1)
    size = ("--pooled-size", 3, 2, "--spatial-scale", 0.1, "--threads", roipool.get_num_threads())
    assert_same(pooled(capsys, "maps.npy", "rows.npy", *size), expected)


def test_archives(capsys):
    np.savez("maps.npz", other=ROWS, data=MAPS)
    np.savez("rows.npz", ROWS)
    assert_same(pooled(capsys, "maps.npz", "rows.npz"), roipool.roi_pool(MAPS, ROWS, 7, 1 / 16))


def test_csv_columns_in_any_order(capsys):
    lines = ["name, y2,x1,y1,x2,batch_index"]
    lines += [f"box,{y2},{x1},{y1},{x2},{n:.0f}" for n, x1, y1, x2, y2 in ROWS]
    Path("rows.csv").write_text("\ufeff" + "\r\n\r\n".join(lines), encoding="utf-8")
    assert_same(pooled(capsys, "maps.npy", "rows.csv"), roipool.roi_pool(MAPS, ROWS, 7, 1 / 16))


def test_csv_without_batch_index_is_image_0(capsys):
    Path("rows.csv").write_text("x1,y1,x2,y2\n0,0,50,60\n")
    expected = roipool.roi_pool(MAPS, [[0, 0, 0, 50, 60]], 7, 1 / 16)
    assert_same(pooled(capsys, "maps.npy", "rows.csv"), expected)


def test_coco_boxes_become_inclusive_corners(capsys):
    coco("boxes.json", ["a.png", "b.png"], [(1, [10, 20, 30, 40]), (0, [0, 0, 16.5, 1])])
    expected = roipool.roi_pool(MAPS, [[1, 10, 20, 39, 59], [0, 0, 0, 15.5, 0]], 7, 1 / 16)
    assert_same(pooled(capsys, "maps.npy", "boxes.json"), expected)


def test_images_find_their_coco_regions_by_name(capsys):
    pixels = photos("b.png", "a.png")
    coco(
        "boxes.json",
        ["x/a.png", "other.png", "b.png"],
        [(0, [1, 2, 9, 9]), (1, [0] * 4), (2, [5] * 4)],
    )
    expected = roipool.roi_pool(pixels, [[1, 1, 2, 9, 10], [0, 5, 5, 9, 9]], (7, 7))
    assert_same(pooled(capsys, "b.png", "a.png", "boxes.json"), expected)


def test_grey_and_jpeg_images_become_rgb(capsys):
    Image.fromarray(RNG.integers(0, 256, (20, 30), np.uint8)).save("grey.jpg")
    pixels = np.asarray(Image.open("grey.jpg").convert("RGB")).transpose(2, 0, 1)[None]
    np.save("rows.npy", ROWS[1:2])
    assert_same(pooled(capsys, "grey.jpg", "rows.npy"), roipool.roi_pool(pixels, ROWS[1:2], 7))


def test_chunks_of_images_channels_and_regions(capsys, monkeypatch):
    monkeypatch.setattr(chunked, "MAP_BYTES", 3 * MAPS[0].nbytes)
    monkeypatch.setattr(chunked, "RESULT_BYTES", 2 * 2 * 2 * 8 * 3)
    monkeypatch.setattr(chunked, "LISTED", 28)
    maps = normal_maps(RNG, (8, 5, 9, 12))
    rows = RNG.uniform(0, 150, (60, 5))
    rows[:, 0] = RNG.integers(-2, 8, 60)
    np.save("maps.npy", maps)
    np.save("rows.npy", rows)
    got = pooled(capsys, "maps.npy", "rows.npy", "--argmax", "at.npy", "--pooled-size", 2, 2)
    values, argmax = roipool.roi_pool(maps, rows, 2, 1 / 16, return_argmax=True)
    assert_same(got, values)
    assert_same(np.load("at.npy"), argmax)
    rows[51, 0] = 8
    np.save("rows.npy", rows)
    _, _, err = roipool_command(capsys, "pool", "maps.npy", "rows.npy", "-o", "out.npy")
    assert "rows.npy, row 51 (from 0) has batch index 8, but maps.npy holds 8 images" in err


@pytest.mark.parametrize("images", [0, 2])
def test_no_regions_and_no_images(capsys, images):
    np.save("maps.npy", MAPS[:images])
    for rows in (ROWS[:0], ROWS[2:3]):
        np.save("rows.npy", rows)
        expected = np.zeros((len(rows), 5, 7, 7), np.float32)
        assert_same(pooled(capsys, "maps.npy", "rows.npy"), expected)


@pytest.mark.parametrize(("scale", "answer"), [(1, [14, 16, 26, 28]), (0.7, [7, 9, 19, 21])])
def test_the_documented_examples(capsys, scale, answer):
    np.save("x.npy", np.arange(48, dtype=np.float32).reshape(1, 1, 8, 6))
    Path("y.csv").write_text("batch_index,x1,y1,x2,y2\n0,0,0,4,4\n")
    size = ("--pooled-size", 2, 2, "--spatial-scale", scale)
    assert pooled(capsys, "x.npy", "y.csv", *size).ravel().tolist() == answer


def test_a_bar_only_on_a_terminal(capsys, monkeypatch):
    class Terminal(io.StringIO):
        def isatty(self):
            return True

    monkeypatch.setattr(sys, "stderr", Terminal())
    assert command.run(["pool", "maps.npy", "rows.npy", "-o", "out.npy"]) == 0
    assert "5 of 5 regions" in sys.stderr.getvalue()


def test_help(capsys):
    texts = {}
    for name in ("", "pool", "explain", "info", "demo"):
        status, texts[name], err = roipool_command(capsys, *name.split(), "--help")
        assert (status, err) == (0, "")
        assert re.search(r"^ .*\broipool \w+", texts[name], re.MULTILINE)
        assert max(len(line) for line in texts[name].splitlines()) <= 80
    assert roipool_command(capsys)[:2] == (0, texts[""])
    assert "x + width - 1, y + height - 1" in texts["pool"]
    assert "file_name" in texts["pool"]
    assert roipool_command(capsys, "--version")[:2] == (0, f"roipool {roipool.__version__}\n")


def test_info_imports_no_library(capsys):
    status, out, _ = roipool_command(capsys, "info")
    facts = dict(re.findall(r"^(\w+) +(.*)$", out, re.MULTILINE))
    assert status == 0
    assert facts["roipool"].startswith(roipool.__version__)
    assert facts["numpy"] == f"{np.__version__}, by a door of its own"
    assert facts["threads"].startswith(f"{roipool.get_num_threads()} ")


def test_the_demo_and_what_it_proposes(capsys):
    pytest.importorskip("skimage")
    status, out, err = roipool_command(capsys, "demo", "--output", "made/here now")
    assert (status, err) == (0, "")
    assert re.findall(r"^ +(\d+) +(\d+)\b", out, re.MULTILINE) == [
        ("14", "16"), ("26", "28"), ("7", "9"), ("19", "21"),
    ]  # fmt: skip
    for picture in ("regions.png", "face.png", "why.png"):
        with Image.open(Path("made/here now", picture)) as image:
            assert min(image.size) > 500
    proposed = [shlex.split(line) for line in out.splitlines() if line.startswith("    roipool ")]
    assert len(proposed) == 5
    for _, *arguments in proposed:
        assert roipool_command(capsys, *arguments)[0] == 0, arguments
    assert np.load("made/here now/four.npy").ravel().tolist() == [7, 9, 19, 21]


def test_a_demo_that_computes_wrongly_says_so(capsys, monkeypatch):
    monkeypatch.setattr(demo, "ANSWERS", {1.0: [[14, 16], [26, 29]]})
    status, out, _ = roipool_command(capsys, "demo")
    assert status == 1
    assert "WRONG: expected [[14, 16], [26, 29]]" in out
