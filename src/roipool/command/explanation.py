"""What `picture` and `sketch` draw of one region, whatever the operator."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np

from roipool import geometry
from roipool.command.axis import Axis
from roipool.command.words import some


class Outline(NamedTuple):
    """A line around a region: its label, its corners (x, y), whether it is only for comparison."""

    label: str
    corners: tuple[tuple[float, float], ...]
    dashed: bool = False


class Planes(NamedTuple):
    """Of position-sensitive maps: the channel that each bin reads, (h, w), and its plane."""

    channel: np.ndarray
    maps: np.ndarray


@dataclass(frozen=True, kw_only=True)
class Explanation:
    """A region on one channel of one map.

    Attributes:
        operator: With its options.
        plane: (H, W), the channel.
        planes: Those that bins have for themselves, if they do.
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
    planes: Planes | None
    photo: np.ndarray | None
    heading: str
    source: str
    x: Axis
    y: Axis
    values: np.ndarray
    asked: tuple[int, int] | None

    @property
    def on_ends(self) -> str:
        """How ends become what is drawn, for whoever reads the axes in words."""
        raise NotImplementedError

    @property
    def on_marks(self) -> str:
        """What pixels are marked for, where any are."""
        return ""

    def outlines(self) -> list[Outline]:
        """Where the region lies, and where else it might be thought to."""
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

    def parts(self) -> list["Explanation"]:
        """What is drawn by itself: all, or of position-sensitive maps each bin on its plane."""
        if self.planes is None:
            return [self]
        channel, maps = self.planes
        return [
            replace(self, plane=maps[bin], asked=bin, source=f"channel {channel[bin]}")
            for bin in np.ndindex(*self.values.shape)
            if self.shows(*bin)
        ]

    def on_planes(self) -> list[str]:
        """Which channel each bin reads, where it has one for itself."""
        if self.planes is None:
            return []
        channel = self.planes.channel
        bins = [bin for bin in np.ndindex(*channel.shape) if self.shows(*bin)]
        said = some(len(bins), lambda k: "bin {} {} channel {}".format(*bins[k], channel[bins[k]]))
        return [f"each bin reads a channel of its own: {', '.join(said)}"]

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

    def marked(self, y: int, x: int, down: int = 1, across: int = 1) -> tuple[int, int] | None:
        """The first bin for which this pixel is marked, or one of this block of them."""
        return None

    @property
    def overlaps(self) -> bool:
        """Whether a pixel is in several bins."""
        return (self.x.overlaps and self.y.is_read) or (self.y.overlaps and self.x.is_read)


class Pooled(NamedTuple):
    """One region pooled, by an operator that has yet to be explained.

    Attributes:
        row: (1, 5), or as many numbers as the operator's have.
        maps: Its map.
        dtype: Of the features.
        structure: What the kernel took.
        options: Of the operator.
        argmax: (h, w) what won, if anything does.
        scale: As given; None where regions need none.
        known: What an explanation has of any operator, by name.
    """

    row: np.ndarray
    maps: geometry.Maps
    dtype: Any
    structure: Any
    options: Mapping[str, Any]
    argmax: Any
    scale: float | None
    known: Mapping[str, Any]

    @property
    def size(self) -> tuple[int, int]:
        """(h, w)."""
        height, width = self.known["values"].shape
        return height, width

    def heading(self, columns: str, rows: str) -> str:
        """The region, as given and as what of the map it covers."""
        given = " ".join(f"{number:g}" for number in self.row[0, 1:])
        scale = "" if self.scale is None else f" at scale {self.scale:g}"
        return f"Region {given}{scale}: {columns}, {rows}"
