"""The machine that times were taken on."""

import os
import platform
import re
import statistics
import subprocess
import sys
from pathlib import Path

IMPORT = (
    "import numpy, time; start = time.perf_counter(); import roipool; "
    "print(time.perf_counter() - start)"
)


def describe() -> dict[str, str]:
    """What a reader needs to judge the times."""
    pages, page = os.sysconf("SC_PHYS_PAGES"), os.sysconf("SC_PAGE_SIZE")
    return {
        "CPU": _cpu_model(),
        "cores": str(_cores()),
        "memory": f"{pages * page / 2**30:.0f} GiB",
        "kernel": f"{platform.system()} {platform.release()}",
        "load when started": f"{os.getloadavg()[0]:.1f}",
        "Python": platform.python_version(),
        "import roipool": f"{_import_seconds() * 1e3:.1f} ms beyond NumPy's own",
    }


def _import_seconds(repeats: int = 9) -> float:
    """The median time of `import roipool` where NumPy is imported already."""
    command = [sys.executable, "-c", IMPORT]
    runs = [subprocess.check_output(command, text=True) for _ in range(repeats)]
    return statistics.median(map(float, runs))


def _cores() -> int:
    """Those that this process may run on."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _cpu_model() -> str:
    info = Path("/proc/cpuinfo")
    found = re.search(r"model name\s*: (.+)", info.read_text()) if info.exists() else None
    return found[1] if found else platform.processor() or platform.machine()
