"""roi_align explained: its samples, what pixels weigh, and beside roi_pool."""

import numpy as np
import pytest
from matplotlib.colors import to_rgb
from matplotlib.patches import Polygon, Rectangle
from PIL import Image

import roipool
from cases import normal_maps
from command_line import roipool_command
from roipool import reference
from roipool.command.axis import window
from roipool.command.explain import explain
from roipool.command.explanations.sampling import MOST_SAMPLES
from roipool.command.features import Features
from roipool.command.operators import choose
from roipool.command.palette import bin_colour
from roipool.command.picture import draw, draw_beside, save_picture
from roipool.command.sketch import sketch
from roipool.command.words import number

SEED = Features(np.arange(48, dtype=np.float32).reshape(1, 1, 8, 6), "x.npy", ())
RNG = np.random.default_rng(0)
MAP = Features(normal_maps(RNG, (2, 3, 38, 63)), "map.npy", ())
PHOTO = Features(normal_maps(RNG, (1, 3, 200, 300), np.uint8), "a.png", ("a.png",))

REGIONS = [
    (SEED, (0, 2, 2, 6, 6), (2, 2), 0.7),
    (SEED, (0, 0, 0, 4, 4), (2, 3), 1.0),
    (SEED, (0, 4, 4, 1, 1), (2, 3), 1.0),
    (SEED, (0, -3, 2, 3, 40), (3, 3), 1.0),
    (SEED, (0, 2, 2, 2.5, 2.5), (7, 7), 1.0),
    (SEED, (0, 3, 1, 3, 6), (2, 2), 1.0),
    (MAP, (1, 100, 80, 520, 470), (7, 7), 1 / 16),
    (MAP, (0, 1e30, -1e30, 1e31, 1e29), (7, 7), 1 / 16),
    (PHOTO, (0, 10.5, 20.5, 299, 199), (7, 7), 1.0),
    (Features(np.zeros((1, 1, 0, 5), np.float32), "empty.npy", ()), (0, 0, 0, 9, 9), (2, 2), 1.0),
]
OPTIONS = [
    {},
    {"aligned": False},
    {"sampling_ratio": 2},
    {"sampling_ratio": 3, "aligned": False},
]


def align(region, options=None, channel=0, asked=None):
    return explain(*region, channel, choose("roi_align", options or {}), asked)


@pytest.mark.parametrize("region", REGIONS)
@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_values_and_weights_are_the_operators(region, options):
    features, roi, size, scale = region
    found = align(region, options)
    maps = features.maps.astype(np.float32)
    values = roipool.roi_align(maps, np.array([roi]), size, scale, **options)
    np.testing.assert_array_equal(found.values, values[0, 0])
    how = {"sampling_ratio": 0, "aligned": True} | options
    for axis, (c1, c2), count in (
        (found.x, roi[1::2], size[1]),
        (found.y, roi[2::2], size[0]),
    ):
        with np.errstate(over="ignore"):
            bins, samples = reference.sample_taps(
                c1, c2, axis.length, count, scale, how["sampling_ratio"], how["aligned"], np.float32
            )
        assert axis.samples == samples
        for p, (weights, _) in enumerate(bins):
            expected = {k: w / samples for k, w in weights.items() if w}
            assert set(axis.weights[p]) == set(expected)
            for pixel, weight in expected.items():
                assert axis.weights[p][pixel] == pytest.approx(weight, rel=1e-4, abs=1e-6)
                assert axis.bins[p][0] <= pixel < axis.bins[p][1]
    for i, j in np.ndindex(*size):
        total = sum(
            of_row * of_column * float(maps[int(roi[0]), 0, y, x])
            for y, of_row in found.y.weights[i].items()
            for x, of_column in found.x.weights[j].items()
        )
        assert found.values[i, j] == pytest.approx(total, rel=1e-4, abs=1e-4)


