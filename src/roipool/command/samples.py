"""A region as it lies between pixels: its samples, what each pixel weighs, the mean of a bin."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from roipool import geometry
from roipool.command.explanation import Axis, Explanation, Pooled, heading, plural, window

MOST_SAMPLES = 1500  # that are drawn
MOST_SAID = 6  # samples, pixels or products in a line
MOST_BINS = 16  # along an axis, each in a line


@dataclass(frozen=True)
class SampledAxis(Axis):
    """Corners as they are, bins of equal size, samples at equal distances.

    Attributes:
        begin: Where the region begins.
        extent: Of the region as it is divided; negative where it is mirrored.
        aligned: Whether half a pixel was subtracted.
        samples: Of a bin.
        weights: Of the pixels that each bin reads, by pixel.
        told: Where each bin's samples lie, of many the first few and the last.
        drawn: The same of those near the map, one of every so many.
        every: How many.
    """

    begin: float
    extent: float
    aligned: bool
    samples: int
    weights: tuple[dict[int, float], ...]
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
        """The corners where they are compared with pixels."""
        return self.begin, self.begin + self.extent

    @property
    def size(self) -> float:
        """Of a bin."""
        return self.extent / len(self.bins)

    def in_words(self) -> str:
        """For example: x: 0 → 0.0 → -0.5, 4 → 2.8 → 2.3: 2.8 in 2 bins of 1.4, 2 samples each."""
        steps = [
            f"{given:g} → {scaled!s}" + (f" → {short(end)}" if self.aligned else "")
            for given, scaled, end in zip(self.given, self.scaled, self.ends, strict=True)
        ]
        extent = short(self.extent)
        if not self.aligned and self.scaled[1] - self.scaled[0] < 1:
            extent = f"less than a pixel, widened to {extent}"
        bins = f"{plural(len(self.bins), 'bin')} of {short(self.size)}"
        return f"{self.name}: {', '.join(steps)}: {extent} in {bins}, {self._grid()}"

    def _grid(self) -> str:
        return f"{plural(self.samples, 'sample')}{' each' if len(self.bins) > 1 else ''}"

    def bin_in_words(self, p: int) -> str:
        """For example: x bin 0: samples at -0.15, 0.55: pixel 0 × 0.725 + pixel 1 × 0.275."""
        weights = self.weights[p]
        weights = self.weights[p]
        pixels, told = list(weights), self.told[p]
        read = " + ".join(
            some(len(pixels), lambda k: f"pixel {pixels[k]} × {weights[pixels[k]]:.3g}")
        )
        where = ", ".join(some(self.samples, lambda k: short(told[min(k, len(told) - 1)])))
        samples = f"samples at {where}" if told else "no samples"
        return f"{self.name} bin {p}: {samples}: {read or 'nothing is read'}"

    @property
    def counted(self) -> tuple[float, ...]:
        """Of each bin the share of samples that count."""
        return tuple(sum(weights.values()) for weights in self.weights)


@dataclass(frozen=True)
class Samples(Explanation):
    """What each bin's samples read."""

    x: SampledAxis
    y: SampledAxis

    @property
    def on_ends(self) -> str:
        """That nothing is rounded, and what pixel a position belongs to."""
        shift = " → − 0.5, from a pixel's edge to its centre" if self.x.aligned else ""
        return f"given → × spatial scale{shift}; nothing is rounded"

    def details(self) -> list[str]:
        """What the samples of each bin read along each axis, and of one that is asked for all."""
        said = []
        for axis, p in ((self.x, 1), (self.y, 0)):
            bins = range(len(axis.bins)) if self.asked is None else [self.asked[p]]
            said += [axis.bin_in_words(bin) for bin in bins[:MOST_BINS]]
            if len(bins) > MOST_BINS:
                said.append(
                    f"… {len(bins) - MOST_BINS} more along {axis.name}; --bin I J shows one"
                )
        if self.asked is not None:
            said.append(self._sum(*self.asked))
        return said

    def _sum(self, i: int, j: int) -> str:
        rows, columns = list(self.y.weights[i]), list(self.x.weights[j])

        def product(k: int) -> str:
            y, x = rows[k // len(columns)], columns[k % len(columns)]
            weights = f"{self.y.weights[i][y]:.3g} × {self.x.weights[j][x]:.3g}"
            return f"{weights} × {self.plane[y, x]:.6g}"

        terms = " + ".join(some(len(rows) * len(columns), product))
        return f"bin {i} {j}: {terms or 'no pixel'} = {self.values[i, j]:.6g}"

    def weights(self, axis: SampledAxis, pixels: range) -> np.ndarray:
        """(P, pixels) what each bin makes of each pixel of a stretch."""
        found = np.zeros((len(axis.bins), len(pixels)))
        for p, weights in enumerate(axis.weights):
            for pixel, weight in weights.items():
                if pixel in pixels:
                    found[p, pixels.index(pixel)] = weight
        return found

    def notes(self) -> list[str]:
        """Samples that count as nothing, or run backwards."""
        said = []
        if self.overlaps and self.asked is None:
            said.append(
                "a pixel between samples of several bins is read by each, and drawn in parts"
            )
        shares = np.multiply.outer(self.y.counted, self.x.counted)
        if self.x.samples * self.y.samples == 0:
            said.append("the end lies before the begin, or at it: a grid without samples gives 0")
        elif not shares.any():
            said.append("no sample lies on the map: every bin gives 0")
        elif (shares < 1 - 1e-6).any():
            said.append(
                "samples before −1 or past the map's length count as 0, and in the divisor too"
            )
        if min(self.x.extent, self.y.extent) < 0 and self.x.samples * self.y.samples:
            said.append("the end lies before the begin: the grid is mirrored")
        return said

    def on_drawing(self) -> list[str]:
        """Pixels in parts, and samples that are left out."""
        said = []
        if self.overlaps and self.asked is None:
            said.append("a pixel that several bins read is tinted in parts, or mixed")
        if self.x.every > 1:
            said.append(f"of every {self.x.every} × {self.x.every} samples one is drawn")
        return said


def explained(pooled: Pooled) -> Samples:
    """A region of samples, explained."""
    row, maps, taps = pooled.row, pooled.maps, pooled.structure
    size = pooled.known["values"].shape
    _, grids = geometry.align_grids(np, row, maps, size, pooled.dtype, **pooled.options)
    axes = []
    for (name, length, column), grid, weight, ranges, pixel in zip(
        (("y", maps.heights[0], 2), ("x", maps.widths[0], 1)),
        grids,
        (taps.y_weight, taps.x_weight),
        (taps.y_taps, taps.x_taps),
        (taps.y_pixel, taps.x_pixel),
        strict=True,
    ):
        weights = [
            {int(at): float(w) for at, w in zip(pixel[a:b], weight[a:b], strict=True) if w != 0}
            for a, b in ranges[0]
        ]
        axes.append(
            SampledAxis(
                name=name,
                length=length,
                given=(row[0, column], row[0, column + 2]),
                scaled=(grid.axis.begin[0], grid.axis.end[0]),
                bins=tuple((min(w), max(w) + 1) if w else (0, 0) for w in weights),
                begin=float(grid.begin[0]),
                extent=float(grid.extent[0]),
                aligned=pooled.options["aligned"],
                samples=0 if grid.none[0] else int(grid.samples[0]),
                weights=tuple(weights),
            )
        )
    y, x = _with_samples(axes, grids)
    columns, rows = (f"{short(min(a.ends))} to {short(max(a.ends))}" for a in (x, y))
    title = heading(x, y, pooled.spatial_scale, f"columns {columns}", f"rows {rows}")
    return Samples(**pooled.known, heading=title, x=x, y=y)


def _with_samples(axes: list[SampledAxis], grids: tuple[geometry.Grid, ...]) -> list[SampledAxis]:
    """With the positions of those samples that are told, and of those that are drawn."""
    near = [
        [_near(axis, grid, p) for p in range(len(axis.bins))]
        for axis, grid in zip(axes, grids, strict=True)
    ]
    down, across = (sum(len(part) for part in parts) for parts in near)
    every = max(1, math.ceil(math.sqrt(down * across / MOST_SAMPLES)))
    found = []
    for axis, grid, parts in zip(axes, grids, near, strict=True):
        told = list(range(min(axis.samples, MOST_SAID)))
        told = told if axis.samples <= MOST_SAID else [*told[:-1], axis.samples - 1]
        drawn = tuple(_positions(grid, p, part[::every]) for p, part in enumerate(parts))
        said = tuple(_positions(grid, p, told) for p in range(len(parts)))
        found.append(replace(axis, told=said, drawn=drawn, every=every))
    return found


def _near(axis: SampledAxis, grid: geometry.Grid, p: int) -> range:
    """The numbers of a bin's samples that may lie in the window."""
    if axis.samples == 0:
        return range(0)
    apart = float(grid.size[0]) / axis.samples
    first = float(grid.first[0, p])
    if apart == 0:
        return range(axis.samples)
    low, high = sorted((edge - first) / apart for edge in window(axis))
    begin, end = (min(max(n, 0.0), float(axis.samples)) for n in (low - 1, high + 1))
    return range(math.floor(begin), math.ceil(end))


def _positions(grid: geometry.Grid, p: int, numbers: Sequence[int]) -> tuple[float, ...]:
    sample = np.array(numbers, grid.size.dtype) + 0.5
    of_bin = grid._replace(first=grid.first[:, p : p + 1])
    return tuple(geometry.sample_position(np, of_bin, sample[None, None])[0, 0].tolist())


def short(value: float) -> str:
    """A position, in six digits."""
    return f"{value:.6g}"


def some(count: int, say: Callable[[int], str]) -> list[str]:
    """All of them said, or of many the first few and the last."""
    if count <= MOST_SAID:
        return [say(k) for k in range(count)]
    return [*(say(k) for k in range(MOST_SAID - 2)), "…", say(count - 1)]
