"""A region's samples, found: what they weigh in the operator, and where those to draw lie."""

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from roipool import geometry
from roipool.command.axis import Axis, window
from roipool.command.explanation import Pooled
from roipool.command.explanations.samples import SampledAxis, Samples
from roipool.command.explanations.weighed import Weights, bins_of, weights_along
from roipool.command.words import MOST_SAID, short

MOST_SAMPLES = 1500  # that are drawn
Grids = tuple[geometry.Grid, geometry.Grid]


def explained(pooled: Pooled) -> Samples:
    """A region of samples, explained."""
    with np.errstate(over="ignore"):  # positions of a huge region, as the operator has them
        grids = grids_of(pooled)
        y, x = sampled_axes(pooled, grids, weights_along(pooled))
    return Samples(**pooled.known, heading=heading(pooled, x, y), x=x, y=y)


def grids_of(pooled: Pooled) -> Grids:
    """The samples along y and along x."""
    options = {"aligned": True, **pooled.options}
    row, maps = pooled.row, pooled.maps
    return geometry.align_grids(np, row, maps, pooled.size, pooled.dtype, **options)[1]


def sampled_axes(
    pooled: Pooled,
    grids: Grids,
    weights: tuple[Weights, Weights],
    kind: type[SampledAxis] = SampledAxis,
) -> tuple[SampledAxis, SampledAxis]:
    """Along y and x, of what pixels weigh in bins."""
    row, maps = pooled.row, pooled.maps
    axes = [
        kind(
            name=name,
            length=length,
            given=(row[0, column], row[0, column + 2]),
            scaled=(grid.axis.begin[0], grid.axis.end[0]),
            bins=bins_of(of_axis),
            weights=of_axis,
            begin=float(grid.begin[0]),
            extent=float(grid.extent[0]),
            aligned=pooled.options.get("aligned", True),
            samples=0 if grid.none[0] else int(grid.samples[0]),
        )
        for name, length, column, grid, of_axis in zip(
            "yx", (maps.heights[0], maps.widths[0]), (2, 1), grids, weights, strict=True
        )
    ]
    near = [
        [_near(axis, grid, p) for p in range(len(axis.bins))]
        for axis, grid in zip(axes, grids, strict=True)
    ]
    every = thinned(*(sum(len(part) for part in parts) for parts in near))
    y, x = (
        _with_samples(axis, grid, parts, every)
        for axis, grid, parts in zip(axes, grids, near, strict=True)
    )
    return y, x


def heading(pooled: Pooled, x: Axis, y: Axis) -> str:
    """The region, and where it lies between pixels."""
    columns, rows = (f"{short(min(axis.ends))} to {short(max(axis.ends))}" for axis in (x, y))
    return pooled.heading(f"columns {columns}", f"rows {rows}")


def thinned(down: int, across: int) -> int:
    """Of how many samples along either axis one is drawn, of so many."""
    return max(1, math.ceil(math.sqrt(down * across / MOST_SAMPLES)))


def told(samples: int) -> list[int]:
    """The numbers of those of a bin's samples that are told: of many the first few, the last."""
    numbers = list(range(min(samples, MOST_SAID)))
    return numbers if samples <= MOST_SAID else [*numbers[:-1], samples - 1]


def _with_samples(
    axis: SampledAxis, grid: geometry.Grid, parts: Sequence[range], every: int
) -> SampledAxis:
    drawn = tuple(positions(grid, p, part[::every]) for p, part in enumerate(parts))
    said = tuple(positions(grid, p, told(axis.samples)) for p in range(len(parts)))
    return replace(axis, told=said, drawn=drawn, every=every)


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


def positions(grid: geometry.Grid, p: int, numbers: Sequence[Any]) -> tuple[float, ...]:
    """Where samples of a bin lie, by their numbers from 0 on."""
    sample = np.array(numbers, grid.size.dtype) + 0.5
    of_bin = grid._replace(first=grid.first[:, p : p + 1])
    return tuple(geometry.sample_position(np, of_bin, sample[None, None])[0, 0].tolist())