def test_words():
    found = align(REGIONS[0])
    assert found.operator == "roi_align, sampling ratio 0, aligned"
    assert found.heading == "Region 2 2 6 6 at scale 0.7: columns 0.9 to 3.7, rows 0.9 to 3.7"
    assert found.x.in_words() == (
        "x: 2 → 1.4 → 0.9, 6 → 4.2 → 3.7: 2.8 in 2 bins of 1.4, 2 samples each"
    )
    assert found.details() == [
        "x bin 0: samples at 1.25, 1.95: pixel 1 × 0.4 + pixel 2 × 0.6",
        "x bin 1: samples at 2.65, 3.35: pixel 2 × 0.175 + pixel 3 × 0.65 + pixel 4 × 0.175",
        "y bin 0: samples at 1.25, 1.95: pixel 1 × 0.4 + pixel 2 × 0.6",
        "y bin 1: samples at 2.65, 3.35: pixel 2 × 0.175 + pixel 3 × 0.65 + pixel 4 × 0.175",
    ]
    assert found.notes() == []
    assert found.on_drawing() == ["a pixel that several bins read is tinted in parts, or mixed"]
    assert found.on_ends == (
        "given → × spatial scale → − 0.5, from a pixel's edge to its centre; nothing is rounded"
    )
    one = align(REGIONS[0], asked=(0, 0)).details()
    assert one[-1] == (
        "bin 0 0: 0.4 × 0.4 × 7 + 0.4 × 0.6 × 8 + 0.6 × 0.4 × 13 + 0.6 × 0.6 × 14 = 11.2"
    )
    assert len(one) == 3


@pytest.mark.parametrize(
    ("region", "options", "said"),
    [
        (REGIONS[2], {}, "a grid without samples gives 0"),
        (REGIONS[2], {"sampling_ratio": 2}, "the grid is mirrored"),
        (REGIONS[3], {}, "count as 0, and in the divisor too"),
        (REGIONS[7], {}, "no sample lies on the map"),
    ],
)
def test_notes_on_what_is_unusual(region, options, said):
    assert any(said in note for note in align(region, options).notes())


def test_words_where_a_region_is_widened_and_where_bins_are_many():
    thin = align(REGIONS[4], {"aligned": False})
    assert "2.5 → 2.5: less than a pixel, widened to 1 in 7 bins of 0.142857, 1 sample each" in (
        thin.x.in_words()
    )
    wide = align((MAP, (0, 0, 0, 900, 500), (20, 2), 1 / 16))
    assert "… 4 more along y; --bin I J shows one" in wide.details()
    assert all(len(line) < 250 for line in align(REGIONS[8]).details())


@pytest.mark.parametrize("region", REGIONS)
@pytest.mark.parametrize("width", [20, 200])
def test_text_drawings(region, width):
    found = align(region)
    text = sketch(found, width).plain
    assert found.x.in_words() in text
    assert "a bin's maximum" not in text
    for value in found.values.flat:
        assert number(value) in text.partition("pooled to")[2]


@pytest.mark.parametrize("region", REGIONS)
@pytest.mark.parametrize("options", OPTIONS[1:3], ids=str)
def test_pictures(region, options, tmp_path):
    found = align(region, options)
    for axis in (found.x, found.y):
        low, high = window(axis)
        assert -2 <= low < high <= axis.length + 1
    save_picture(found, tmp_path / "picture.png")
    with Image.open(tmp_path / "picture.png") as image:
        assert min(image.size) > 500


def patches(axes, gid, kind=Polygon):
    return [p for p in axes.patches if isinstance(p, kind) and p.get_gid() == gid]


def test_the_picture_says_what_was_found():
    found = align(REGIONS[0])
    of_map, of_pooled = draw(found).axes
    colours = [to_rgb(bin_colour(i, j, (2, 2))) for i, j in np.ndindex(2, 2)]
    (outline,) = patches(of_map, "region")
    corners = [(0.9, 0.9), (3.7, 0.9), (3.7, 3.7), (0.9, 3.7)]
    np.testing.assert_allclose(outline.get_xy()[:4], corners, rtol=1e-6)
    assert [to_rgb(p.get_edgecolor()) for p in patches(of_map, "bin")] == colours
    dots = [line for line in of_map.lines if line.get_gid() == "samples"]
    assert [to_rgb(line.get_color()) for line in dots] == colours
    assert sorted({round(float(x), 5) for line in dots for x in line.get_xdata()}) == [
        1.25, 1.95, 2.65, 3.35,
    ]  # fmt: skip
    parts = patches(of_map, "weight", Rectangle)
    assert len(parts) == (2 + 3) ** 2
    heaviest = max(parts, key=lambda p: p.get_alpha())
    assert heaviest.get_xy() == (2.5, 2.5)  # 0.65 × 0.65, which one bin alone reads
    assert (heaviest.get_width(), heaviest.get_height()) == (1, 1)
    assert to_rgb(heaviest.get_facecolor()) == colours[3]
    assert [t.get_text() for t in of_pooled.texts] == [number(v) for v in found.values.flat]
    labels = [t.get_text() for t in of_map.get_legend().get_texts()]
    assert labels == ["not rounded", "a sample", "tinted by weight"]
    assert [t.get_text() for t in of_map.texts if t.get_gid() == "scaled"] == 2 * ["0.9", "3.7"]


