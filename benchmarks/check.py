"""The command `python -m benchmarks.check`: is this tree slower than a git revision?

The revision is built into a virtual environment of its own, beside the NumPy that runs here; then
both are measured interleaved on the same workloads, by the same worker: this tree's.
"""

import shutil
import subprocess
import sys
import tarfile
from importlib.metadata import version
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from benchmarks.agreement import DisagreementError, NoAnswerError
from benchmarks.processes import ROOT, Contender
from benchmarks.runs import Outcome, measure
from benchmarks.workloads import MAIN, Workload, chosen

ALLOWED = 1.10  # the median of ratios, tree / revision
LIMIT = 60  # seconds of a turn


def main(
    revision: Annotated[str, typer.Argument(help="What git calls it.")] = "HEAD",
    workload: Annotated[list[str], typer.Option(help="Repeatable; main, all, or a name.")] = MAIN,
    rounds: Annotated[int, typer.Option(min=1)] = 15,
    threads: Annotated[int, typer.Option(min=1)] = 2,
) -> None:
    """Fail when this tree is over 10 % slower than a revision on any workload."""
    try:
        workloads, commit = chosen(workload), commit_of(revision)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None
    console = Console(highlight=False)
    with console.status(f"building {revision}"):
        python = built(commit)
    module = "benchmarks.contenders.roipool"
    pair = [
        Contender(revision, module, threads, str(python)),
        Contender("this tree", module, threads),
    ]
    passed = [judge(each, pair, rounds, console) for each in workloads]
    sys.exit(not all(passed))


def judge(workload: Workload, pair: list[Contender], rounds: int, console: Console) -> bool:
    """Measure, and once more for twice as long before calling it slower: machines are noisy."""
    for attempt in (rounds, 2 * rounds):
        with console.status(workload.name):
            try:
                base, tree = measure(workload, pair, attempt, LIMIT)
            except NoAnswerError as error:
                console.print(f"{workload.name:20} {error}", soft_wrap=True)
                return error.unsupported  # what the revision cannot do it has not done faster
            except DisagreementError as error:
                console.print(f"[red]{error}[/]", soft_wrap=True)
                return False
        failure = base.failure or tree.failure
        if failure:
            console.print(f"[red]{workload.name}: {failure}[/]", soft_wrap=True)
            return False
        ratio = tree.ratio_to(base)
        console.print(f"{workload.name:20} {told(base)}, {told(tree)}: {ratio:.3f}")
        if ratio <= ALLOWED:
            return True
        console.print(f"{workload.name:20} is over {ALLOWED}")
    return False


def told(outcome: Outcome) -> str:
    return f"{outcome.contender.name} {outcome.median * 1e3:.3f} ms"


def commit_of(revision: str) -> str:
    command = ["git", "rev-parse", "--verify", f"{revision}^{{commit}}"]
    found = subprocess.run(command, cwd=ROOT, text=True, capture_output=True)
    if found.returncode:
        raise ValueError(f"git knows no revision {revision!r}: {found.stderr.strip()}")
    return found.stdout.strip()


def built(commit: str) -> Path:
    """The Python of a virtual environment that holds roipool as of a commit; made once."""
    pinned = [f"{name}=={version(name)}" for name in ("numpy", "ml_dtypes")]
    tag = "-".join([commit[:12], f"py{sys.version_info.major}.{sys.version_info.minor}", *pinned])
    home = ROOT / ".cache" / "bench" / tag
    python, done = home / "venv" / "bin" / "python", home / "done"
    if not done.exists():
        shutil.rmtree(home, ignore_errors=True)
        home.mkdir(parents=True)
        archive, source = home / "source.tar", home / "source"
        subprocess.check_call(["git", "archive", "-o", archive, commit], cwd=ROOT)
        with tarfile.open(archive) as packed:
            packed.extractall(source, filter="data")
        subprocess.check_call([sys.executable, "-m", "venv", home / "venv"])
        subprocess.check_call([python, "-m", "pip", "install", "--quiet", source, *pinned])
        done.touch()
    return python


if __name__ == "__main__":
    typer.run(main)
