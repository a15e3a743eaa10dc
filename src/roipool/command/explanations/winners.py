"""A region rounded to pixels: its bins, and the largest pixel of each."""

from dataclasses import dataclass

import numpy as np

from roipool.command.explanation import Explanation, Outline, Pooled
from roipool.command.explanations.rounded import (
    ON_ENDS,
    RoundedAxis,
    heading,
    on_bins,
    rounded_axes,
    rounded_outlines,
)


@dataclass(frozen=True, kw_only=True)
class Winners(Explanation):
    """The largest pixel of each bin.

    Attributes:
        winners: (h, w, 2) row and column of each, -1 where nothing was pooled.
    """

    x: RoundedAxis
    y: RoundedAxis
    winners: np.ndarray

    @property
    def on_ends(self) -> str:
        """Rounding, and that both ends belong to the region."""
        return ON_ENDS

    @property
    def on_marks(self) -> str:
        """Winners are."""
        return "a bin's maximum"

    def outlines(self) -> list[Outline]:
        """As rounded, and as given."""
        return rounded_outlines(self.x, self.y)

    def notes(self) -> list[str]:
        """Bins that overlap or are empty, and NaN."""
        said = on_bins(self)
        if np.isnan(self.values).any():
            said.append("NaN never wins; a bin of nothing but NaN gives NaN")
        return said

    def marked(self, y: int, x: int, down: int = 1, across: int = 1) -> tuple[int, int] | None:
        """The first bin whose maximum is there."""
        near = (self.winners >= (y, x)) & (self.winners < (y + down, x + across))
        won = (tuple(bin) for bin in np.argwhere(near.all(axis=2)))
        return next((bin for bin in won if self.shows(*bin)), None)


def explained(pooled: Pooled) -> Winners:
    """A region of bins and winners, explained."""
    bins = pooled.structure
    y, x = rounded_axes(pooled, (bins.y_bins[0], bins.x_bins[0]), ((), ()))
    at = pooled.argmax
    at = np.where(at < 0, -1, np.stack(np.divmod(at, max(pooled.maps.widths[0], 1))))
    return Winners(
        **pooled.known, heading=heading(pooled, x, y), x=x, y=y, winners=at.transpose(1, 2, 0)
    )
