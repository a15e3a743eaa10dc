"""What the command refuses, and what it leaves behind when it fails or is stopped."""

import errno
import os
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from command_line import MAPS, ROWS, coco, files, folder, photos, roipool_command  # noqa: F401
from roipool.command import chunked

pytestmark = pytest.mark.usefixtures("folder")


def bad_files():
    np.save("3d.npy", MAPS[0])
    np.save("complex.npy", MAPS.astype(complex))
    np.save("objects.npy", np.array([None]), allow_pickle=True)
    np.savez("two.npz", a=MAPS, b=MAPS)
    np.save("k4.npy", ROWS[:, 1:])
    Path("text.npy").write_text("no array")
    Path("empty.npy").touch()
    Path("cut.npy").write_bytes(Path("maps.npy").read_bytes()[:-1])
    Path("cut.npz").write_bytes(Path("two.npz").read_bytes()[:200])
    np.save("nan.npy", np.where(np.arange(25).reshape(5, 5) == 18, np.nan, ROWS))
    photos("a.png")
    photos("b.png", size=(5, 5))
    Path("cut.png").write_bytes(Path("a.png").read_bytes()[:900])
    Path("cell.csv").write_text("x1,y1,x2,y2\n1,2,3,4\n\n1,2,3,four\n")
    Path("inf.csv").write_text("x1,y1,x2,y2\n\n1,2,3,4\n1,2,inf,4\n")
    Path("short.csv").write_text("x1,y1,x2,y2\n1,2,3\n")
    Path("header.csv").write_text("left,top\n1,2\n")
    Path("latin.csv").write_bytes(b"x1,y1,x2,y2\n\xff")
    Path("bad.json").write_text('{"images": [1,}')
    Path("deep.json").write_text("[" * 100_000)
    Path("list.json").write_text("[]")
    coco("three.json", "abc", [(2, [0, 0, 1, 1])])
    coco("bbox.json", ["a.png"], [(0, [1, 2, 3])])
    coco("unknown.json", ["a.png"], [(7, [1, 2, 3, 4])])
    coco("other.json", ["c.png"], [])


