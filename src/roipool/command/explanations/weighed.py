"""Pixels that weigh in bins: along either axis by itself, or each pixel by itself."""

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from roipool.command.axis import rectangle
from roipool.command.explanation import Explanation, Pooled
from roipool.command.words import some

MOST_BINS = 16  # along an axis, each in a line
Weights = tuple[Mapping[int, float], ...]
Term = tuple[int, int, tuple[float, ...]]  # row, column, and factors of what the pixel weighs


@dataclass(frozen=True, kw_only=True)
class Weighed(Explanation):
    """What each bin reads: the weight of a pixel is that of its row times that of its column."""

    def details(self) -> list[str]:
        """What each bin reads along each axis, and of one that is asked for all."""
        said = self.axes_in_words()
        if self.asked is not None:
            said.append(self.sum_in_words(*self.asked))
        return said

    def axes_in_words(self) -> list[str]:
        """The bins along each axis."""
        said = []
        for axis, p in ((self.x, 1), (self.y, 0)):
            bins = range(len(axis.weights)) if self.asked is None else [self.asked[p]]
            said += [axis.bin_in_words(bin) for bin in bins[:MOST_BINS]]
            if len(bins) > MOST_BINS:
                said.append(
                    f"… {len(bins) - MOST_BINS} more along {axis.name}; --bin I J shows one"
                )
        return said

    def shown_in_words(self, say: Callable[[int, int], str]) -> list[str]:
        """What there is to say of each bin, of many of the first few."""
        bins = [bin for bin in np.ndindex(*self.values.shape) if self.shows(*bin)]
        said = [say(*bin) for bin in bins[:MOST_BINS]]
        if len(bins) > MOST_BINS:
            said.append(f"… {len(bins) - MOST_BINS} more; --bin I J shows one")
        return said

    def sum_in_words(self, i: int, j: int) -> str:
        """For example: bin 0 0: 0.4 × 0.4 × 7 + 0.4 × 0.6 × 8 = 3.04."""
        terms = self.products(i, j) or "no pixel"
        return f"bin {i} {j}: {terms} = {self.values[i, j]:.6g}"

    def products(self, i: int, j: int) -> str:
        """The pixels that a bin reads, times their weights."""
        count, term = self.terms(i, j)

        def product(k: int) -> str:
            y, x, factors = term(k)
            weights = " × ".join(f"{factor:.3g}" for factor in factors)
            return f"{weights} × {self.plane[y, x]:.6g}"

        return " + ".join(some(count, product))

    def on_drawing(self) -> list[str]:
        """Pixels in parts, and samples that are left out."""
        said = []
        if self.overlaps and self.asked is None and self.planes is None:
            said.append("a pixel that several bins read is tinted in parts, or mixed")
        if self.x.every > 1:
            said.append(f"of every {self.x.every} × {self.x.every} samples one is drawn")
        return said

    def terms(self, i: int, j: int) -> tuple[int, Callable[[int], Term]]:
        """How many pixels a bin reads, and which the k-th of them is."""
        down, across = self.y.weights[i], self.x.weights[j]
        rows, columns = list(down), list(across)

        def term(k: int) -> Term:
            y, x = rows[k // len(columns)], columns[k % len(columns)]
            return y, x, (down[y], across[x])

        return len(rows) * len(columns), term

    def weights_of(self, i: int, j: int) -> Iterator[tuple[int, int, float]]:
        """All pixels that a bin reads, and what they weigh."""
        count, term = self.terms(i, j)
        for k in range(count):
            y, x, factors = term(k)
            yield y, x, math.prod(factors)

    def spread(self, values: np.ndarray, down: range, across: range) -> np.ndarray:
        """What pixels of a stretch get where each bin gives them a value, times their weights."""
        of_rows, of_columns = _along(self.y.weights, down), _along(self.x.weights, across)
        found: np.ndarray = of_rows.T @ values @ of_columns
        return found

    def part(self, i: int, j: int, y: int, x: int) -> tuple[float, float, float, float]:
        """Which part of a pixel is a bin's own: left, top, width and height."""
        (left, width), (top, height) = (
            (0.0, 1.0) if self.asked is not None else (bins.index(p) / len(bins), 1 / len(bins))
            for p, bins in ((j, self.x.bins_of(x)), (i, self.y.bins_of(y)))
        )
        return left, top, width, height

    def place(self, y: float, x: float) -> tuple[float, float]:
        """Where on the map (x, y) is what the axes have at these positions."""
        return x, y

    def frame(self, i: int, j: int) -> tuple[tuple[float, float], ...] | None:
        """The corners of a bin, if it has any."""
        if not self.x.edges or not self.y.edges:
            return None
        corners = rectangle(self.x.edges[j], self.y.edges[i])
        return tuple(self.place(y, x) for x, y in corners)

    def samples(self, i: int, j: int) -> list[tuple[float, float]]:
        """Where those of a bin's samples lie that are drawn."""
        if not self.x.drawn or not self.y.drawn:
            return []
        return [self.place(y, x) for y in self.y.drawn[i] for x in self.x.drawn[j]]

    def counts(self, x: float, y: float) -> bool:
        """Whether a sample there does."""
        ends = (self.x.limits, x), (self.y.limits, y)
        return all(low <= position <= high for (low, high), position in ends)

    def winning(self, i: int, j: int) -> tuple[float, float] | None:
        """Where the sample lies that a bin takes alone, if it takes one."""
        return None


Pixels = tuple[np.ndarray, np.ndarray, np.ndarray]  # rows, columns and weights


@dataclass(frozen=True, kw_only=True)
class Listed(Weighed):
    """What each bin reads where its pixels are no rows and columns.

    Attributes:
        listed: The pixels of each bin that reads any.
    """

    listed: Mapping[tuple[int, int], Pixels]

    def is_empty(self, i: int, j: int) -> bool:
        """Whether a bin reads no pixel."""
        return (i, j) not in self.listed

    def terms(self, i: int, j: int) -> tuple[int, Callable[[int], Term]]:
        """How many pixels a bin reads, and which the k-th of them is."""
        if self.is_empty(i, j):
            return 0, lambda k: (0, 0, ())
        y, x, weight = self.listed[i, j]
        return len(y), lambda k: (int(y[k]), int(x[k]), (float(weight[k]),))

    def spread(self, values: np.ndarray, down: range, across: range) -> np.ndarray:
        """What pixels of a stretch get where each bin gives them a value, times their weights."""
        found = np.zeros((len(down), len(across)))
        for bin, (y, x, weight) in self.listed.items():
            rows, columns = y - down.start, x - across.start
            near = (rows >= 0) & (rows < down.stop - down.start) & (rows % down.step == 0)
            near &= (columns >= 0) & (columns < across.stop - across.start)
            near &= columns % across.step == 0
            at = rows[near] // down.step, columns[near] // across.step
            np.add.at(found, at, values[bin] * weight[near])
        return found

    def part(self, i: int, j: int, y: int, x: int) -> tuple[float, float, float, float]:
        """Which part of a pixel is a bin's own: left, top, width and height."""
        bins = self.bins_at(y, x)
        return bins.index((i, j)) / len(bins), 0.0, 1 / len(bins), 1.0

    def bins_at(self, y: int, x: int) -> list[tuple[int, int]]:
        """Those bins that are shown and read a pixel."""
        return [bin for bin in self._readers.get((y, x), ()) if self.shows(*bin)]

    @property
    def overlaps(self) -> bool:
        """Whether a pixel is in several bins."""
        return any(len(bins) > 1 for bins in self._readers.values())

    @cached_property
    def _readers(self) -> dict[tuple[int, int], list[tuple[int, int]]]:
        found: dict[tuple[int, int], list[tuple[int, int]]] = {}
        for bin, (rows, columns, _) in sorted(self.listed.items()):
            for pixel in zip(rows.tolist(), columns.tolist(), strict=True):
                found.setdefault(pixel, []).append(bin)
        return found


def listed(y: np.ndarray, x: np.ndarray, weight: np.ndarray) -> Pixels | None:
    """Pixels with what they weigh together, row by row; None where none weighs."""
    some = weight != 0
    pixels, where = np.unique(np.stack([y[some], x[some]], 1), axis=0, return_inverse=True)
    if not len(pixels):
        return None
    sums = np.bincount(where.reshape(-1), weight[some].astype(np.float64), len(pixels))
    return pixels[:, 0], pixels[:, 1], sums


def weights_along(pooled: Pooled) -> tuple[Weights, Weights]:
    """What pixels weigh in each bin, along y and along x, of the structure that the kernel took."""
    taps, (_, width) = pooled.structure, pooled.size
    y_taps, x_taps = taps.y_taps[0], taps.x_taps[0]
    if pooled.known["planes"] is not None:  # a region of one bin stands in the place of each
        y_taps, x_taps = taps.y_taps[::width, 0], taps.x_taps[:width, 0]
    return (
        _weights(y_taps, taps.y_pixel, taps.y_weight),
        _weights(x_taps, taps.x_pixel, taps.x_weight),
    )


def _weights(ranges: np.ndarray, pixel: np.ndarray, weight: np.ndarray) -> Weights:
    found: list[dict[int, float]] = [{} for _ in ranges]
    for read, (begin, end) in zip(found, ranges, strict=True):
        for at, share in zip(pixel[begin:end].tolist(), weight[begin:end].tolist(), strict=True):
            if share != 0:
                read[at] = read.get(at, 0.0) + share
    return tuple(found)


def bins_of(weights: Weights) -> tuple[tuple[int, int], ...]:
    """The pixels that each bin reads, begin and end."""
    return tuple((min(read), max(read) + 1) if read else (0, 0) for read in weights)


def _along(weights: Weights, pixels: range) -> np.ndarray:
    """(P, pixels) what each bin makes of each pixel of a stretch."""
    found = np.zeros((len(weights), len(pixels)))
    for p, read in enumerate(weights):
        for pixel, weight in read.items():
            if pixel in pixels:
                found[p, pixels.index(pixel)] = weight
    return found
