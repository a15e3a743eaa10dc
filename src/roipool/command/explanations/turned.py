"""A box turned by an angle: its samples, which are no rows and columns, and what they weigh."""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np

from roipool import geometry
from roipool.command.axis import Axis, rectangle
from roipool.command.explanation import Outline, Pooled
from roipool.command.explanations.sampling import thinned, told
from roipool.command.explanations.weighed import Listed, Pixels, listed
from roipool.command.words import plural, short, some

Place = Callable[[float, float], tuple[float, float]]


@dataclass(frozen=True, kw_only=True)
class TurnedAxis(Axis):
    """One side of a box, its centre being at 0 before it is turned.

    Attributes:
        side: What it is called.
        extent: Of the box.
        centre: Where on the map.
        aligned: Whether half a pixel was subtracted from it.
        parts: How many bins there are.
        samples: Of a bin.
        reach: From where to where on the map the turned box lies.
    """

    side: str
    extent: float
    centre: float
    aligned: bool
    parts: int
    samples: int
    reach: tuple[float, float] = (0.0, 0.0)

    @property
    def covered(self) -> tuple[int, int]:
        """First and last pixel that the turned box touches, which may lie outside the map."""
        first, last = self.reach
        return math.floor(first + 0.5), max(math.ceil(last - 0.5), math.floor(first + 0.5))

    @property
    def ends(self) -> tuple[float, float]:
        """The centre: what ends of a side are on the map depends on the other side."""
        return self.centre, self.centre

    @property
    def size(self) -> float:
        """Of a bin."""
        return self.extent / self.parts

    @property
    def edges(self) -> tuple[tuple[float, float], ...]:
        """Equal shares."""
        edges = [p * self.size - self.extent / 2 for p in range(self.parts + 1)]
        return tuple(pairwise(edges))

    def in_words(self) -> str:
        """For example: x: centre 3 → 2.1 → 1.6; width 4 → 2.8: 2 bins of 1.4, 2 samples each."""
        shifted = f" → {short(self.centre)}" if self.aligned else ""
        size = f"{self.side} {self.given[1]:g} → {self.scaled[1]!s}"
        if self.extent > self.scaled[1]:
            size += f", less than a pixel, widened to {short(self.extent)}"
        samples = plural(self.samples, "sample")
        each = " each" if self.parts > 1 else ""
        return (
            f"{self.name}: centre {self.given[0]:g} → {self.scaled[0]!s}{shifted}; {size}: "
            f"{plural(self.parts, 'bin')} of {short(self.size)}, {samples}{each}"
        )


@dataclass(frozen=True, kw_only=True)
class Turned(Listed):
    """What the samples of each bin read.

    Attributes:
        angle: In radians, as given.
        clockwise: Whether it turns so.
        to_map: From offsets (y, x) along a box's sides to where they are on the map, (x, y).
    """

    x: TurnedAxis
    y: TurnedAxis
    angle: float
    clockwise: bool
    to_map: Place

    @property
    def on_ends(self) -> str:
        """That nothing is rounded, and about what the box turns."""
        shift = " → − 0.5, from a pixel's edge to its centre" if self.x.aligned else ""
        return f"given → × spatial scale{shift}; nothing is rounded; the box turns on its centre"

    def place(self, y: float, x: float) -> tuple[float, float]:
        """Where on the map (x, y) is what the box has there."""
        return self.to_map(y, x)

    def outlines(self) -> list[Outline]:
        """As the box lies."""
        corners = rectangle(self._ends(self.x), self._ends(self.y))
        return [Outline("turned, not rounded", tuple(self.place(y, x) for x, y in corners))]

    def _ends(self, axis: TurnedAxis) -> tuple[float, float]:
        return -axis.extent / 2, axis.extent / 2

    def details(self) -> list[str]:
        """The angle, and what each bin reads."""
        way = "clockwise" if self.clockwise else "counter-clockwise"
        said = [f"turned {way} by {self.angle:g} radians, {math.degrees(self.angle):.4g} degrees"]
        say = self._bin_in_words if self.asked is None else self.sum_in_words
        return [*said, *self.shown_in_words(say)]

    def _bin_in_words(self, i: int, j: int) -> str:
        """For example: bin 0 0: row 1 column 2 × 0.25 + row 2 column 2 × 0.75."""
        count, term = self.terms(i, j)

        def pixel(k: int) -> str:
            y, x, (weight,) = term(k)
            return f"row {y} column {x} × {weight:.3g}"

        return f"bin {i} {j}: {' + '.join(some(count, pixel)) or 'nothing is read'}"

    def notes(self) -> list[str]:
        """Boxes without area, and samples that count as nothing."""
        if self.x.samples * self.y.samples == 0:
            return ["a side of 0: a grid without samples gives 0"]
        shares = [weight.sum() for _, _, weight in self.listed.values()]
        if not shares:
            return ["no sample lies on the map: every bin gives 0"]
        if len(shares) < self.values.size or min(shares) < 1 - 1e-4:
            return ["samples before −1 or past the map's length count as 0, and in the divisor too"]
        return []