ERRORS = {
    "pool no.npy rows.npy -o o.npy": "no.npy does not exist",
    "pool . rows.npy -o o.npy": ". is a folder",
    "pool 3d.npy rows.npy -o o.npy": "(5, 9, 12); expected feature maps (N, C, H, W); add",
    "pool complex.npy rows.npy -o o.npy": "complex.npy has dtype complex128; expected one of",
    "pool objects.npy rows.npy -o o.npy": "objects.npy holds Python objects, which are never",
    "pool two.npz rows.npy -o o.npy": "two.npz holds 2 arrays (a, b); expected one",
    "pool text.npy rows.npy -o o.npy": "text.npy is no readable .npy file",
    "pool empty.npy rows.npy -o o.npy": "empty.npy is no readable .npy file",
    "pool cut.npy rows.npy -o o.npy": "cut.npy is cut short",
    "pool cut.npz rows.npy -o o.npy": "cut.npz is no readable .npz file",
    "pool cut.png rows.npy -o o.npy": "cut.png cannot be read as an image",
    "pool cell.csv rows.npy -o o.npy": "cell.csv is neither an array nor an image",
    "pool a.png b.png rows.npy -o o.npy": "b.png is 5 x 5 pixels, but a.png is 30 x 20",
    "pool a.png maps.npy rows.npy -o o.npy": "2 files, among them the array maps.npy",
    "pool maps.npy k4.npy -o o.npy": "k4.npy has shape (5, 4); expected (K, 5)",
    "pool maps.npy objects.npy -o o.npy": "objects.npy holds Python objects",
    "pool maps.npy a.png -o o.npy": "a.png is no file of regions; expected a .npy",
    "pool maps.npy nan.npy -o o.npy": "nan.npy, row 3 (from 0), x2 is nan",
    "pool maps.npy cell.csv -o o.npy": "cell.csv, line 4, column y2: 'four' is no number",
    "pool maps.npy inf.csv -o o.npy": "inf.csv, line 4, x2 is inf",
    "pool maps.npy short.csv -o o.npy": "short.csv, line 2 has 3 cells; the header has 4",
    "pool maps.npy header.csv -o o.npy": "header.csv has no column x1",
    "pool maps.npy latin.csv -o o.npy": "latin.csv is not UTF-8",
    "pool maps.npy bad.json -o o.npy": "bad.json, line 1, column 15 is no JSON",
    "pool maps.npy deep.json -o o.npy": "deep.json",
    "pool maps.npy list.json -o o.npy": "list.json is no COCO annotation file",
    "pool maps.npy three.json -o o.npy": "three.json lists 3 images, but maps.npy holds 2",
    "pool a.png bbox.json -o o.npy": "bbox.json, annotations[0] has bbox [1, 2, 3]; expected four",
    "pool a.png unknown.json -o o.npy": "unknown.json, annotations[0] has image_id 17",
    "pool a.png other.json -o o.npy": "other.json does not list the image a.png",
    "pool maps.npy rows.npy -o no/o.npy": "no folder no to write o.npy in",
    "pool maps.npy rows.npy -o .": ". is a folder",
    "pool maps.npy rows.npy -o o.npz": "name it o.npy",
    "pool maps.npy rows.npy -o maps.npy": "maps.npy is an input too",
    "pool maps.npy rows.npy -o ./rows.npy": "rows.npy is an input too",
    "pool maps.npy rows.npy -o o.npy --argmax o.npy": "name two files",
    "pool maps.npy rows.npy -o o.npy --pooled-size 0 2": "--pooled-size is (0, 2)",
    "pool maps.npy rows.npy -o o.npy --pooled-size 10000000 10000000": "are free there",
    "pool maps.npy rows.npy -o o.npy --spatial-scale nan": "--spatial-scale is nan",
    "pool maps.npy rows.npy -o o.npy --threads 0": "--threads",
    "pool maps.npy rows.npy -o o.npy --no-such": "No such option: --no-such",
    "pool maps.npy -o o.npy": "expected DATA and then ROIS; see roipool pool --help",
    "pool maps.npy rows.npy": "-o",
    "explain maps.npy --roi 0 0 0 4": "--roi has 4 numbers, but roi_pool takes 5: batch_index, x1",
    "explain maps.npy --roi": "'--roi' requires an argument; see roipool explain --help",
    "explain maps.npy --roi x": "--roi is 'x'; expected numbers: batch_index, x1, y1, x2, y2",
    "explain maps.npy --roi 0 0 0 4 4 --roi 0 0 0 9 9": "--roi is given 2 times for 1 operator;",
    "explain maps.npy --roi 2 0 0 4 4": "--roi has batch index 2, but maps.npy holds 2 images",
    "explain maps.npy --roi -1 0 0 4 4": "--roi has the negative batch index -1",
    "explain maps.npy --roi 0 0 0 4 4 --channel 5": "5 channels (0 to 4)",
    "explain maps.npy --roi 0 0 0 4 4 -o o.gif": "expected .png, .svg or .pdf",
    "explain maps.npy --roi 0 0 0 4 4 -o no/o.png": "no folder no",
    "explain a.png --roi 0 0 0 4 4 -o a.png": "a.png is an input too",
    "demo --output maps.npy": "maps.npy cannot be made",
    "no-such": "No such command 'no-such'",
}


def test_every_bad_input_is_one_line_and_status_2(capsys):
    bad_files()
    before = files()
    for arguments, expected in ERRORS.items():
        status, out, err = roipool_command(capsys, *shlex.split(arguments))
        assert (status, out) == (2, ""), arguments
        assert err.startswith("roipool: "), arguments
        assert err.count("\n") == 1, arguments
        assert expected in err
        assert files() == before, arguments


