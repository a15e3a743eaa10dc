"""A region as it lies between pixels: its samples, what each pixel weighs, the mean of a bin."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from roipool.command.explanation import Axis, Explanation, plural

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


def short(value: float) -> str:
    """A position, in six digits."""
    return f"{value:.6g}"


def some(count: int, say: Callable[[int], str]) -> list[str]:
    """All of them said, or of many the first few and the last."""
    if count <= MOST_SAID:
        return [say(k) for k in range(count)]
    return [*(say(k) for k in range(MOST_SAID - 2)), "…", say(count - 1)]
