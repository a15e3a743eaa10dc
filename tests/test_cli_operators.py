"""Operators on the command line: by name, with their options as flags, whatever is described."""

import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import roipool
from command_line import MAPS, ROWS, files, folder, photos, roipool_command  # noqa: F401
from roipool.command import chunked
from roipool.command.operators import choose
from roipool.descriptions import OPERATORS

pytestmark = pytest.mark.usefixtures("folder")
RUN = ("pool", "maps.npy", "rows.npy", "-o", "out.npy", "--operator")


@pytest.mark.parametrize(
    ("flags", "options"),
    [
        ((), {}),
        (("--sampling-ratio", 2), {"sampling_ratio": 2}),
        (("--no-aligned",), {"aligned": False}),
        (("--aligned", "--sampling-ratio", 0), {"aligned": True}),
    ],
)
def test_pooling_by_another_operator(capsys, monkeypatch, flags, options):
    monkeypatch.setattr(chunked, "LISTED", 1)
    status, out, err = roipool_command(capsys, *RUN, "roi_align", *flags)
    assert (status, err) == (0, "")
    assert choose("roi_align", options).title in out
    expected = roipool.roi_align(MAPS, ROWS, 7, 1 / 16, **options)
    np.testing.assert_array_equal(np.load("out.npy"), expected, strict=True)


OTHERS = {
    "roi_pool_avg": ("roi_pool", (), {"mode": "avg"}),
    "roi_align_max": ("roi_align", ("--no-aligned",), {"mode": "max", "aligned": False}),
    "roi_align_onnx_max": ("roi_align", (), {"mode": "onnx_max"}),
    "prroi_pool": ("prroi_pool", (), {}),
    "ps_roi_pool": ("ps_roi_pool", ("--convention", "torchvision"), {"convention": "torchvision"}),
    "ps_roi_align": ("ps_roi_align", ("--sampling-ratio", 3), {"sampling_ratio": 3}),
    "roi_align_rotated": ("roi_align_rotated", ("--clockwise",), {"clockwise": True}),
    "crop_and_resize": (
        "crop_and_resize",
        ("--method", "nearest", "--extrapolation-value", -1.5),
        {"method": "nearest", "extrapolation_value": -1.5},
    ),
}


def rows_of(name):
    index, x1, y1, x2, y2 = ROWS.T
    if name == "roi_align_rotated":
        box = (x1 + x2) / 2, (y1 + y2) / 2, abs(x2 - x1), abs(y2 - y1)
        return np.stack([index, *box, np.linspace(-4, 4, len(ROWS))], axis=1)
    if name == "crop_and_resize":
        return np.stack([index, y1 / 143, x1 / 191, y2 / 143, x2 / 191], axis=1)
    return ROWS


@pytest.mark.parametrize("name", OTHERS)
def test_pooling_by_every_operator(capsys, monkeypatch, name):
    function, flags, options = OTHERS[name]
    maps = np.concatenate([MAPS, -MAPS, MAPS[:, :2]], axis=1)
    rows = rows_of(name)
    columns = ["batch_index", *OPERATORS[name].rows.columns]
    lines = [",".join(columns), *(",".join(map(repr, row)) for row in rows.tolist())]
    Path("rows.csv").write_text("\n".join(lines))
    np.save("maps.npy", maps)
    monkeypatch.setattr(chunked, "LANES", 4)
    monkeypatch.setattr(chunked, "MAP_BYTES", 4 * maps[0, 0].nbytes)
    scaled = OPERATORS[name].rows.scaled
    scale = ("--spatial-scale", 0.1) if scaled else ()
    run = ("pool", "maps.npy", "rows.csv", "-o", "out.npy", "--pooled-size", 2, 1)
    status, out, err = roipool_command(capsys, *run, "--operator", name, *flags, *scale)
    assert (status, err) == (0, "")
    arguments = (0.1,) if scaled else ()
    expected = getattr(roipool, function)(maps, rows, (2, 1), *arguments, **options)
    np.testing.assert_array_equal(np.load("out.npy"), expected, strict=True)
    assert f"-> out.npy {expected.shape} float32" in out
    assert ("at spatial scale 0.1" in out) == scaled


