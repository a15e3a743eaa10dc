"""The interpolated map averaged over each bin exactly: what each pixel's hat has in it."""

from dataclasses import dataclass

import numpy as np

from roipool import geometry
from roipool.command.axis import Axis, rectangle
from roipool.command.explanation import Outline, Pooled
from roipool.command.explanations.samples import NOT_ROUNDED
from roipool.command.explanations.sampling import heading
from roipool.command.explanations.weighed import Weighed, bins_of, weights_along
from roipool.command.words import plural, short


@dataclass(frozen=True, kw_only=True)
class IntegralAxis(Axis):
    """Ends as they are, and bins of equal size.

    Attributes:
        spans: Where each bin begins and ends.
        size: Of a bin.
    """

    spans: tuple[tuple[float, float], ...]
    size: float

    @property
    def ends(self) -> tuple[float, float]:
        """As scaled: pixel k is at k."""
        return self.spans[0][0], self.spans[-1][1]

    @property
    def edges(self) -> tuple[tuple[float, float], ...]:
        """Where bins lie."""
        return self.spans

    def in_words(self) -> str:
        """For example: x: 2 → 1.4, 6 → 4.2: 2.8 in 2 bins of 1.4."""
        steps = [f"{g:g} → {s!s}" for g, s in zip(self.given, self.scaled, strict=True)]
        count = len(self.bins)
        extent = f"{short(self.size * count)} in {plural(count, 'bin')} of {short(self.size)}"
        return f"{self.name}: {', '.join(steps)}: {extent}"

    def where(self, p: int) -> str:
        """For example: from 1.4 to 2.8."""
        begin, end = self.spans[p]
        return f"from {short(begin)} to {short(end)}"


@dataclass(frozen=True, kw_only=True)
class Integrals(Weighed):
    """The share that each pixel's hat has in each bin."""

    x: IntegralAxis
    y: IntegralAxis

    @property
    def on_ends(self) -> str:
        """That nothing is rounded, and no sample taken."""
        return (
            "given → × spatial scale; nothing is rounded and nothing sampled: a bin is the mean of "
            "the map as interpolated"
        )

    def outlines(self) -> list[Outline]:
        """As the region lies."""
        return [Outline(NOT_ROUNDED, rectangle(self.x.ends, self.y.ends))]

    def notes(self) -> list[str]:
        """Regions without area, and what lies outside of the map."""
        if self.x.size * self.y.size == 0:
            return ["the end lies before the begin, or at it: a bin without area gives 0"]
        of_rows, of_columns = (
            [sum(weights.values()) for weights in axis.weights] for axis in (self.y, self.x)
        )
        shares = np.multiply.outer(of_rows, of_columns)
        if not shares.any():
            return ["the region lies outside the map: every bin gives 0"]
        if (shares < 1 - 1e-4).any():
            return ["outside of the map the surface falls to 0 within a pixel, and counts so"]
        return []


def explained(pooled: Pooled) -> Integrals:
    """A region of integrals, explained."""
    row, maps = pooled.row, pooled.maps
    _, spans = geometry.integral_bins(np, row, maps, pooled.size, pooled.dtype)
    y, x = (
        IntegralAxis(
            name=name,
            length=length,
            given=(row[0, column], row[0, column + 2]),
            scaled=(span.axis.begin[0], span.axis.end[0]),
            bins=bins_of(weights),
            weights=weights,
            spans=tuple(zip(span.begin[0].tolist(), span.end[0].tolist(), strict=True)),
            size=float(span.size[0]),
        )
        for name, length, column, span, weights in zip(
            "yx", (maps.heights[0], maps.widths[0]), (2, 1), spans, weights_along(pooled),
            strict=True,
        )
    )  # fmt: skip
    return Integrals(**pooled.known, heading=heading(pooled, x, y), x=x, y=y)
