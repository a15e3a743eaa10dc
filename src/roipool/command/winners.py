"""A region rounded to pixels: its bins, and the largest pixel of each."""

from dataclasses import dataclass

import numpy as np

from roipool import geometry
from roipool.command.explanation import Axis, Explanation, Pooled, heading, plural, whole


@dataclass(frozen=True)
class RoundedAxis(Axis):
    """Corners rounded to pixels, that both belong to the region."""

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


@dataclass(frozen=True)
class Winners(Explanation):
    """The largest pixel of each bin.

    Attributes:
        winners: (h, w, 2) row and column of each, -1 where nothing was pooled.
    """

    winners: np.ndarray

    @property
    def on_ends(self) -> str:
        """Rounding, and that both ends belong to the region."""
        return (
            "given → × spatial scale → rounded half away from zero; both ends belong to the region"
        )

    def notes(self) -> list[str]:
        """Bins that overlap or are empty, and NaN."""
        empty = sum(self.is_empty(i, j) for i, j in np.ndindex(*self.values.shape))
        bins = self.values.size
        said: list[str] = []
        if self.overlaps:
            said.append(
                "bins begin at the floor and end at the ceiling of their share: they overlap"
            )
        if empty == bins:
            said.append("the region lies outside the map: every bin is empty and gives 0")
        elif empty:
            said.append(f"{empty} of {bins} bins lie outside the map: empty, they give 0")
        if np.isnan(self.values).any():
            said.append("NaN never wins; a bin of nothing but NaN gives NaN")
        return said


def explained(pooled: Pooled) -> Winners:
    """A region of bins and winners, explained."""
    row, maps, bins = pooled.row, pooled.maps, pooled.structure
    _, axes = geometry.rounded(np, row, maps, pooled.dtype)
    y, x = (
        RoundedAxis(
            name,
            length,
            (row[0, column], row[0, column + 2]),
            (pixels.axis.begin[0], pixels.axis.end[0]),
            tuple((int(begin), int(end)) for begin, end in edges[0]),
            (int(pixels.begin[0]), int(pixels.end[0])),
            int(pixels.size[0]),
        )
        for name, length, column, pixels, edges in (
            ("y", maps.heights[0], 2, axes[0], bins.y_bins),
            ("x", maps.widths[0], 1, axes[1], bins.x_bins),
        )
    )
    at = pooled.argmax
    at = np.where(at < 0, -1, np.stack(np.divmod(at, max(maps.widths[0], 1))))
    return Winners(
        **pooled.known,
        heading=heading(x, y, pooled.spatial_scale, _covered(x, "column"), _covered(y, "row")),
        x=x,
        y=y,
        winners=at.transpose(1, 2, 0),
    )


def _covered(axis: RoundedAxis, what: str) -> str:
    first, last = (whole(pixel) for pixel in axis.covered)
    return f"{what}s {first} to {last}" if axis.size > 1 else f"{what} {first}"
