"""One region explained: in numbers, in words, as text and as a picture."""

from pathlib import Path

import numpy as np
import pytest
from matplotlib.colors import to_rgb
from matplotlib.patches import Rectangle, Wedge
from PIL import Image

import roipool
from cases import normal_maps
from command_line import roipool_command
from roipool.command.axis import window
from roipool.command.explain import explain
from roipool.command.features import Features
from roipool.command.palette import bin_colour
from roipool.command.picture import draw, save_picture
from roipool.command.sketch import sketch
from roipool.command.words import number

SEED = Features(np.arange(48, dtype=np.float32).reshape(1, 1, 8, 6), "x.npy", ())
RNG = np.random.default_rng(0)
MAP = Features(normal_maps(RNG, (2, 3, 38, 63)), "map.npy", ())
PHOTO = Features(normal_maps(RNG, (1, 3, 200, 300), np.uint8), "a.png", ("a.png",))

REGIONS = [
    (SEED, (0, 0, 0, 4, 4), (2, 2), 0.7),
    (SEED, (0, 0, 0, 4, 4), (2, 2), 1.0),
    (SEED, (0, 4, 4, 1, 1), (2, 3), 1.0),
    (SEED, (0, -3, 2, 3, 40), (3, 3), 1.0),
    (SEED, (0, 2, 2, 3, 3), (7, 7), 1.0),
    (MAP, (1, 100, 80, 520, 470), (7, 7), 1 / 16),
    (MAP, (0, 1e30, -1e30, 1e31, 1e29), (7, 7), 1 / 16),
    (MAP, (1, 62, 0, 62, 37), (14, 14), 1.0),
    (PHOTO, (0, 10.5, 20.5, 299, 199), (7, 7), 1.0),
    (PHOTO, (0, 100, 20, 110, 30), (2, 2), 1.0),
    (Features(np.full((1, 1, 4, 4), np.nan), "nan.npy", ()), (0, 0, 0, 9, 9), (2, 2), 1.0),
    (Features(np.array([[[[1e308, -1e308]]]]), "huge.npy", ()), (0, 0, 0, 1, 1), (2, 2), 1.0),
    (Features(np.zeros((1, 1, 0, 5), np.int8), "empty.npy", ()), (0, 0, 0, 9, 9), (2, 2), 1.0),
]


@pytest.mark.parametrize("region", REGIONS)
@pytest.mark.parametrize("channel", [0, 1])
def test_values_and_winners_are_the_operators(region, channel):
    features, roi, size, scale = region
    if channel >= features.maps.shape[1]:
        return
    found = explain(*region, channel)
    row = np.array([roi], np.float64)
    values, argmax = roipool.roi_pool(features.maps, row, size, scale, return_argmax=True)
    np.testing.assert_array_equal(found.values, values[0, channel])
    where = found.winners[..., 0] * features.maps.shape[3] + found.winners[..., 1]
    np.testing.assert_array_equal(np.where(where < 0, -1, where), argmax[0, channel])
    for (i, j), value in np.ndenumerate(found.values):
        (top, bottom), (left, right) = found.y.bins[i], found.x.bins[j]
        y, x = found.winners[i, j]
        if y >= 0:
            assert top <= y < bottom
            assert left <= x < right
            assert found.plane[y, x] == value


def test_words():
    found = explain(SEED, (0, 0, 0, 4, 4), (2, 2), 0.7)
    assert found.heading == "Region 0 0 4 4 at scale 0.7: columns 0 to 3, rows 0 to 3"
    assert found.x.in_words() == "x: 0 → 0.0 → 0, 4 → 2.8 → 3: 4 pixels in 2 bins of step 2.0"
    assert found.notes() == []
    halves = explain(SEED, (0, 2.5, -2.5, 1.5, 3.5), (3, 1), 1)
    assert halves.y.in_words() == (
        "y: -2.5 → -2.5 → -3, 3.5 → 3.5 → 4: 8 pixels in 3 bins of step 2.667"
    )
    assert halves.x.in_words() == (
        "x: 2.5 → 2.5 → 3, 1.5 → 1.5 → 2: the end lies before the begin: 1 pixel in 1 bin of step "
        "1.0"
    )
    assert ["empty" in note for note in halves.notes()] == [False, True]
    assert "outside the map" in explain(*REGIONS[6]).notes()[0]
    assert "NaN never wins" in explain(*REGIONS[10]).notes()[-1]


def test_coordinates_just_beside_a_tie_are_told_apart():
    below = explain(SEED, (0, 0, 0, 2.4999998, 4), (2, 2), 1)
    assert "2.5 → 2.4999998 → 2" in below.x.in_words()


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (np.float32(14), "14"),
        (np.float32(0.0989123), "0.0989"),
        (np.float64(-1e30), "-1e+30"),
        (np.float32(np.nan), "nan"),
        (np.float32(-np.inf), "-inf"),
        (np.uint8(255), "255"),
        (np.int32(-(2**31)), "-2147483648"),
    ],
)
def test_numbers(value, text):
    assert number(value) == text


@pytest.mark.parametrize("region", REGIONS)
@pytest.mark.parametrize("width", [20, 80, 200])
def test_text_drawings(region, width):
    found = explain(*region)
    text = sketch(found, width).plain
    assert found.x.in_words() in text
    for value in found.values.flat:
        assert number(value) in text.partition("pooled to")[2]