def explained(pooled: Pooled) -> Turned:
    """A box turned by an angle, explained."""
    row, options = pooled.row, pooled.options
    _, sides, angle = geometry.rotated_sides(
        np, row, pooled.maps, pooled.size, pooled.dtype, **options
    )
    centre_y, centre_x = (float(side.centre.reshape(-1)[0]) for side in sides)

    def to_map(y: float, x: float) -> tuple[float, float]:
        down, across = geometry.turned(np, np.array([y]), np.array([x]), angle)
        return float(across[0]) + centre_x, float(down[0]) + centre_y

    y, x = _axes(pooled, sides, to_map)
    columns, rows = (f"{short(axis.reach[0])} to {short(axis.reach[1])}" for axis in (x, y))
    return Turned(
        **pooled.known,
        heading=pooled.heading(f"columns {columns}", f"rows {rows}"),
        x=x,
        y=y,
        listed=_listed(pooled),
        angle=float(row[0, 5]),
        clockwise=options["clockwise"],
        to_map=to_map,
    )


def _axes(
    pooled: Pooled, sides: tuple[geometry.Side, geometry.Side], to_map: Place
) -> tuple[TurnedAxis, TurnedAxis]:
    row, maps = pooled.row, pooled.maps
    samples = [int(side.samples[0]) for side in sides]
    every = thinned(*(count * parts for count, parts in zip(samples, pooled.size, strict=True)))
    axes = []
    for k, (side, name, column) in enumerate(zip(sides, ("height", "width"), (2, 1), strict=True)):
        offsets = side.offset.reshape(pooled.size[k], -1).tolist()
        axes.append(
            TurnedAxis(
                name="yx"[k],
                length=(maps.heights[0], maps.widths[0])[k],
                given=(row[0, column], row[0, column + 2]),
                scaled=(side.axis.begin[0], side.axis.end[0]),
                bins=(),
                told=tuple(tuple(part[n] for n in told(samples[k])) for part in offsets),
                drawn=tuple(tuple(part[::every]) for part in offsets),
                every=every,
                side=name,
                extent=float(side.size[0]),
                centre=float(side.centre.reshape(-1)[0]),
                aligned=pooled.options["aligned"],
                parts=pooled.size[k],
                samples=samples[k],
            )
        )
    y, x = axes
    halves = ((-axis.extent / 2, axis.extent / 2) for axis in (x, y))
    across, down = zip(*(to_map(v, u) for u, v in rectangle(*halves)), strict=True)
    return replace(y, reach=(min(down), max(down))), replace(x, reach=(min(across), max(across)))


def _listed(pooled: Pooled) -> dict[tuple[int, int], Pixels]:
    points = pooled.structure
    found = {}
    for i, j in np.ndindex(*pooled.size):
        each = slice(*points.points[0, i, j])
        read = listed(points.y_pixel[each], points.x_pixel[each], points.weight[each])
        if read is not None:
            found[i, j] = read
    return found
