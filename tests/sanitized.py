"""The core built with one of the compiler's sanitizers, and what runs on it.

python tests/sanitized.py address     reads and writes outside of memory, undefined behaviour
python tests/sanitized.py thread      what two threads do to the same memory

run the tests that face the core, or those that are named behind. Each has an environment of its own
in .cache/sanitize, which takes Linux, GCC, and up to ten minutes to build.
"""

import os
import shutil
import subprocess
import sys
import time
import venv
from pathlib import Path

ROOT = Path(__file__).parent.parent
LIBRARY = {"address": "libasan.so", "thread": "libtsan.so"}
PACKAGES = [
    *("cmake", "nanobind", "ninja", "scikit-build-core"),
    *("hypothesis", "ml_dtypes", "psutil", "pytest", "pytest-xdist"),
]
OPTIONS = {
    # Python frees little when it ends; a test asks for memory that there is not.
    "ASAN_OPTIONS": "detect_leaks=0:allocator_may_return_null=1",
    "UBSAN_OPTIONS": "print_stacktrace=1",
    "TSAN_OPTIONS": f"halt_on_error=1:suppressions={ROOT / 'tests' / 'thread_sanitizer.txt'}",
}
REPORTS = ROOT / ".cache" / "sanitize" / "reports"  # processes of tests are silent
# What calls kernels without a framework: those have threads and memory of their own.
TESTS = [
    *("seam", "core", "maps", "taps", "samples", "samples_paths", "points", "twins", "in_place"),
    *("many_images", "backward", "errors", "rotated_points", "roi_pool", "roi_align", "generated"),
    *("concurrency", "mutated_inputs"),
]
# A call that each must stop at, lest it looks at nothing.
PLANTED = {
    "address": """if True:
        import ctypes
        import numpy as np
        import roipool

        data = np.ones((1, 1, 8, 8), np.float32)
        poison = ctypes.CDLL(None).__asan_poison_memory_region
        poison(ctypes.c_void_p(data.ctypes.data + 128), ctypes.c_size_t(64))
        roipool.roi_pool(data, [[0, 0, 0, 7, 7]], 1)
    """,
    "thread": """if True:
        import threading
        import numpy as np
        import roipool

        roipool.set_num_threads(1)
        rois = np.array([[0, 0, 0, 40, 40]] * 200, np.float32)
        data, out = np.ones((1, 64, 50, 50), np.float32), np.empty((200, 64, 7, 7), np.float32)

        def call():
            for _ in range(20):
                roipool.roi_pool(data, rois, 7, out=out)

        threads = [threading.Thread(target=call) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    """,
}
SAID = {"address": "use-after-poison", "thread": "data race"}
LEFT_OUT = {
    # Sanitizers take memory themselves, and theirs is given back late.
    "address": "not memory and not kept and not resident",
    # A process with threads cannot fork under it.
    "thread": "not memory and not kept and not resident and not fork and not child",
}


def python_with(kind: str) -> Path:
    """The Python of an environment that has the package so built, anew if a source is newer."""
    home = ROOT / ".cache" / "sanitize" / kind
    python, ready = home / "bin" / "python", home / "ready"
    sources = [
        *ROOT.glob("csrc/*"),
        *ROOT.glob("src/roipool/**/*.py"),
        *(ROOT / "CMakeLists.txt", ROOT / "tests" / "generated" / "coverage.cpp"),
    ]
    if ready.exists() and ready.stat().st_mtime > max(s.stat().st_mtime for s in sources):
        return python
    began = time.time()
    if not python.exists():
        venv.create(home, with_pip=True)
    install = [python, "-m", "pip", "install", "--quiet"]
    subprocess.check_call([*install, *PACKAGES, *(["atheris"] if kind == "address" else [])])
    # In this environment, so that the next time builds what has changed alone.
    options = [f"-Ccmake.define.ROIPOOL_SANITIZE={kind}", f"-Cbuild-dir={home / 'build'}"]
    how = ["--no-build-isolation", "-Cinstall.strip=false"]
    path = {"PATH": f"{python.parent}{os.pathsep}{os.environ['PATH']}"}
    subprocess.check_call([*install, *how, *options, str(ROOT)], env=os.environ | path)
    ready.touch()
    os.utime(ready, (began, began))  # what changed meanwhile is not in it
    return python


def environment(kind: str) -> dict[str, str]:
    """In which a Python that was built without a sanitizer loads what was built with it."""
    compiler = os.environ.get("CXX", "g++")
    found = [
        subprocess.check_output([compiler, f"-print-file-name={name}"], text=True).strip()
        for name in (LIBRARY[kind], "libstdc++.so")
    ]
    return {**os.environ, **OPTIONS, "LD_PRELOAD": " ".join(found)}


def refuse_blindness(kind: str) -> None:
    """Raise unless the sanitizer sees what the core does."""
    command = [python_with(kind), "-c", PLANTED[kind]]
    done = subprocess.run(command, env=environment(kind), capture_output=True, text=True)
    if done.returncode == 0 or SAID[kind] not in done.stderr:
        raise SystemExit(f"the sanitizer of kind {kind} misses what was planted:\n{done.stderr}")


def main(kind: str, *tests: str) -> int:
    refuse_blindness(kind)
    every = [str(ROOT / "tests" / f"test_{name}.py") for name in TESTS]
    how = ["-q", "-p", "no:cacheprovider", "-k", LEFT_OUT[kind], "-n", "2", "--dist", "loadfile"]
    command = [python_with(kind), "-m", "pytest", *how, *(tests or every)]
    shutil.rmtree(REPORTS, ignore_errors=True)
    REPORTS.mkdir()
    env = environment(kind)
    env |= {name: f"{env[name]}:log_path={REPORTS}/{name[:4]}" for name in OPTIONS}
    status = subprocess.call(command, env=env, cwd=ROOT)
    reports = sorted(REPORTS.iterdir())
    for report in reports:
        print(report.read_text())
    print(f"{kind}: {len(reports)} reports")
    return status or bool(reports)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
