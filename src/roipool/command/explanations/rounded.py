"""Corners rounded to pixels that both belong to the region, and bins of whole pixels."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from roipool import geometry
from roipool.command.axis import Axis, rectangle
from roipool.command.explanation import Explanation, Outline, Pooled
from roipool.command.words import plural, whole

ON_ENDS = "given → × spatial scale → rounded half away from zero; both ends belong to the region"
GIVEN, ROUNDED = "as given, scaled", "as rounded"


@dataclass(frozen=True, kw_only=True)
class RoundedAxis(Axis):
    """The corners as rounded, and how many pixels these are."""

    rounded: tuple[int, int]
    size: int

    @property
    def covered(self) -> tuple[int, int]:
        """First and last pixel of the region as rounded, which may lie outside the map."""
        return self.rounded[0], self.rounded[0] + self.size - 1

    @property
    def ends(self) -> tuple[float, float]:
        """The corners as scaled."""
        return float(self.scaled[0]), float(self.scaled[1])

    @property
    def edges(self) -> tuple[tuple[float, float], ...]:
        """Around the pixels of each bin."""
        return tuple((begin - 0.5, end - 0.5) for begin, end in self.bins)

    def in_words(self) -> str:
        """For example: x: 0 → 0.0 → 0, 4 → 2.8 → 3: 4 pixels in 2 bins of step 2.0."""
        steps = ", ".join(
            f"{given:g} → {scaled!s} → {whole(rounded)}"
            for given, scaled, rounded in zip(self.given, self.scaled, self.rounded, strict=True)
        )
        count = len(self.bins)
        pixels = plural(self.size, "pixel")
        if self.rounded[1] < self.rounded[0]:
            pixels = f"the end lies before the begin: {pixels}"
        step = np.format_float_positional(self.size / count, precision=3, trim="0")
        step = f"{self.size / count:.3g}" if len(step) > 12 else step
        return f"{self.name}: {steps}: {pixels} in {plural(count, 'bin')} of step {step}"


def rounded_axes(
    pooled: Pooled, bins: tuple[Any, Any], weights: tuple[tuple[Mapping[int, float], ...], ...]
) -> tuple[RoundedAxis, RoundedAxis]:
    """Along y and x, of the pixels of bins and what these weigh."""
    row, maps = pooled.row, pooled.maps
    _, axes = geometry.rounded(np, row, maps, pooled.dtype)
    y, x = (
        RoundedAxis(
            name=name,
            length=length,
            given=(row[0, column], row[0, column + 2]),
            scaled=(pixels.axis.begin[0], pixels.axis.end[0]),
            bins=tuple((int(begin), int(end)) for begin, end in edges),
            weights=of_axis,
            rounded=(int(pixels.begin[0]), int(pixels.end[0])),
            size=int(pixels.size[0]),
        )
        for name, length, column, pixels, edges, of_axis in zip(
            "yx", (maps.heights[0], maps.widths[0]), (2, 1), axes, bins, weights, strict=True
        )
    )
    return y, x


def rounded_outlines(x: RoundedAxis, y: RoundedAxis) -> list[Outline]:
    """The region as it was, and as rounded."""
    (left, right), (top, bottom) = x.covered, y.covered
    around = rectangle((left - 0.5, right + 0.5), (top - 0.5, bottom + 0.5))
    return [Outline(GIVEN, rectangle(x.ends, y.ends), dashed=True), Outline(ROUNDED, around)]


def heading(pooled: Pooled, x: Axis, y: Axis) -> str:
    """The region, and the pixels that it covers."""
    said = []
    for axis, what in ((x, "column"), (y, "row")):
        first, last = (whole(pixel) for pixel in axis.covered)
        said.append(f"{what} {first}" if first == last else f"{what}s {first} to {last}")
    return pooled.heading(*said)


def on_bins(found: Explanation) -> list[str]:
    """Bins that overlap or are empty."""
    empty = sum(found.is_empty(i, j) for i, j in np.ndindex(*found.values.shape))
    bins = found.values.size
    said: list[str] = []
    if found.overlaps:
        said.append("bins begin at the floor and end at the ceiling of their share: they overlap")
    if empty == bins:
        said.append("the region lies outside the map: every bin is empty and gives 0")
    elif empty:
        said.append(f"{empty} of {bins} bins lie outside the map: empty, they give 0")
    return said
