"""A region as it lies between pixels: its samples, what each pixel weighs, the mean of a bin."""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from roipool.command.axis import Axis, rectangle
from roipool.command.explanation import Outline
from roipool.command.explanations.weighed import Weighed
from roipool.command.words import plural, short, some

NOT_ROUNDED = "not rounded"


@dataclass(frozen=True, kw_only=True)
class SampledAxis(Axis):
    """Ends as they are, bins of equal size, samples at equal distances.

    Attributes:
        begin: Where the region begins.
        extent: Of the region as it is divided; negative where it is mirrored.
        aligned: Whether half a pixel was subtracted.
        samples: Of a bin.
    """

    begin: float
    extent: float
    aligned: bool
    samples: int

    @property
    def ends(self) -> tuple[float, float]:
        """Where they are compared with pixels."""
        return self.begin, self.begin + self.extent

    @property
    def size(self) -> float:
        """Of a bin."""
        return self.extent / len(self.bins)

    @property
    def edges(self) -> tuple[tuple[float, float], ...]:
        """Equal shares."""
        first = [self.begin + p * self.size for p in range(len(self.bins) + 1)]
        return tuple(pairwise(first))

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
        each = " each" if len(self.bins) > 1 else ""
        return f"{self.name}: {', '.join(steps)}: {extent} in {bins}, {samples(self.samples)}{each}"

    def where(self, p: int) -> str:
        """For example: samples at -0.15, 0.55."""
        told = self.told[p]
        if not told:
            return "no samples"
        said = some(self.samples, lambda k: short(told[min(k, len(told) - 1)]))
        return f"samples at {', '.join(said)}"

    @property
    def counted(self) -> tuple[float, ...]:
        """Of each bin the share of samples that count."""
        return tuple(sum(weights.values()) for weights in self.weights)


def samples(count: int) -> str:
    """For example: 2 samples."""
    return plural(count, "sample")


@dataclass(frozen=True, kw_only=True)
class Samples(Weighed):
    """What each bin's samples read."""

    x: SampledAxis
    y: SampledAxis

    @property
    def on_ends(self) -> str:
        """That nothing is rounded, and what pixel a position belongs to."""
        shift = " → − 0.5, from a pixel's edge to its centre" if self.x.aligned else ""
        return f"given → × spatial scale{shift}; nothing is rounded"

    def outlines(self) -> list[Outline]:
        """As the region lies."""
        return [Outline(NOT_ROUNDED, rectangle(self.x.ends, self.y.ends))]

    @property
    def on_nothing(self) -> str:
        """What becomes of samples off the map."""
        return "samples before −1 or past the map's length count as 0, and in the divisor too"

    def notes(self) -> list[str]:
        """Samples that count as nothing, or run backwards."""
        said = []
        shares = np.multiply.outer(self.y.counted, self.x.counted)
        if self.x.samples * self.y.samples == 0:
            said.append("the end lies before the begin, or at it: a grid without samples gives 0")
        elif not shares.any():
            said.append("no sample lies on the map: every bin gives 0")
        elif (shares < 1 - 1e-6).any():
            said.append(self.on_nothing)
        if min(self.x.extent, self.y.extent) < 0 and self.x.samples * self.y.samples:
            said.append("the end lies before the begin: the grid is mirrored")
        return said