ROWS_AND_SCALES = {
    ("roi_align_rotated",): "rows.npy has shape (5, 5); expected (K, 6): rows of batch_index, "
    "center_x, center_y, width, height, angle",
    ("crop_and_resize", "--spatial-scale", 1): "crop_and_resize has no --spatial-scale: its boxes "
    "are given in parts of the map; leave it out",
    ("crop_and_resize", "--method", "cubic"): '--method is \'cubic\'; expected "bilinear" or "near',
    ("ps_roi_pool",): "maps.npy has 5 channels; ps_roi_pool reads 7 x 7 for each channel of its",
    ("ps_roi_pool", "--pooled-size", 0, 1): "--pooled-size is (0, 1); each side must be at least 1",
}


def test_rows_and_scales_that_an_operator_does_not_take(capsys):
    for arguments, expected in ROWS_AND_SCALES.items():
        status, out, err = roipool_command(capsys, *RUN, *arguments)
        assert (status, out, err.count("\n")) == (2, "", 1), arguments
        assert expected in err
    turned = np.array([[0, 5, 5, 3, 3, 0.1], [0, 5, 5, 3, -1, 0.1]])
    np.save("rows.npy", turned)
    _, _, err = roipool_command(capsys, *RUN, "roi_align_rotated")
    assert "rows.npy, row 1 (from 0), height is -1.0; expected a size of 0 or more" in err
    turned[1, 1] = np.nan
    np.save("rows.npy", turned)
    _, _, err = roipool_command(capsys, *RUN, "roi_align_rotated")
    assert "rows.npy, row 1 (from 0), center_x is nan; expected a finite number" in err
    for name, expected in {
        "corners.csv": "has no column center_x",
        "boxes.json": "upright",
    }.items():
        Path(name).write_text("batch_index,x1,y1,x2,y2\n")
        run = ("pool", "maps.npy", name, "-o", "out.npy", "--operator", "roi_align_rotated")
        assert expected in roipool_command(capsys, *run)[2]


def test_regions_of_operators_side_by_side(capsys):
    both = ("explain", "maps.npy", "--operator", "roi_align", "--operator", "roi_align_rotated")
    one = ("--roi", 0, 1, 1, 4, 4)
    status, out, err = roipool_command(capsys, *both, *one, "--roi", 0, 2.5, 2.5, 3, 3, -0.5)
    assert (status, err) == (0, "")
    assert "Region 1 1 4 4 at scale 1:" in out
    assert "Region 2.5 2.5 3 3 -0.5 at scale 1:" in out
    assert "takes 6: batch_index, center_x" in roipool_command(capsys, *both, *one)[2]
    mixed = ("explain", "maps.npy", "--operator", "roi_pool", "--operator", "crop_and_resize")
    status, out, _ = roipool_command(capsys, *mixed, *one, "--spatial-scale", 0.5)
    assert status == 0
    assert "Region 1 1 4 4:" in out


def test_photos_become_what_an_operator_takes(capsys):
    pixels = photos("a.png")
    np.save("rows.npy", [[0, 1.5, 2, 20, 15.5]])
    run = ("pool", "a.png", "rows.npy", "-o", "out.npy", "--operator", "roi_align")
    assert roipool_command(capsys, *run)[0] == 0
    expected = roipool.roi_align(pixels.astype(np.float32), np.load("rows.npy"), 7)
    np.testing.assert_array_equal(np.load("out.npy"), expected, strict=True)


ERRORS = {
    ("no_such",): "--operator is 'no_such'; expected roi_pool, crop_and_resize, ",
    (
        "roi_align",
        "--argmax",
        "at.npy",
    ): "roi_align has no winning pixels, whose positions --argmax "
    "would write; leave it out, or choose --operator roi_pool\n",
    ("roi_align_max", "--argmax", "at.npy"): "roi_align_max has no winning pixels, whose positions",
    ("roi_pool", "--convention", "rfcn"): "roi_pool has no --convention, which is of ps_roi_pool\n",
    ("roi_align", "--sampling-ratio", 5000): "--sampling-ratio is 5000; expected at most",
    ("roi_align", "--sampling-ratio", "two"): "'--sampling-ratio'",
    ("roi_align", "--spatial-scale", 0): "--spatial-scale is 0.0; expected a finite positive",
}


