"""The command: `python -m odd_inputs --help`, with tests/ on the path, as `make odd-inputs` has."""

import json
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from odd_inputs.cases import BY_NAME, CASES, ORDINARY
from odd_inputs.child import GIB, RESIDENT
from odd_inputs.contenders import CONTENDERS, UNITS, Contender
from odd_inputs.outcomes import NONE, RIGHT, Outcome, is_met, outcome
from odd_inputs.page import page
from odd_inputs.parent import SECONDS, answers, python_for

PAGE = Path(__file__).parents[2] / "docs" / "odd-inputs.md"
AT_ONCE = 2  # contenders: each may take a core, and the memory of a case

Only = Annotated[
    list[str],
    typer.Option(help=f"Repeatable: {', '.join(UNITS)}. The page is written by a run of all."),
]
Json = Annotated[Path | None, typer.Option(help="Write every outcome here, with its message.")]


def main(only: Only = [], json_to: Json = None) -> None:  # noqa: B006 - typer's way
    """Odd inputs to this library and its peers; fails where this library is not right."""
    if unknown := set(only) - set(UNITS):
        raise typer.BadParameter(f"no {', '.join(unknown)}; there are {', '.join(UNITS)}")
    missing = [name for name in UNITS if python_for(name) is None]
    if missing:
        print(f"left out: {', '.join(missing)}; `make peers` makes their environments")
    chosen = [
        each for each in CONTENDERS if each.unit not in missing and (not only or each.unit in only)
    ]
    with ThreadPoolExecutor(AT_ONCE) as pool:
        found = dict(zip(chosen, pool.map(all_of, chosen), strict=True))
    results = {contender: outcomes for contender, (outcomes, _) in found.items()}
    if json_to:
        said = {
            str(contender): {name: asdict(each) for name, each in outcomes.items()}
            for contender, outcomes in results.items()
        }
        json_to.write_text(json.dumps(said, indent=1, ensure_ascii=False), encoding="utf-8")
    if not only and not missing:
        versions = {contender.unit: version for contender, (_, version) in found.items()}
        PAGE.write_text(page(results, versions, SECONDS, RESIDENT // GIB), encoding="utf-8")
    sys.exit("\n".join(not_met(results)) or None)


def all_of(contender: Contender) -> tuple[dict[str, Outcome], str]:
    """What a contender does with every case, and its version."""
    found = {case.name: Outcome(NONE, why_not(contender, case.name)) for case in CASES}
    asked = [name for name, outcome in found.items() if not outcome.note]
    version = ""
    for name, report, version in answers(contender, [ORDINARY.name, *asked]):  # noqa: B007
        found[name] = outcome(contender, BY_NAME[name], report)
    if (ordinary := found.pop(ORDINARY.name)).word != RIGHT:
        raise RuntimeError(f"{contender}: the ordinary call is {ordinary.word} {ordinary.note}")
    words = [each.word for each in found.values()]
    counts = ", ".join(f"{words.count(word)} {word}" for word in dict.fromkeys(words))
    print(f"{contender}: {counts}", flush=True)
    return found, version


def why_not(contender: Contender, case: str) -> str:
    """Why a contender is not asked, or ""."""
    if BY_NAME[case].fault == "scale" and not contender.scaled:
        return "it takes no scale"
    return UNITS[contender.unit].lacks.get(case, "")


def not_met(results: dict[Contender, dict[str, Outcome]]) -> list[str]:
    """Where this library did not do what is right, in words."""
    return [
        f"{contender}, {name}: {outcome.word} {outcome.note}"
        for contender, outcomes in results.items()
        for name, outcome in outcomes.items()
        if UNITS[contender.unit].ours and not is_met(contender, BY_NAME[name], outcome.word)
    ]


if __name__ == "__main__":
    typer.run(main)
