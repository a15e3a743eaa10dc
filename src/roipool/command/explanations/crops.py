"""A box in parts of the map: one sample a bin, the outermost at the box's corners."""

from dataclasses import dataclass

import numpy as np

from roipool import geometry
from roipool.command.axis import Axis, rectangle
from roipool.command.explanation import Outline, Pooled
from roipool.command.explanations.sampling import heading
from roipool.command.explanations.weighed import Weighed, bins_of, weights_along
from roipool.command.words import plural, short


@dataclass(frozen=True, kw_only=True)
class CropAxis(Axis):
    """Ends in parts of the axis, and samples from one to the other.

    Attributes:
        begin: Where the box begins, in pixels.
        end: Where it ends.
    """

    begin: float
    end: float

    @property
    def ends(self) -> tuple[float, float]:
        """In pixels."""
        return self.begin, self.end

    @property
    def limits(self) -> tuple[float, float]:
        """The centres of the first and the last pixel."""
        return 0.0, self.length - 1.0

    def in_words(self) -> str:
        """For example: x: 0.2 → 1, 0.8 → 4: 3 samples, 1.5 apart."""
        steps = [f"{g:g} → {short(end)}" for g, end in zip(self.given, self.ends, strict=True)]
        count = len(self.bins)
        apart = f"{short((self.end - self.begin) / max(count - 1, 1))} apart"
        where = "in the middle" if count == 1 else apart
        return f"{self.name}: {', '.join(steps)}: {plural(count, 'sample')}, {where}"

    def where(self, p: int) -> str:
        """For example: sample at 2.5."""
        return f"sample at {short(self.told[p][0])}"


@dataclass(frozen=True, kw_only=True)
class Crop(Weighed):
    """The pixels around each sample.

    Attributes:
        outside: What a sample gives that is not on the map.
        nearest: Whether a sample reads one pixel alone.
    """

    x: CropAxis
    y: CropAxis
    outside: float
    nearest: bool

    @property
    def on_ends(self) -> str:
        """What the numbers of a box are parts of."""
        how = "each sample reads the nearest pixel" if self.nearest else "nothing is rounded"
        return (
            "given → × (length − 1): 0 is the first pixel's centre, 1 the last one's; samples lie "
            f"from end to end; {how}"
        )

    def outlines(self) -> list[Outline]:
        """From corner to corner."""
        return [Outline("from sample to sample", rectangle(self.x.ends, self.y.ends))]

    def notes(self) -> list[str]:
        """Samples off the map, and boxes that are mirrored."""
        said = []
        none = sum(self.is_empty(i, j) for i, j in np.ndindex(*self.values.shape))
        if none:
            count = f"{none} of {self.values.size} samples" if none > 1 else "one sample"
            said.append(f"{count} outside the map: {self.outside:g}, the extrapolation value")
        mirrored = [axis.name for axis in (self.x, self.y) if axis.end < axis.begin]
        if mirrored:
            said.append(f"the end lies before the begin along {' and '.join(mirrored)}: mirrored")
        return said


def explained(pooled: Pooled) -> Crop:
    """A box of samples from corner to corner, explained."""
    row, maps, options = pooled.row, pooled.maps, pooled.options
    _, spots = geometry.crop_positions(
        np, row, maps, pooled.size, pooled.dtype, tensorflow=options["tensorflow"]
    )
    y, x = (
        CropAxis(
            name=name,
            length=length,
            given=(row[0, column], row[0, column + 2]),
            scaled=(spot.axis.begin[0], spot.axis.end[0]),
            bins=bins_of(weights),
            weights=weights,
            told=tuple((position,) for position in spot.position[0].tolist()),
            drawn=tuple((position,) for position in spot.position[0].tolist()),
            begin=float(spot.begin[0]),
            end=float(spot.end[0]),
        )
        for name, length, column, spot, weights in zip(
            "yx", (maps.heights[0], maps.widths[0]), (1, 2), spots, weights_along(pooled),
            strict=True,
        )
    )  # fmt: skip
    return Crop(
        **pooled.known,
        heading=heading(pooled, x, y),
        x=x,
        y=y,
        outside=options["extrapolation_value"],
        nearest=options["method"] == "nearest",
    )
