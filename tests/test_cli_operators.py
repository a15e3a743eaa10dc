"""Operators on the command line: by name, with their options as flags, whatever is described."""

import pickle
import subprocess
import sys

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


def test_photos_become_what_an_operator_takes(capsys):
    pixels = photos("a.png")
    np.save("rows.npy", [[0, 1.5, 2, 20, 15.5]])
    run = ("pool", "a.png", "rows.npy", "-o", "out.npy", "--operator", "roi_align")
    assert roipool_command(capsys, *run)[0] == 0
    expected = roipool.roi_align(pixels.astype(np.float32), np.load("rows.npy"), 7)
    np.testing.assert_array_equal(np.load("out.npy"), expected, strict=True)


ERRORS = {
    ("no_such",): "--operator is 'no_such'; expected roi_pool or roi_align",
    ("roi_align", "--argmax", "at.npy"): "roi_align has no winners, whose positions --argmax would "
    "write; leave it out, or choose --operator roi_pool",
    ("roi_pool", "--sampling-ratio", 2): "roi_pool has no --sampling-ratio, which is of roi_align",
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
        ("--aligned",): "roi_pool has no --aligned, which is of roi_align",
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
        "shifted cannot be explained yet; roi_pool and roi_align can"
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