@pytest.mark.parametrize("package", ["typer", "matplotlib.figure", "PIL"])
def test_missing_packages(capsys, monkeypatch, package):
    monkeypatch.setitem(sys.modules, package, None)
    monkeypatch.delitem(sys.modules, "roipool.command.picture", raising=False)
    data = "a.png" if package == "PIL" else "maps.npy"
    Path("a.png").touch()
    status, _, err = roipool_command(capsys, "explain", data, "--roi", 0, 0, 0, 4, 4, "-o", "o.png")
    assert status == 2
    assert err.count("\n") == 1
    assert err.endswith("which is not installed: pip install 'roipool[cli]'\n")


@pytest.mark.parametrize(
    ("failure", "status"),
    [
        (KeyboardInterrupt(), 130),
        (MemoryError(), 2),
        (OSError(errno.EIO, "Input/output error"), 2),
        (RuntimeError("unforeseen"), 1),
    ],
)
def test_a_run_that_fails_half_way_leaves_the_folder_as_it_was(
    capsys, monkeypatch, failure, status
):
    Path("out.npy").write_text("of an earlier run")
    before = files()
    monkeypatch.setattr(chunked, "RESULT_BYTES", 1)
    pool, calls = chunked.door.pool, []

    def failing(*args, **kwargs):
        calls.append(args)
        if len(calls) > 4:
            raise failure
        return pool(*args, **kwargs)

    monkeypatch.setattr(chunked.door, "pool", failing)
    got, _, err = roipool_command(capsys, "pool", "maps.npy", "rows.npy", "-o", "out.npy")
    assert (got, err.strip().count("\n")) == (status, 0)
    assert files() == before
    assert Path("out.npy").read_text() == "of an earlier run"


