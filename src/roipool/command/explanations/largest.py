"""A region's samples of which one wins: where it lies, and which pixels it reads."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from roipool import geometry
from roipool.command.explanation import Pooled
from roipool.command.explanations.samples import SampledAxis, Samples
from roipool.command.explanations.sampling import Grids, grids_of, heading, positions, sampled_axes
from roipool.command.explanations.weighed import Listed, Pixels, Weights, listed, weights_along
from roipool.command.words import short


@dataclass(frozen=True, kw_only=True)
class ComparedAxis(SampledAxis):
    """Samples that are compared, each by itself: what they weigh together says nothing."""

    def bin_in_words(self, p: int) -> str:
        """For example: x bin 0: samples at 1.25, 1.95."""
        return f"{self.name} bin {p}: {self.where(p)}"


@dataclass(frozen=True, kw_only=True)
class Largest(Listed, Samples):
    """What each bin's largest sample reads.

    Attributes:
        places: Where that lies, (x, y), of each bin that has one.
        singly: Whether the pixels around a sample are compared, each with what it weighs there.
    """

    places: Mapping[tuple[int, int], tuple[float, float]]
    singly: bool

    @property
    def on_marks(self) -> str:
        """Pixels that winners read are."""
        return "read by a bin's largest sample"

    @property
    def on_nothing(self) -> str:
        """What becomes of samples off the map."""
        return "samples before −1 or past the map's length count as 0"

    def details(self) -> list[str]:
        """Where samples lie, and which of them wins."""
        return [*self.axes_in_words(), *self.shown_in_words(self.sum_in_words)]

    def sum_in_words(self, i: int, j: int) -> str:
        """For example: bin 0 0: the largest sample is at x 1.95, y 1.95: 0.05 × 7 + … = 13.7."""
        value = f"{self.values[i, j]:.6g}"
        if (i, j) not in self.places:
            return f"bin {i} {j}: no sample is the largest: {value}"
        x, y = map(short, self.places[i, j])
        which = "pixel's share is of the sample" if self.singly else "sample is"
        terms = self.products(i, j) or "off the map"
        return f"bin {i} {j}: the largest {which} at x {x}, y {y}: {terms} = {value}"

    def notes(self) -> list[str]:
        """What is compared, and what counts as nothing."""
        said = super().notes()
        if self.singly:
            said.append("compared are the four pixels around each sample, each times its weight")
        return said

    def winning(self, i: int, j: int) -> tuple[float, float] | None:
        """Where the largest sample of a bin lies."""
        return self.places.get((i, j))

    def marked(self, y: int, x: int, down: int = 1, across: int = 1) -> tuple[int, int] | None:
        """The first bin whose largest sample reads this pixel, or one of this block of them."""
        every = ((y + n, x + m) for n in range(down) for m in range(across))
        return next((bin for pixel in every for bin in self.bins_at(*pixel)), None)


def explained(pooled: Pooled) -> Largest:
    """A region of samples, each interpolated, explained."""
    return _explained(pooled, singly=False)


def explained_singly(pooled: Pooled) -> Largest:
    """A region whose samples' pixels are compared singly, explained."""
    return _explained(pooled, singly=True)


def _explained(pooled: Pooled, *, singly: bool) -> Largest:
    with np.errstate(over="ignore"):
        grids = grids_of(pooled)
        y, x = sampled_axes(pooled, grids, _shares(pooled, grids), ComparedAxis)
        pixels, places = _winners(pooled, grids, 2 if singly else 1)
    return Largest(
        **pooled.known,
        heading=heading(pooled, x, y),
        x=x,
        y=y,
        listed=pixels,
        places=places,
        singly=singly,
    )


def _shares(pooled: Pooled, grids: Grids) -> tuple[Weights, Weights]:
    """What pixels would weigh in the mean of a bin's samples: which it reads, and which count."""
    y, x = (
        tuple({pixel: w / float(grid.samples[0]) for pixel, w in read.items()} for read in weights)
        for weights, grid in zip(weights_along(pooled), grids, strict=True)
    )
    return y, x


def _winners(
    pooled: Pooled, grids: Grids, each: int
) -> tuple[dict[tuple[int, int], Pixels], dict[tuple[int, int], tuple[float, float]]]:
    """The pixels of each bin's winner, and where it lies; of a sample so many are compared."""
    taps = pooled.structure
    ratio = pooled.options["sampling_ratio"]
    every = [geometry.listed_samples(np, grid, ratio) for grid in grids]
    pixels, places = {}, {}
    for i, j in np.ndindex(*pooled.size):
        if pooled.argmax[i, j] < 0:
            continue
        left, right = taps.x_taps[0, j].tolist()
        won = divmod(int(pooled.argmax[i, j]), (right - left) // 2)
        y, x = (
            slice(begin + 2 * k, begin + 2 * k + 2)
            for begin, k in zip((int(taps.y_taps[0, i, 0]), left), won, strict=True)
        )
        weight = np.multiply.outer(taps.y_weight[y], taps.x_weight[x])
        rows, columns = np.meshgrid(taps.y_pixel[y], taps.x_pixel[x], indexing="ij")
        read = listed(rows.ravel(), columns.ravel(), weight.ravel())
        if read is not None:
            pixels[i, j] = read
        (at_y,), (at_x,) = (
            positions(grid, p, [samples.first[0, p] + k // each * samples.step[0, p]])
            for grid, samples, p, k in zip(grids, every, (i, j), won, strict=True)
        )
        places[i, j] = at_x, at_y
    return pixels, places