def test_the_text_drawing_of_the_documented_example():
    text = sketch(explain(SEED, (0, 0, 0, 4, 4), (2, 2), 0.7), 80).plain
    drawing = """\
             0    1    2    3    4    5
          └── 0 ───┘└── 1 ───┘
    0  0┌    0    1    2    3    4    5
    1   └    6  [ 7]   8  [ 9]  10   11
    2  1┌   12   13   14   15   16   17
    3   └   18  [19]  20  [21]  22   23
    4       24   25   26   27   28   29
"""
    assert drawing in text
    assert "pooled to 2 x 2:\n    7    9\n   19   21\n" in text


def test_the_text_drawing_of_bins_that_overlap():
    lines = sketch(explain(SEED, (0, 0, 0, 4, 4), (2, 2), 1.0), 80).plain.splitlines()
    assert lines[4:6] == [" " * 14 + "└───── 0 ─────┘", " " * 24 + "└───── 1 ─────┘"]
    assert lines[8] == "    2   └  1┌   12   13  [14]  15  [16]  17"


def test_the_text_drawing_of_a_large_map():
    text = sketch(explain(MAP, (1, 100, 80, 520, 470), (7, 7), 1 / 16), 80).plain
    assert text.count("*") == 1 + len(
        {tuple(w) for w in explain(*REGIONS[5]).winners.reshape(-1, 2).tolist()}
    )
    assert max(len(line) for line in text.splitlines()) <= 88


@pytest.mark.parametrize("region", REGIONS)
def test_windows_hold_what_is_pooled_and_little_else(region):
    found = explain(*region)
    for axis in (found.x, found.y):
        low, high = window(axis)
        assert low < high
        assert low >= -2
        assert high <= axis.length + 1
        for begin, end in axis.bins:
            assert begin >= end or low <= begin - 0.5 <= end - 0.5 <= high


@pytest.mark.parametrize("region", REGIONS)
def test_pictures(region, tmp_path):
    save_picture(explain(*region), tmp_path / "picture.png")
    with Image.open(tmp_path / "picture.png") as image:
        assert min(image.size) > 500


def patches(axes, gid, kind=Rectangle):
    return [p for p in axes.patches if isinstance(p, kind) and p.get_gid() == gid]


@pytest.mark.parametrize(("scale", "overlaps"), [(0.7, 0), (1.0, 2)])
def test_the_picture_says_what_was_found(scale, overlaps):
    found = explain(SEED, (0, 0, 0, 4, 4), (2, 2), scale)
    figure = draw(found)
    of_map, of_pooled = figure.axes
    colours = [to_rgb(bin_colour(i, j, (2, 2))) for i, j in np.ndindex(2, 2)]
    assert len(set(colours)) == 4
    assert [to_rgb(p.get_edgecolor()) for p in patches(of_map, "bin")] == colours
    winners = patches(of_map, "winner", Wedge)
    assert [to_rgb(p.get_facecolor()) for p in winners] == colours
    assert [p.center[::-1] for p in winners] == [tuple(w) for w in found.winners.reshape(-1, 2)]
    assert len(patches(of_map, "overlap")) == overlaps
    assert [to_rgb(p.get_facecolor()) for p in of_pooled.patches] == colours
    assert [t.get_text() for t in of_pooled.texts] == [number(v) for v in found.values.flat]
    texts = [t.get_text() for t in figure.texts]
    assert found.heading in texts
    assert found.x.in_words() in texts
    assert [t.get_text() for t in of_map.texts if t.get_gid() == "scaled"] == 2 * [
        "0", "2.8" if scale == 0.7 else "4",
    ]  # fmt: skip
    numbers = {t.get_text() for t in of_map.texts if t.get_gid() != "scaled"}
    assert numbers == {str(n) for n in range(48)}
    labels = [t.get_text() for t in of_map.get_legend().get_texts()]
    assert labels[:3] == ["as given, scaled", "as rounded", "a bin's maximum"]


@pytest.mark.parametrize("size", [(1, 6), (2, 3), (3, 3), (7, 7), (14, 14)])
def test_bins_that_touch_differ_in_colour(size):
    for i, j in np.ndindex(*size):
        for di, dj in ((0, 1), (1, 0), (1, 1), (1, -1)):
            if i + di < size[0] and 0 <= j + dj < size[1]:
                assert bin_colour(i, j, size) != bin_colour(i + di, j + dj, size)


def test_the_command(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    np.save("x.npy", SEED.maps)
    arguments = ("explain", "x.npy", "--roi", 0, 0, 0, 4, 4, "--spatial-scale", 0.7)
    status, out, err = roipool_command(capsys, *arguments)
    assert (status, err) == (0, "")
    assert "[19]  20  [21]" in out
    assert "4 → 2.8 → 3" in out
    assert "\x1b" not in out
    status, out, err = roipool_command(capsys, *arguments, "-o", "why.svg")
    assert (status, out, err) == (0, "wrote why.svg\n", "")
    assert Path("why.svg").stat().st_size > 5000


def test_the_command_on_a_photo(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Image.fromarray(PHOTO.maps[0].transpose(1, 2, 0)).save("a.png")
    status, out, _ = roipool_command(
        capsys, "explain", "a.png", "--roi", 0, 5, 5, 60, 60, "--channel", 2
    )
    assert status == 0
    assert "a.png, blue channel" in out
