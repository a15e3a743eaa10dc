"""What `picture` and `sketch` draw of one region, whatever the operator."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np

from roipool import geometry

SMALL = 12  # pixels of an axis that is always drawn whole


@dataclass(frozen=True)
class Axis:
    """One axis: the map's length, the region's corners as given and scaled, its bins.

    Attributes:
        bins: The pixels that each reads, begin and end.
    """

    name: str
    length: int
    given: tuple[float, float]
    scaled: tuple[np.floating, np.floating]
    bins: tuple[tuple[int, int], ...]

    @property
    def covered(self) -> tuple[int, int]:
        """First and last pixel that the region touches, which may lie outside the map."""
        raise NotImplementedError

    @property
    def ends(self) -> tuple[float, float]:
        """Where the region begins and ends in the drawing, pixel k being around k."""
        raise NotImplementedError

    def in_words(self) -> str:
        """What becomes of the corners, and how bins divide what is between."""
        raise NotImplementedError

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


@dataclass(frozen=True)
class Explanation:
    """A region on one channel of one map.

    Attributes:
        operator: With its options.
        plane: (H, W), the channel.
        photo: (H, W, 3) for a photo, else None.
        heading: The region, as given and as what of the map it covers.
        source: Which map and channel.
        x: Columns.
        y: Rows.
        values: (h, w), pooled.
        asked: The bin that alone is shown; None for all.
    """

    operator: str
    plane: np.ndarray
    photo: np.ndarray | None
    heading: str
    source: str
    x: Axis
    y: Axis
    values: np.ndarray
    asked: tuple[int, int] | None

    @property
    def on_ends(self) -> str:
        """How corners become ends, for whoever reads the axes in words."""
        raise NotImplementedError

    def details(self) -> list[str]:
        """The bins in words, as far as there is more to say than a drawing shows."""
        return []

    def notes(self) -> list[str]:
        """What is unusual about the bins, if anything is."""
        raise NotImplementedError

    def on_drawing(self) -> list[str]:
        """What a picture of it leaves open."""
        return []

    def is_empty(self, i: int, j: int) -> bool:
        """Whether a bin reads no pixel."""
        return any(b >= e for b, e in (self.y.bins[i], self.x.bins[j]))

    def shows(self, i: int, j: int) -> bool:
        """Whether a bin is among those asked for."""
        return self.asked is None or self.asked == (i, j)

    def shown(self) -> Iterator[tuple[int, int]]:
        """The bins that are asked for and read a pixel."""
        every = np.ndindex(*self.values.shape)
        return (bin for bin in every if self.shows(*bin) and not self.is_empty(*bin))

    def bins_at(self, y: int, x: int) -> list[tuple[int, int]]:
        """Those of them that read a pixel."""
        return [(i, j) for i in self.y.bins_of(y) for j in self.x.bins_of(x) if self.shows(i, j)]

    @property
    def overlaps(self) -> bool:
        """Whether a pixel is in several bins."""
        return (self.x.overlaps and self.y.is_read) or (self.y.overlaps and self.x.is_read)


class Pooled(NamedTuple):
    """One region pooled, by an operator that has yet to be explained.

    Attributes:
        row: (1, 5).
        maps: Its map.
        dtype: Of the features.
        structure: What the kernel took.
        options: Of the operator.
        argmax: (h, w) positions, if the operator finds any.
        spatial_scale: As given.
        known: What an explanation has of any operator, by name.
    """

    row: np.ndarray
    maps: geometry.Maps
    dtype: Any
    structure: Any
    options: Mapping[str, Any]
    argmax: Any
    spatial_scale: float
    known: Mapping[str, Any]


def heading(x: Axis, y: Axis, spatial_scale: float, columns: str, rows: str) -> str:
    """The region, as given and as what of the map it covers."""
    given = " ".join(f"{axis.given[i]:g}" for i in (0, 1) for axis in (x, y))
    return f"Region {given} at scale {spatial_scale:g}: {columns}, {rows}"


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


def whole(value: int) -> str:
    """An integer; a huge one in short."""
    return str(value) if abs(value) < 10**9 else f"{value:.3g}"


def plural(count: int, what: str) -> str:
    """For example: 1 bin, 2 bins."""
    return f"{whole(count)} {what}{'s' * (count != 1)}"


def number(value: np.generic) -> str:
    """A pixel's value, in five characters or little more."""
    if np.issubdtype(value.dtype, np.integer):
        return str(value)
    real = float(value)
    if np.isfinite(real) and real == round(real) and abs(real) < 10**5:
        return f"{real:.0f}"
    return f"{real:.3g}"
