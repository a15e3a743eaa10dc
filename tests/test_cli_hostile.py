"""Files that were made to harm: one clear line, of bounded length, that no terminal obeys."""

import io
import os
import struct
import subprocess
import sys
import warnings
import zipfile
import zlib
from pathlib import Path

import numpy as np
import pytest

import roipool
from command_line import files, folder, photos, roipool_command  # noqa: F401
from process_memory import resident
from roipool.command.words import MOST_LETTERS, plain

pytestmark = pytest.mark.usefixtures("folder")
OK = np.zeros((1, 2, 8, 8), np.float32)
ESCAPE = "\x1b[31m"


def npy(name, shape, descr="<f4"):
    header = f"{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}, }}".encode()
    header += b" " * (-(len(header) + 11) % 64) + b"\n"
    Path(name).write_bytes(b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header)


def npz(name, **members):
    stored = io.BytesIO()
    np.save(stored, OK)
    with warnings.catch_warnings(), zipfile.ZipFile(name, "w") as archive:
        warnings.simplefilter("ignore")  # of names that come twice
        for each, content in members.items():
            archive.writestr(f"{each}.npy", content or stored.getvalue())


def flagged(name, place, value):
    """An archive whose only member claims something of itself."""
    npz(name, a=b"")
    raw = bytearray(Path(name).read_bytes())
    for start, offset in ((b"PK\x01\x02", place + 2), (b"PK\x03\x04", place)):
        raw[raw.find(start) + offset] = value
    Path(name).write_bytes(raw)


def coco(name, bbox):
    image, region = '{"id": 1}', f'{{"image_id": 1, "bbox": {bbox}}}'
    Path(name).write_text(f'{{"images": [{image}, {{"id": 2}}], "annotations": [{region}]}}')


ARRAYS = {
    "huge.npy": (lambda n: npy(n, f"({2**200}, 1, 1, 1)"), "is no readable .npy file"),
    "wide.npy": (lambda n: npy(n, f"({2**62}, {2**62}, 0, 1)"), "is no readable .npy file"),
    "negative.npy": (lambda n: npy(n, "(-1, 1, 1, 1)"), "is no readable .npy file"),
    "text.npy": (lambda n: npy(n, "('a',)"), "is no readable .npy file"),
    "truth.npy": (lambda n: np.save(n, OK > 0), "has dtype bool; expected"),
    "time.npy": (lambda n: np.save(n, OK.astype("M8[s]")), "has dtype datetime64[s]; expected"),
    "words.npz": (lambda n: npz(n, a=b"hello"), "holds 'a', which is no array; expected"),
    "locked.npz": (lambda n: flagged(n, 6, 1), "is encrypted; decrypt it first"),
    "packed.npz": (lambda n: flagged(n, 8, 99), "is compressed in a way that Python does not"),
    "many.npz": (
        lambda n: npz(n, **{f"n{i}": b"" for i in range(2000)}),
        "holds 2000 arrays (n0, n1, n2, n3, …, n1999); expected one, or one named",
    ),
    "red.npz": (
        lambda n: npz(n, **{f"{ESCAPE}{i}": b"" for i in range(2)}),
        r"holds 2 arrays (\x1b[31m0, \x1b[31m1)",
    ),
}


def refused(capsys, message, *arguments):
    before = files()
    status, out, error = roipool_command(capsys, *arguments)
    assert (status, out) == (2, "")
    assert message in error, error
    assert error.startswith("roipool: ")
    assert error.count("\n") == 1
    assert len(error) < MOST_LETTERS + 20
    assert error[:-1].isprintable()
    assert files() == before


@pytest.mark.parametrize("name", ARRAYS)
def test_arrays(name, capsys):
    make, message = ARRAYS[name]
    make(name)
    refused(capsys, f"{name} {message}", "pool", name, "rows.npy", "-o", "o.npy")
    if "bool" not in message and "time" not in message:
        message = message.replace("named 'data'", "named 'rois'")
        refused(capsys, f"{name} {message}", "pool", "maps.npy", name, "-o", "o.npy")


BOXES = ['"1234"', '{"a": 1, "b": 2, "c": 3, "d": 4}', "[true, 1, 2, 3]", '["1", "2", "3", "4"]']


@pytest.mark.parametrize("bbox", [*BOXES, "[1, 2, 3]", "[[1], 2, 3, 4]", "null", f"[{'9' * 400}]"])
def test_boxes_that_are_no_four_numbers(bbox, capsys):
    coco("b.json", bbox)
    message = "b.json, annotations[0] has bbox "
    refused(capsys, message, "pool", "maps.npy", "b.json", "-o", "o.npy")


def test_numbers_of_thousands_of_digits(capsys):
    coco("b.json", f"[1, 2, 3, {'9' * 5000}]")
    refused(capsys, "b.json is no COCO file", "pool", "maps.npy", "b.json", "-o", "o.npy")


CELLS = ["1_0", "１２", "1\0", "0x10", "1e", "--1", "", "1 2", "z" * 100_000, f"{ESCAPE}1"]


@pytest.mark.parametrize("cell", CELLS, ids=lambda cell: ascii(cell[:9]))
def test_cells_that_are_no_number(cell, capsys):
    Path("b.csv").write_text(f"x1,y1,x2,y2\n{cell},1,2,3\n", encoding="utf-8")
    message = "b.csv, line 2, column x1: "
    refused(capsys, message, "pool", "maps.npy", "b.csv", "-o", "o.npy")


