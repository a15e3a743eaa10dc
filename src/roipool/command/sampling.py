"""A region's samples, found: what they weigh in the operator, and where those to draw lie."""

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from roipool import geometry
from roipool.command.explanation import Pooled, heading, window
from roipool.command.samples import MOST_SAID, SampledAxis, Samples, short

MOST_SAMPLES = 1500  # that are drawn


def explained(pooled: Pooled) -> Samples:
    """A region of samples, explained."""
    with np.errstate(over="ignore"):  # positions of a huge region, as the operator has them
        return _explained(pooled)


def _explained(pooled: Pooled) -> Samples:
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
