"""Calls that a fuzzer makes up, guided by the branches of the native core that they take.

python tests/generated/fuzz.py 600            seconds, on each instruction set (make fuzz T=600)
python tests/generated/fuzz.py 600 --keep     and keep the fewest inputs that take all branches
python tests/generated/fuzz.py FILE           one input again

The core is built for it with the sanitizers of addresses and of undefined behaviour (see
../sanitized.py). An input that fails is left in .cache/fuzz, beside all that took a new branch.
"""

import ctypes
import os
import re
import shutil
import subprocess
import sys
from hashlib import sha1
from pathlib import Path

TESTS = Path(__file__).parents[1]
CORPUS = Path(__file__).with_name("corpus.txt")  # an input a line
FOUND = TESTS.parent / ".cache" / "fuzz"
LIMITS = ["-max_len=400", "-len_control=0", "-timeout=60", "-rss_limit_mb=8000"]


def one_input(given: bytes) -> None:
    """Any call of a kernel, or now and then of an operator."""
    from door import Door
    from family import EVERY
    from generated import kernel_calls, operator_calls
    from generated.choices import Choices

    choices = Choices(given)
    if choices.number(0, 7) < 7:
        kernel_calls.check(choices)
    else:
        operator_calls.check(choices, Door(), choices.of(EVERY))


def corpus() -> list[bytes]:
    return [bytes.fromhex(line) for line in CORPUS.read_text().split()]


def guided(*flags: str) -> None:
    """Inputs as libFuzzer makes them, told what coverage.cpp counts."""
    import atheris

    from roipool import _core

    core = ctypes.CDLL(_core.__file__)
    size = ctypes.c_size_t.in_dll(core, "roipool_counters_size").value
    counters = (ctypes.c_uint8 * size).in_dll(core, "roipool_counters")
    places = (ctypes.c_size_t * (2 * size))()  # pairs: of what a counter counts, and flags
    places[::2] = range(1, size + 1)
    (library,) = Path(atheris.__file__).parent.glob("core_with_libfuzzer*.so")
    fuzzer = ctypes.CDLL(str(library))
    for tell, array in (("8bit_counters", counters), ("pcs", places)):
        begin = ctypes.addressof(array)
        ends = map(ctypes.c_void_p, (begin, begin + ctypes.sizeof(array)))
        getattr(fuzzer, f"__sanitizer_cov_{tell}_init")(*ends)
    atheris.Setup([sys.argv[0], *flags], one_input)
    atheris.Fuzz()


def started(*arguments: str | Path, isa: str = "") -> subprocess.Popen:
    """This file run on the core that was built for it."""
    from sanitized import environment, python_with

    command = [python_with("address"), __file__, *map(str, arguments)]
    env = environment("address") | ({"ROIPOOL_ISA": isa} if isa else {})
    return subprocess.Popen(command, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)


def isas() -> list[str]:
    code = "from roipool import _core; print(*_core.isas())"
    from sanitized import environment, python_with

    command = [python_with("address"), "-c", code]
    return subprocess.check_output(command, env=environment("address"), text=True).split()


def fuzz(seconds: int, *, keep: bool) -> int:
    """On each instruction set in a process of its own; they tell each other what they find."""
    FOUND.mkdir(parents=True, exist_ok=True)
    for given in corpus():
        (FOUND / sha1(given).hexdigest()).write_bytes(given)
    flags = [*LIMITS, f"-max_total_time={seconds}", "-reload=1", "-print_final_stats=1"]
    processes = {
        isa: started("--guided", f"-artifact_prefix={FOUND}/failed-", *flags, FOUND, isa=isa)
        for isa in isas()
    }
    failed = 0
    for isa, process in processes.items():
        said = process.communicate()[0].decode(errors="replace")
        branches = re.findall(r"cov: (\d+)", said)[-1:]
        calls = re.findall(r"number_of_executed_units: (\d+)", said)
        print(f"{isa}: {' '.join(calls)} calls, {' '.join(branches)} branches", flush=True)
        if process.returncode:
            told = [line for line in said.splitlines() if not re.match(r"#\d+\s|INFO:", line)]
            print("\n".join(told[:200]), f"\nstatus {process.returncode}")
            failed += 1
    if keep and not failed:
        keep_fewest()
    return failed


def keep_fewest() -> None:
    fewest = FOUND.with_name("fuzz-fewest")
    shutil.rmtree(fewest, ignore_errors=True)
    fewest.mkdir()
    started("--guided", *LIMITS, "-merge=1", fewest, FOUND).communicate()
    if not any(fewest.iterdir()):
        raise SystemExit("no input is left: the corpus stays as it is")
    lines = sorted(
        (path.read_bytes().hex() for path in fewest.iterdir()), key=lambda x: (len(x), x)
    )
    CORPUS.write_text("".join(f"{line}\n" for line in lines if line))
    print(f"{len(lines)} inputs are kept")


def main(what: str, *more: str) -> int:
    sys.path.insert(0, str(TESTS))
    os.chdir(TESTS)
    if what == "--guided":
        guided(*more)
    elif what == "--one":
        one_input(Path(more[0]).read_bytes())
    elif not what.isdecimal():
        process = started("--one", Path(what).resolve())
        print(process.communicate()[0].decode(errors="replace"))
        return process.returncode
    else:
        return fuzz(int(what), keep="--keep" in more)
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