@pytest.mark.parametrize("cell", ["1", " +1.5 ", "-.5", "2.", "1e1", "1E-2"])
def test_cells_that_are_numbers(cell, capsys):
    Path("b.csv").write_text(f"x1,y1,x2,y2\n{cell},1,2,3\n")
    assert roipool_command(capsys, "pool", "maps.npy", "b.csv", "-o", "o.npy")[0] == 0


def test_headers_that_colour(capsys):
    Path("b.csv").write_text(f"{ESCAPE}x1,y1\n1,2\n")
    refused(capsys, r"'\x1b[31mx1,y1'", "pool", "maps.npy", "b.csv", "-o", "o.npy")


def test_names_of_files(capsys):
    name = f"{ESCAPE}red.npy"
    refused(capsys, r"\x1b[31mred.npy does not", "pool", name, "rows.npy", "-o", "o.npy")
    refused(capsys, "a b.npy does not exist", "pool", "a\nb.npy", "rows.npy", "-o", "o.npy")
    np.save(name, np.load("maps.npy"))
    status, out, _ = roipool_command(capsys, "pool", name, "rows.npy", "-o", "o.npy")
    assert status == 0
    assert out.startswith(r"\x1b[31mred.npy (2, 5, 9, 12)")
    refused(capsys, "… ", "pool", "x" * 5000, "rows.npy", "-o", "o.npy")


def test_a_link_to_itself(capsys):
    Path("loop.npy").symlink_to("loop.npy")
    message = "loop.npy is a link that leads back to itself; name a file"
    refused(capsys, message, "pool", "maps.npy", "rows.npy", "-o", "loop.npy")


@pytest.mark.parametrize("name", ["a$b$c.png", "$\\frac{1}$.png", os.fsdecode(b"\xff\xfe.png")])
def test_titles_of_pictures(name, capsys):
    photos(name)
    given = "explain", name, "--roi", "0", "3", "3", "9", "9", "-o", "picture.png"
    assert roipool_command(capsys, *given)[:2] == (0, "wrote picture.png\n")


def test_plain():
    assert plain(" a\tb\r\n c ") == "a b c"
    assert plain("\x07\x9b2J\u202eé…") == r"\x07\x9b2J\u202eé…"
    long = plain("x" * 10_000 + "end")
    assert len(long) == MOST_LETTERS + 3
    assert long.endswith("end")


def chunk(kind, content):
    named = kind + content
    return struct.pack(">I", len(content)) + named + struct.pack(">I", zlib.crc32(named))


def test_files_that_unfold(capsys):
    """A picture of 400 million pixels in 50 KB, and a thousand million rows in none."""
    side = 20_000
    lines = zlib.compress(bytes((1 + side // 8) * side), 9)
    head = struct.pack(">IIBBBBB", side, side, 1, 0, 0, 0, 0)
    parts = chunk(b"IHDR", head) + chunk(b"IDAT", lines) + chunk(b"IEND", b"")
    Path("bomb.png").write_bytes(b"\x89PNG\r\n\x1a\n" + parts)
    message = "bomb.png cannot be read as an image: Image size (400000000 pixels)"
    refused(capsys, message, "pool", "bomb.png", "rows.npy", "-o", "o.npy")
    npy("many.npy", (10**9, 5))
    os.truncate("many.npy", Path("many.npy").stat().st_size + 20 * 10**9)
    began = resident()
    refused(capsys, "o.npy needs", "pool", "maps.npy", "many.npy", "-o", "o.npy")
    assert resident() - began < 100 << 20


def test_names_that_look_like_options(capsys):
    np.save("-x.npy", np.load("maps.npy"))
    refused(capsys, "No such option: -x", "pool", "-x.npy", "rows.npy", "-o", "o.npy")
    for name in ("./-x.npy", ["--", "-x.npy"]):
        given = [name] if isinstance(name, str) else name
        status = roipool_command(capsys, "pool", "-o", "o.npy", *given, "rows.npy")[0]
        assert status == 0


def test_wrong_endings(capsys):
    Path("maps.txt").write_bytes(Path("maps.npy").read_bytes())
    message = "maps.txt is neither an array nor an image; expected .npy, .npz, .jpg or .png"
    refused(capsys, message, "pool", "maps.txt", "rows.npy", "-o", "o.npy")
    Path("maps.png").write_bytes(Path("maps.npy").read_bytes())
    message = message.replace(".txt", ".png")
    refused(capsys, message, "pool", "maps.png", "rows.npy", "-o", "o.npy")


def test_bytes_that_are_no_text(capsys):
    Path("nul.csv").write_bytes(b"batch_index,x1,y1,x2,y2\n0,1,1,\x009,9\n")
    message = r"nul.csv, line 2, column x2: '\x009' is no number"
    refused(capsys, message, "pool", "maps.npy", "nul.csv", "-o", "o.npy")


def test_runs_onto_one_target():
    """At once: the result is that of one of them, whole."""
    rows = np.tile(np.load("rows.npy"), (2000, 1))
    results = []
    for i, own in enumerate((rows, rows[::-1])):
        np.save(f"rows{i}.npy", own)
        results.append(roipool.roi_pool(np.load("maps.npy"), own, 7, 1 / 16))
    code = "from roipool.command import main; main()"
    command = [sys.executable, "-c", code, "pool", "maps.npy"]
    for _ in range(3):
        runs = [
            subprocess.Popen([*command, f"rows{i}.npy", "-o", "o.npy"], stdout=subprocess.DEVNULL)
            for i in range(2)
        ]
        assert [run.wait(60) for run in runs] == [0, 0]
        found = np.load("o.npy")
        assert any(np.array_equal(found, result) for result in results)
        assert files() == ["maps.npy", "o.npy", "rows.npy", "rows0.npy", "rows1.npy"]