def test_bad_options(capsys):
    before = files()
    for arguments, expected in ERRORS.items():
        status, out, err = roipool_command(capsys, *RUN, *arguments)
        assert (status, out, err.count("\n")) == (2, "", 1), arguments
        assert expected in err
        assert files() == before


def test_features_that_an_operator_cannot_take(capsys):
    np.save("maps.npy", MAPS.astype(np.int8))
    status, _, err = roipool_command(capsys, *RUN, "roi_align")
    assert status == 2
    assert "maps.npy has dtype int8; expected one of float16, bfloat16, float32" in err


def test_what_explain_refuses(capsys):
    run = ("explain", "maps.npy", "--roi", 0, 0, 0, 4, 4)
    for arguments, expected in {
        ("--operator", "no_such"): "--operator is 'no_such'",
        ("--aligned",): "roi_pool has no --aligned, which is of roi_align, roi_align_max, ",
        ("--bin", 2, 0): "--bin is 2 0, but bins are 0 0 to 1 1",
        ("--pooled-size", 100, 100): "--pooled-size is (100, 100), 10,000 bins; at most 1,024",
    }.items():
        status, out, err = roipool_command(capsys, *run, *arguments)
        assert (status, out, err.count("\n")) == (2, "", 1), arguments
        assert expected in err


def test_help_lists_every_operator_and_option(capsys):
    for name in ("pool", "explain"):
        text = " ".join(roipool_command(capsys, name, "--help")[1].split())
        for operator in OPERATORS.values():
            assert operator.name in text
            for option in operator.options:
                assert f"--{option.name.replace('_', '-')}" in text


MADE_UP = """
import sys
from roipool import checks, geometry
from roipool.descriptions import OPERATORS, Operator, Option, described

def shifted(xp, rois, maps, size, dtype, by, *, traced=False):
    return geometry.max_bins(xp, rois + by, maps, size, dtype), None

described(
    Operator("shifted", "max", shifted, checks.DTYPES, options=(Option("by", "int", int),))
)
from roipool import command
sys.exit(command.run(sys.argv[1:]))
"""


def test_an_operator_that_is_described_is_found():
    def run(*arguments):
        line = [sys.executable, "-c", MADE_UP, *map(str, arguments)]
        return subprocess.run(line, capture_output=True, text=True)

    np.save("rows.npy", [[0.0, 1, 1, 5, 5]])
    done = run(*RUN, "shifted", "--by", 0)
    assert (done.returncode, done.stderr) == (0, "")
    expected = roipool.roi_pool(MAPS, np.load("rows.npy"), 7, 1 / 16)
    np.testing.assert_array_equal(np.load("out.npy"), expected)
    assert "shifted needs --by" in run(*RUN, "shifted").stderr
    explained = run("explain", "maps.npy", "--roi", 0, 0, 0, 4, 4, "--operator", "shifted")
    assert (
        "shifted cannot be explained yet; roi_pool, roi_pool_avg, roi_align, "
        in run(
            "explain", "maps.npy", "--roi", 0, 0, 0, 4, 4, "--operator", "shifted", "--by", 1
        ).stderr
    )
    assert explained.returncode == 2


@pytest.mark.parametrize(
    ("row", "error", "column", "reason"),
    [
        ([2, 0, 0, 4, 4], IndexError, 0, "has batch index 2, but data holds 2 images (0 to 1); "),
        ([0.5, 0, 0, 4, 4], ValueError, 0, "has batch index 0.5, which is no whole number"),
        ([0, 0, np.nan, 4, 4], ValueError, 2, "is nan; expected a finite coordinate"),
        ([0, 0, 0, 4, 1e300], ValueError, 4, "is 1e+300, which overflows when multiplied by"),
    ],
)
def test_errors_of_a_row_carry_its_place(row, error, column, reason):
    rows = np.array([[0, 0, 0, 1, 1], row])
    with pytest.raises(error) as caught:
        roipool.roi_pool(MAPS, rows, 2)
    copy = pickle.loads(pickle.dumps(caught.value))
    for found in (caught.value, copy):
        assert (found.row, found.column) == (1, column)
        assert found.reason.startswith(reason)
        assert str(found) == str(caught.value)
        assert str(found).startswith("rois[1")
        assert str(found).endswith(found.reason)