def test_a_full_disk(capsys, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", full, raising=False)
    status, _, err = roipool_command(capsys, "pool", "maps.npy", "rows.npy", "-o", "out.npy")
    assert (status, err) == (2, "roipool: out.npy cannot be written: the disk has no room for it\n")
    assert files() == ["maps.npy", "rows.npy"]


SLOW = """
import signal, sys, time
signal.signal(signal.SIGINT, signal.default_int_handler)
from roipool import command
from roipool.command import chunked
pool, chunked.RESULT_BYTES = chunked.door.pool, 1
def slow(*args, **kwargs):
    time.sleep(0.05)
    return pool(*args, **kwargs)
chunked.door.pool = slow
sys.argv[1:] = "pool maps.npy rows.npy -o out.npy".split()
command.main()
"""


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_run_that_is_stopped_leaves_no_file(number, status):
    process = subprocess.Popen([sys.executable, "-c", SLOW], stderr=subprocess.PIPE, text=True)
    end = time.monotonic() + 20
    while not list(Path().glob(".out.npy.*.part")) and time.monotonic() < end:
        time.sleep(0.01)
    time.sleep(0.1)
    process.send_signal(number)
    _, err = process.communicate(timeout=20)
    assert process.returncode == status
    assert "Traceback" not in err
    assert files() == ["maps.npy", "rows.npy"]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no FIFOs")
def test_what_is_no_regular_file_is_not_replaced(capsys):
    os.mkfifo("pipe.npy")
    Path("null.npy").symlink_to("/dev/null")
    for out in ("pipe.npy", "null.npy"):
        status, _, err = roipool_command(capsys, "pool", "maps.npy", "rows.npy", "-o", out)
        assert status == 2
        assert err == f"roipool: {out} is there and no regular file; name a file, or a new one\n"
    assert Path("pipe.npy").is_fifo()
    assert Path("null.npy").is_symlink()
    assert files() == ["maps.npy", "null.npy", "pipe.npy", "rows.npy"]


def test_a_link_is_followed_and_a_planted_one_is_not(capsys):
    Path("elsewhere").mkdir()
    Path("out.npy").symlink_to("elsewhere/values.npy")
    Path("precious").write_text("mine")
    Path(f"elsewhere/.values.npy.{os.getpid()}.part").symlink_to("../precious")
    assert roipool_command(capsys, "pool", "maps.npy", "rows.npy", "-o", "out.npy")[0] == 0
    assert Path("out.npy").is_symlink()
    assert np.load("elsewhere/values.npy").ndim == 4
    assert Path("precious").read_text() == "mine"


@pytest.mark.skipif(sys.platform == "win32", reason="there are no locks to tell by")
def test_what_a_killed_run_left_is_cleared_and_what_another_writes_is_not(capsys):
    process = subprocess.Popen([sys.executable, "-c", SLOW], stderr=subprocess.PIPE)
    end = time.monotonic() + 20
    while not (left := [*Path().glob(".out.npy.*.part")]) and time.monotonic() < end:
        time.sleep(0.01)
    time.sleep(0.1)
    assert roipool_command(capsys, "pool", "maps.npy", "rows.npy", "-o", "out.npy")[0] == 0
    assert [*Path().glob(".out.npy.*.part")] == left
    process.kill()
    process.communicate()
    assert roipool_command(capsys, "pool", "maps.npy", "rows.npy", "-o", "out.npy")[0] == 0
    assert files() == ["maps.npy", "out.npy", "rows.npy"]


def test_two_files_are_both_there_or_neither(capsys, monkeypatch):
    """Interrupted between the two."""
    replace = Path.replace

    def interrupted(self, target):
        signal.raise_signal(signal.SIGINT)
        return replace(self, target)

    monkeypatch.setattr(Path, "replace", interrupted)
    outputs = "-o", "out.npy", "--argmax", "at.npy"
    status, _, err = roipool_command(capsys, "pool", "maps.npy", "rows.npy", *outputs)
    assert (status, err) == (0, "")
    assert files() == ["at.npy", "maps.npy", "out.npy", "rows.npy"]


def test_no_program_is_run_on_a_picture(capsys, monkeypatch):
    from PIL import EpsImagePlugin

    monkeypatch.setattr(EpsImagePlugin, "Ghostscript", lambda *_, **__: pytest.fail("was run"))
    Path("photo.png").write_text(
        "%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\nshowpage\n%%EOF\n"
    )
    status, _, err = roipool_command(capsys, "pool", "photo.png", "rows.npy", "-o", "out.npy")
    assert status == 2
    assert "photo.png is neither an array nor an image; expected .npy, .npz, .jpg or .png" in err


LITTLE_MEMORY = """
import re, resource, sys
import numpy as np, rich.progress, roipool
from roipool.command import arguments, chunked, regions
from roipool import command
roipool.roi_pool(np.zeros((1, 64, 50, 50), np.float32), np.zeros((99, 5)), 7)  # starts the threads
in_use = int(re.search(r"VmData:\\s*(\\d+) kB", open("/proc/self/status").read())[1]) * 1024
resource.setrlimit(resource.RLIMIT_DATA, (in_use + (160 << 20),) * 2)
try:
    np.ones(200 << 20, np.uint8)
except MemoryError:
    pass
else:
    sys.exit("the limit does not work")
sys.argv[1:] = "pool maps.npy rows.npy -o out.npy".split()
command.main()
"""


@pytest.mark.skipif(sys.platform != "linux", reason="RLIMIT_DATA counts mappings on Linux alone")
def test_neither_features_nor_result_must_fit_in_memory():
    maps = np.lib.format.open_memmap("maps.npy", "w+", np.uint8, (40, 256, 160, 160))  # sparse
    maps[:, :, 0, 0] = np.arange(40)[:, None]
    rows = np.zeros((20_000, 5))
    rows[:, 0] = np.arange(20_000) % 40
    rows[:, 3:] = 99
    np.save("rows.npy", rows)
    done = subprocess.run([sys.executable, "-c", LITTLE_MEMORY], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert maps.nbytes > 200 << 20
    out = np.load("out.npy", mmap_mode="r")
    assert out.nbytes > 200 << 20
    np.testing.assert_array_equal(out[:, 7, 0, 0], np.arange(20_000) % 40)


def test_a_reader_that_goes_away_sees_no_traceback():
    run = f"{shlex.quote(sys.executable)} -c 'from roipool.command import main; main()'"
    done = subprocess.run(["bash", "-c", f"{run} info | true"], capture_output=True, text=True)
    assert done.stderr == ""