def test_one_bin_of_the_picture():
    found = align(REGIONS[0], asked=(0, 1))
    of_map, of_pooled = draw(found).axes
    assert len(patches(of_map, "bin")) == 1
    times = {t.get_text() for t in of_map.texts if t.get_gid() == "times"}
    assert times == {"× 0.07", "× 0.26", "× 0.105", "× 0.39"}
    faces = [to_rgb(p.get_facecolor()) for p in of_pooled.patches]
    assert faces[1] == to_rgb(bin_colour(0, 1, (2, 2)))
    assert len(set(faces)) == 2
    winners = draw(explain(*REGIONS[0], asked=(0, 1))).axes[0]
    assert len(patches(winners, "bin", Rectangle)) == 1


def test_operators_side_by_side_show_the_same_stretch_of_the_map():
    region = (MAP, (1, 100, 80, 520, 470), (7, 7), 1 / 16)
    figure = draw_beside([explain(*region), align(region)])
    first, _, second, _ = figure.axes
    assert first.get_xlim() == second.get_xlim()
    assert first.get_ylim() == second.get_ylim()
    texts = [t.get_text() for t in figure.texts]
    assert "roi_pool" in texts
    assert "roi_align, sampling ratio 0, aligned" in texts


@pytest.mark.parametrize("operator", ["roi_pool", "roi_align"])
def test_what_is_far_from_a_region_costs_nothing(tmp_path, operator):
    maps = np.lib.format.open_memmap(tmp_path / "x.npy", "w+", np.float32, (1, 1, 20_000, 20_000))
    features = Features(maps, "x.npy", ())
    near = explain(features, (0, 9000, 9000, 9005, 9005), (2, 2), 1.0, 0, choose(operator))
    of_map = draw(near).axes[0]
    assert sum(len(t.get_text()) > 0 for t in of_map.texts) < 200
    assert all(image.get_array().size < 10_000 for image in of_map.images)
    huge = explain(features, (0, -1e5, -1e5, 1e5, 1e5), (7, 7), 1.0, 0, choose(operator))
    of_map = draw(huge).axes[0]
    assert all(image.get_array().size < 2e7 for image in of_map.images)
    assert sum(len(line.get_xdata()) for line in of_map.lines) < 2 * MOST_SAMPLES
    assert len(sketch(huge, 80).plain) < 20_000


def test_many_samples_are_thinned_out():
    found = align((PHOTO, (0, 0, 0, 299, 199), (2, 2), 1.0), {"sampling_ratio": 1000})
    drawn = sum(map(len, found.x.drawn)) * sum(map(len, found.y.drawn))
    assert MOST_SAMPLES / 4 < drawn <= 1.2 * MOST_SAMPLES
    assert any("samples one is drawn" in note for note in found.on_drawing())


def test_the_command(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    np.save("x.npy", SEED.maps)
    region = ("explain", "x.npy", "--roi", 0, 2, 2, 6, 6, "--spatial-scale", 0.7)
    both = ("--operator", "roi_pool", "--operator", "roi_align", "--sampling-ratio", 1)
    status, out, err = roipool_command(capsys, *region, *both)
    assert (status, err) == (0, "")
    assert out.index("[14]") < out.index("roi_align, sampling ratio 1, aligned")
    assert "x bin 0: samples at 1.6: pixel 1 × 0.4 + pixel 2 × 0.6" in out
    status, out, err = roipool_command(capsys, *region, *both, "--no-aligned", "-o", "both.png")
    assert (status, out, err) == (0, "wrote both.png\n", "")
    assert roipool_command(capsys, *region, *both, "--bin", 1, 1)[0] == 0
