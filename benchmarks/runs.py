"""One workload: contenders started, compared, then timed in turns."""

import statistics
import tempfile
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.agreement import DisagreementError, NoAnswerError, compare
from benchmarks.processes import Contender, ContenderError, Worker
from benchmarks.workloads import Workload

TURN = 0.2  # seconds of calls whose median is one sample


@dataclass
class Outcome:
    """What one contender did on one workload."""

    contender: Contender
    about: str = ""
    failure: str = ""
    unsupported: bool = False
    agreement: str = ""
    extra_bytes: int | None = None
    turns: list[list[float]] = field(default_factory=list)  # seconds of each call

    @property
    def samples(self) -> list[float]:
        return [statistics.median(turn) for turn in self.turns]

    @property
    def median(self) -> float:
        return statistics.median(self.samples)

    @property
    def fastest(self) -> float:
        return min(min(turn) for turn in self.turns)

    def ratio_to(self, other: "Outcome") -> float:
        """The median over rounds; rounds are paired, so that a slow minute slows both sides."""
        return statistics.median(
            ours / theirs for ours, theirs in zip(self.samples, other.samples, strict=True)
        )

    def fail(self, failed: ContenderError) -> None:
        self.failure, self.unsupported = str(failed), failed.unsupported
        self.turns.clear()


def measure(
    workload: Workload,
    contenders: Sequence[Contender],
    rounds: int,
    limit: float,
    tell: Callable[[str], Any] = lambda text: None,
) -> list[Outcome]:
    """Run the workload; the first contender is the one that all others are compared with.

    Raises DisagreementError when a contender must compute what the first does, and doesn't, and
    NoAnswerError, which is one, when the first fails: then nothing can be compared.
    """
    outcomes = [Outcome(contender) for contender in contenders]
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        job = workload.save(Path(folder))
        workers: list[tuple[Outcome, Worker]] = []
        for outcome in outcomes:
            tell(f"{workload.name}: {outcome.contender.name} computes")
            try:
                worker = Worker(outcome.contender, job, limit)
                stack.callback(worker.close)
                _first_call(outcome, worker, workload, Path(folder))
                workers.append((outcome, worker))
            except ContenderError as failed:
                outcome.fail(failed)
            if not workers:
                raise NoAnswerError(
                    f"{workload.name}: {outcome.contender.name} itself has "
                    f"no answer: {outcome.failure}",
                    outcome.unsupported,
                )
        _take_turns(workers, rounds, lambda text: tell(f"{workload.name}: {text}"))
    return outcomes


def _first_call(outcome: Outcome, worker: Worker, workload: Workload, folder: Path) -> None:
    ours, theirs = folder / "ours", folder / "theirs"
    results = theirs if ours.exists() else ours
    results.mkdir(exist_ok=True)
    outcome.about = worker.hello["about"]
    outcome.extra_bytes = worker.ask(do="first_call", folder=str(results))["extra_bytes"]
    if results is ours:
        return
    try:
        outcome.agreement = compare(
            workload.operator, workload.mode, worker.hello["agrees"], ours, results
        )
    except DisagreementError as error:
        name = outcome.contender.name
        raise DisagreementError(f"{workload.name}: {name} disagrees: {error}") from None


def _take_turns(
    workers: Sequence[tuple[Outcome, Worker]], rounds: int, tell: Callable[[str], Any]
) -> None:
    """Each round in another order; while one contender runs, the others wait for their line."""
    for number in range(rounds):
        start = number % len(workers)
        for outcome, worker in (*workers[start:], *workers[:start]):
            if outcome.failure:
                continue
            tell(f"round {number + 1} of {rounds}, {outcome.contender.name}")
            try:
                outcome.turns.append(worker.ask(do="turn", seconds=TURN)["times"])
            except ContenderError as failed:
                outcome.fail(failed)
