"""The command: `python -m benchmarks --help`."""

import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from benchmarks import machine, report
from benchmarks.agreement import DisagreementError
from benchmarks.contenders import FLOORS, PEERS, importable
from benchmarks.environments import python_of
from benchmarks.processes import Contender
from benchmarks.runs import measure
from benchmarks.workloads import GROUPS, MAIN, WORKLOADS, Workload, chosen

Workloads = Annotated[
    list[str], typer.Option(help=f"Repeatable: {', '.join([*GROUPS, *WORKLOADS])}.")
]
Peers = Annotated[
    list[str],
    typer.Option(
        help="Repeatable: NAME=PYTHON, a peer that another Python has; NAME@THREADS, a contender "
        "once more on so many threads; or both. Peers that this Python has, or that `make peers` "
        "made an environment for, run unasked."
    ),
]
Against = Annotated[str, typer.Option(help="The contender whose time is 1 in every ratio.")]
Rounds = Annotated[int, typer.Option(min=1, help="Turns of each contender.")]
Threads = Annotated[int, typer.Option(min=1, help="Of every contender.")]
Limit = Annotated[float, typer.Option(help="Seconds that a turn may take.")]
Json = Annotated[Path | None, typer.Option(help="Write the time of every call here.")]
Markdown = Annotated[Path | None, typer.Option(help="Write the table here.")]


def main(
    workload: Workloads = MAIN,
    peer: Peers = [],  # noqa: B006 - typer's way; it is never changed
    rounds: Rounds = 7,
    threads: Threads = 2,
    limit: Limit = 120,
    json: Json = None,
    markdown: Markdown = None,
    against: Against = "roipool",
) -> None:
    """roipool beside its peers: agreement first, then times."""
    try:
        workloads, contenders = chosen(workload), lineup(peer, threads, against)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None
    about = {**machine.describe(), "threads": str(threads), "rounds": str(rounds)}
    console = Console(highlight=False)
    left_out = [name for name in PEERS if name not in {c.name for c in contenders}]
    if left_out:
        about["left out"] = f"{', '.join(left_out)}; `make peers` installs what it can"
        console.print(f"left out: {about['left out']}")
    results = measured(workloads, contenders, rounds, limit, console)
    about |= report.contenders(results)
    for name, value in about.items():
        console.print(f"{name}: {value}")
    if json:
        json.write_text(report.as_json(results, about), encoding="utf-8")
    if markdown:
        markdown.write_text(report.markdown(results, about), encoding="utf-8")


def measured(
    workloads: list[Workload],
    contenders: list[Contender],
    rounds: int,
    limit: float,
    console: Console,
) -> report.Results:
    """Run and show one workload after another; end the process where contenders disagree."""
    errors, results = Console(stderr=True), {}
    with errors.status("") as status:
        for workload in workloads:
            try:
                outcomes = measure(workload, contenders, rounds, limit, status.update)
            except DisagreementError as error:
                errors.print(f"[bold red]{error}[/]", soft_wrap=True)
                sys.exit(1)
            results[workload] = outcomes
            console.print(f"[bold]{workload.name}[/]: {workload}")
            console.print(report.table(outcomes))
    return results


def lineup(peers: list[str], threads: int, against: str) -> list[Contender]:
    """The one to compare with, the rest of ours, every peer at hand or named, then the floors."""
    unasked = [Contender.parse(name, threads) for name in importable()]
    made = [(name, python_of(name)) for name in PEERS if name not in importable()]
    unasked += [Contender.parse(f"{name}={python}", threads) for name, python in made if python]
    named = [Contender.parse(peer, threads) for peer in peers]
    floors = [Contender.parse(name, threads) for name in FLOORS]
    found = {contender.name: contender for contender in (*unasked, *named, *floors)}
    if against not in found:
        raise ValueError(f"no contender {against!r} to compare with; there are {', '.join(found)}")
    return [found.pop(against), *found.values()]


if __name__ == "__main__":
    typer.run(main)
