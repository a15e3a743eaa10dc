"""Whole pixels averaged: of roi_pool's bins, and of position-sensitive ones."""

from dataclasses import dataclass

import numpy as np

from roipool import geometry
from roipool.command.axis import Axis, rectangle
from roipool.command.explanation import Outline, Pooled
from roipool.command.explanations.rounded import (
    ON_ENDS,
    ROUNDED,
    RoundedAxis,
    heading,
    on_bins,
    rounded_axes,
    rounded_outlines,
)
from roipool.command.explanations.weighed import Weighed, bins_of, weights_along
from roipool.command.words import plural, short


@dataclass(frozen=True, kw_only=True)
class Averages(Weighed):
    """The mean of each bin's pixels, which all weigh the same."""

    x: RoundedAxis
    y: RoundedAxis

    @property
    def on_ends(self) -> str:
        """Rounding, and that both ends belong to the region."""
        return ON_ENDS

    def outlines(self) -> list[Outline]:
        """As rounded, and as given."""
        return rounded_outlines(self.x, self.y)

    def notes(self) -> list[str]:
        """Bins that overlap or are empty."""
        return on_bins(self)


def explained(pooled: Pooled) -> Averages:
    """A region of roi_pool's bins, explained."""
    weights = weights_along(pooled)
    y, x = rounded_axes(pooled, (bins_of(weights[0]), bins_of(weights[1])), weights)
    return Averages(**pooled.known, heading=heading(pooled, x, y), x=x, y=y)


@dataclass(frozen=True, kw_only=True)
class SharedAxis(Axis):
    """Ends rounded by one of two conventions, and bins that take every pixel they touch.

    Attributes:
        rounded: The ends as rounded: before they were scaled, or behind that.
        begin: Where the region begins on the map, pixel k reaching from k to k + 1.
        size: Of the region, as it is divided.
        in_image: Whether they were rounded before.
    """

    rounded: tuple[float, float]
    begin: float
    size: float
    in_image: bool

    @property
    def ends(self) -> tuple[float, float]:
        """Of the region in the drawing, where pixel k is around k."""
        return self.begin - 0.5, self.begin + self.size - 0.5

    @property
    def edges(self) -> tuple[tuple[float, float], ...]:
        """Around the pixels of each bin."""
        return tuple((begin - 0.5, end - 0.5) for begin, end in self.bins)

    def in_words(self) -> str:
        """For example: x: 0 → 0 → 0.0, 4 → 5 → 3.5: 3.5 in 2 bins of 1.75."""
        steps = []
        for given, rounded, scaled in zip(self.given, self.rounded, self.scaled, strict=True):
            both = (rounded, scaled) if self.in_image else (scaled, rounded)
            steps.append(" → ".join([f"{given:g}", *(short(float(each)) for each in both)]))
        count = len(self.bins)
        extent = f"{short(self.size)} in {plural(count, 'bin')} of {short(self.size / count)}"
        return f"{self.name}: {', '.join(steps)}: {extent}"


@dataclass(frozen=True, kw_only=True)
class SharedOut(Weighed):
    """The mean of each bin's pixels, of a plane that the bin has for itself."""

    x: SharedAxis
    y: SharedAxis

    @property
    def on_ends(self) -> str:
        """In which order ends are rounded and scaled."""
        if self.x.in_image:
            return "given → rounded half away from zero, the end + 1 → × spatial scale"
        return (
            "given → × spatial scale → rounded half away from zero; the end does not belong to the "
            "region, and the map's last row and column are never read"
        )

    def outlines(self) -> list[Outline]:
        """As rounded."""
        return [Outline(ROUNDED, rectangle(self.x.ends, self.y.ends))]

    def notes(self) -> list[str]:
        """Bins that overlap or are empty."""
        return on_bins(self)


def explained_by_bin(pooled: Pooled) -> SharedOut:
    """A region of position-sensitive bins, explained."""
    row, maps = pooled.row, pooled.maps
    convention = pooled.options["convention"]
    _, shares = geometry.shared_out(np, row, maps, pooled.size, pooled.dtype, convention=convention)
    in_image = convention == "rfcn"
    whole = geometry.pixels_of(np, row, shares[0].size.dtype)[0]
    y, x = (
        SharedAxis(
            name=name,
            length=length,
            given=(row[0, column], row[0, column + 2]),
            scaled=(share.axis.begin[0], share.axis.end[0]),
            bins=tuple((int(begin), int(end)) for begin, end in share.bins[0]),
            weights=weights,
            rounded=(whole[column], whole[column + 2])
            if in_image
            else (share.begin[0], share.end[0]),
            begin=float(share.begin[0]),
            size=float(share.size[0]),
            in_image=in_image,
        )
        for name, length, column, share, weights in zip(
            "yx", (maps.heights[0], maps.widths[0]), (2, 1), shares, weights_along(pooled),
            strict=True,
        )
    )  # fmt: skip
    return SharedOut(**pooled.known, heading=heading(pooled, x, y), x=x, y=y)
