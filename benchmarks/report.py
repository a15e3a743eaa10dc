"""What was measured, as a table on a terminal, as Markdown and as JSON."""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rich.markup import escape
from rich.table import Table

from benchmarks.contenders import FLOORS
from benchmarks.runs import Outcome
from benchmarks.workloads import Workload

Results = Mapping[Workload, Sequence[Outcome]]  # the first is what the others are compared with


def table(outcomes: Sequence[Outcome]) -> Table:
    """One workload for the terminal."""
    shown = Table()
    for name in ("", "median ms", "min ms", "ratio", "extra MiB"):
        shown.add_column(name, justify="right" if name else "left", no_wrap=True)
    shown.add_column("agrees")
    for outcome in outcomes:
        name = outcome.contender.name
        if outcome.failure:
            style = "dim" if outcome.unsupported else "red"
            shown.add_row(name, "—", "", "", "", escape(outcome.failure), style=style)
            continue
        shown.add_row(
            name,
            _ms(outcome.median),
            _ms(outcome.fastest),
            _short(outcome.ratio_to(outcomes[0])),
            _extra(outcome),
            outcome.agreement,
        )
    return shown


def markdown(results: Results, about: Mapping[str, str]) -> str:
    """One table of all workloads, with a column for each contender, and what explains it."""
    names = [outcome.contender.name for outcome in next(iter(results.values()))]
    lines = [
        f"Milliseconds, the median over rounds; in brackets how many times {names[0]}'s, the",
        f"median of ratios paired by round. Extra: MiB that {names[0]}'s first call took at its",
        "peak, beyond input and result.",
        "",
        f"| workload | {' | '.join(names)} | extra |",
        f"| --- |{' ---: |' * len(names)} ---: |",
    ]
    for workload, outcomes in results.items():
        cells = " | ".join(_cell(outcome, outcomes[0]) for outcome in outcomes)
        lines.append(f"| {workload.name} | {cells} | {_extra(outcomes[0])} |")
    lines += ["", *(f"- {name}: {value}" for name, value in about.items()), ""]
    for workload, outcomes in results.items():
        lines.append("; ".join([f"- `{workload.name}`: {workload}", *_differences(outcomes)]))
    return "\n".join(lines) + "\n"


def as_json(results: Results, about: Mapping[str, str]) -> str:
    """Everything, the seconds of every call included."""
    workloads = {
        workload.name: {
            "description": str(workload),
            "contenders": {o.contender.name: _raw(o, outcomes[0]) for o in outcomes},
        }
        for workload, outcomes in results.items()
    }
    return json.dumps({"about": about, "workloads": workloads}, ensure_ascii=False)


def contenders(results: Results) -> dict[str, str]:
    """What every contender that ran says about itself."""
    return {
        outcome.contender.name: outcome.about
        for outcomes in results.values()
        for outcome in outcomes
        if outcome.about and outcome.contender.name not in FLOORS
    }


def _differences(outcomes: Sequence[Outcome]) -> Iterator[str]:
    for outcome in outcomes:
        if outcome.agreement not in ("", "bit for bit"):
            yield f"{outcome.contender.name}: {outcome.agreement}"


def _cell(outcome: Outcome, reference: Outcome) -> str:
    if outcome.failure:
        return "" if outcome.unsupported else outcome.failure.replace("|", "\\|")
    if outcome is reference:
        return f"**{_ms(outcome.median)}**"
    return f"{_ms(outcome.median)} ({_short(outcome.ratio_to(reference))}x)"


def _raw(outcome: Outcome, reference: Outcome) -> dict[str, Any]:
    about = {"about": outcome.about, "threads": outcome.contender.threads}
    if outcome.failure:
        return {**about, "failure": outcome.failure, "unsupported": outcome.unsupported}
    return {
        **about,
        "agreement": outcome.agreement,
        "extra_bytes": outcome.extra_bytes,
        "median_seconds": outcome.median,
        "min_seconds": outcome.fastest,
        "ratio": outcome.ratio_to(reference),
        "call_seconds_by_round": outcome.turns,
    }


def _extra(outcome: Outcome) -> str:
    return "" if outcome.extra_bytes is None else f"{outcome.extra_bytes / 2**20:.1f}"


def _ms(seconds: float) -> str:
    return _short(seconds * 1e3)


def _short(value: float) -> str:
    """Three significant digits, whatever the size."""
    return f"{value:#.3g}" if value < 99.95 else f"{value:,.0f}"
