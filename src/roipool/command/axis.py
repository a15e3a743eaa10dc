"""One axis of a region that is explained: where it lies, its bins, what these read along it."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from roipool.command.words import some

SMALL = 12  # pixels of an axis that is always drawn whole


@dataclass(frozen=True, kw_only=True)
class Axis:
    """One axis: the map's length, the region's ends as given and scaled, its bins.

    Attributes:
        bins: The pixels that each reads, begin and end; none where these are no rows and columns.
        weights: What each pixel that a bin reads weighs in it, by pixel; none where one wins.
        told: Where each bin's samples lie, of many the first few and the last.
        drawn: The same of those near the map, one of every so many.
        every: How many.
    """

    name: str
    length: int
    given: tuple[float, float]
    scaled: tuple[np.floating, np.floating]
    bins: tuple[tuple[int, int], ...]
    weights: tuple[Mapping[int, float], ...] = ()
    told: tuple[tuple[float, ...], ...] = ()
    drawn: tuple[tuple[float, ...], ...] = ()
    every: int = 1

    @property
    def covered(self) -> tuple[int, int]:
        """First and last pixel that the region touches, which may lie outside the map."""
        first, last = sorted(self.ends)
        return math.floor(first + 0.5), max(math.ceil(last - 0.5), math.floor(first + 0.5))

    @property
    def ends(self) -> tuple[float, float]:
        """Where the region begins and ends in the drawing, pixel k being around k."""
        raise NotImplementedError

    @property
    def edges(self) -> tuple[tuple[float, float], ...]:
        """Where the frame of each bin begins and ends; none where bins have none."""
        return ()

    @property
    def limits(self) -> tuple[float, float]:
        """Between which positions a sample counts."""
        return -1.0, float(self.length)

    def in_words(self) -> str:
        """What becomes of the ends, and how bins divide what is between."""
        raise NotImplementedError

    def bin_in_words(self, p: int) -> str:
        """For example: x bin 0: samples at 1.25, 1.95: pixel 1 × 0.4 + pixel 2 × 0.6."""
        pixels, weights = list(self.weights[p]), self.weights[p]
        read = " + ".join(
            some(len(pixels), lambda k: f"pixel {pixels[k]} × {weights[pixels[k]]:.3g}")
        )
        said = [f"{self.name} bin {p}", self.where(p), read or "nothing is read"]
        return ": ".join(filter(None, said))

    def where(self, p: int) -> str:
        """Where a bin lies, or its samples do."""
        return ""

    def bins_of(self, pixel: int) -> list[int]:
        """Which bins read a pixel."""
        return [p for p, (begin, end) in enumerate(self.bins) if begin <= pixel < end]

    @property
    def overlaps(self) -> bool:
        """Whether a pixel is in several bins."""
        read = sorted(part for part in self.bins if part[0] < part[1])
        return any(begin < end for (_, end), (begin, _) in pairwise(read))

    @property
    def is_read(self) -> bool:
        """Whether any pixel is."""
        return any(begin < end for begin, end in self.bins)


def rectangle(x: tuple[float, float], y: tuple[float, float]) -> tuple[tuple[float, float], ...]:
    """Corners, from the first on and around."""
    return (x[0], y[0]), (x[1], y[0]), (x[1], y[1]), (x[0], y[1])


def window(axis: Axis) -> tuple[float, float]:
    """The stretch of an axis to draw: a small map whole, else the region's surroundings."""
    first, last = axis.covered
    margin = max(2, 0.3 * min(last - first + 1, axis.length))
    low, high = first - margin, last + margin
    if axis.length <= SMALL:
        low, high = min(low, 0), max(high, axis.length - 1)
    outside = 1 if first < 0 or last >= axis.length else 0
    low, high = max(low, -outside), min(high, axis.length - 1 + outside)
    if low >= high:  # the region is far away
        low, high = 0, max(axis.length - 1, 0)
    return low - 0.5, high + 0.5


def pixels_in(low: float, high: float, length: int) -> range:
    """Those of an axis that a window shows."""
    return range(max(int(low + 0.5), 0), min(int(high - 0.5) + 1, length))
