"""One region explained: its corners, its bins and its winners, in numbers and in words.

Nothing is computed here that the operator does not use: edges come from `geometry`, values and
positions from `roi_pool`. `picture` and `sketch` draw what this module finds.
"""

from typing import NamedTuple

import numpy as np

import roipool
from roipool import geometry
from roipool.command.chunked import Job, check
from roipool.command.features import Features, InputError
from roipool.command.regions import Regions

SMALL = 12  # pixels of an axis that is always drawn whole
PHOTO_CHANNELS = ("red", "green", "blue")


class Axis(NamedTuple):
    """One axis: the map's length, the region's corners and size in pixels, its bins."""

    name: str
    length: int
    given: tuple[float, float]
    scaled: tuple[np.floating, np.floating]
    rounded: tuple[int, int]
    size: int
    bins: tuple[tuple[int, int], ...]

    @property
    def covered(self) -> tuple[int, int]:
        """First and last pixel of the region as rounded, which may lie outside the map."""
        return self.rounded[0], self.rounded[0] + self.size - 1


class Explanation(NamedTuple):
    """A region on one channel of one map: what is drawn.

    Attributes:
        plane: (H, W), the channel.
        photo: (H, W, 3) for a photo, else None.
        heading: The region, as given and as the pixels it covers.
        source: Which map and channel.
        x: Columns.
        y: Rows.
        values: (h, w), pooled.
        winners: (h, w, 2) row and column of each winner, -1 where nothing was pooled.
    """

    plane: np.ndarray
    photo: np.ndarray | None
    heading: str
    source: str
    x: Axis
    y: Axis
    values: np.ndarray
    winners: np.ndarray

    def shared(self) -> np.ndarray:
        """(H, W) how many bins each pixel is in."""
        count = np.zeros(self.plane.shape, np.int64)
        for top, bottom in self.y.bins:
            for left, right in self.x.bins:
                count[top:bottom, left:right] += 1
        return count


def explain(
    features: Features,
    roi: tuple[float, float, float, float, float],
    pooled_size: tuple[int, int],
    spatial_scale: float,
    channel: int = 0,
) -> Explanation:
    """Pool one region of one channel, and keep what led there."""
    maps = features.maps
    row = np.array([roi], np.float64)
    check(Job(features, Regions(row, "--roi", lambda k: "--roi"), pooled_size, spatial_scale))
    if not 0 <= channel < maps.shape[1]:
        raise InputError(
            f"--channel is {channel}, but {features.source} has {maps.shape[1]} channels "
            f"(0 to {maps.shape[1] - 1})"
        )
    if roi[0] < 0:
        raise InputError(
            f"--roi has the negative batch index {roi[0]:g}: a padding row, which pools nothing; "
            "give the image's index, counted from 0"
        )
    image = int(roi[0])
    one = maps[image : image + 1, channel : channel + 1]
    row[0, 0] = 0
    values, argmax = roipool.roi_pool(one, row, pooled_size, spatial_scale, return_argmax=True)
    winners = np.where(argmax < 0, -1, np.stack(np.divmod(argmax, max(maps.shape[3], 1))))
    x, y = _axes(row, one, pooled_size, spatial_scale)
    photo = maps[image].transpose(1, 2, 0) if features.photos else None
    which = f"{PHOTO_CHANNELS[channel]} channel" if features.photos else f"channel {channel}"
    return Explanation(
        plane=one[0, 0],
        photo=photo,
        heading=_heading(x, y, spatial_scale),
        source=f"{features.name_of(image)}, {which}",
        x=x,
        y=y,
        values=values[0, 0],
        winners=winners[:, 0, 0].transpose(1, 2, 0),
    )


def _heading(x: Axis, y: Axis, spatial_scale: float) -> str:
    given = " ".join(f"{axis.given[i]:g}" for i in (0, 1) for axis in (x, y))
    (left, right), (top, bottom) = x.covered, y.covered
    columns = f"columns {whole(left)} to {whole(right)}" if x.size > 1 else f"column {whole(left)}"
    rows = f"rows {whole(top)} to {whole(bottom)}" if y.size > 1 else f"row {whole(top)}"
    return f"Region {given} at scale {spatial_scale:g}: {columns}, {rows}"


def _axes(
    row: np.ndarray, one: np.ndarray, pooled_size: tuple[int, int], spatial_scale: float
) -> tuple[Axis, Axis]:
    float_type = geometry.float_type(np, one.dtype, row.dtype)
    bins = geometry.max_bins(np, row, one.shape, pooled_size, spatial_scale, one.dtype)
    scaled = row[0, 1:].astype(float_type) * float_type(np.float32(spatial_scale))
    corners = geometry.round_half_away(np, scaled)
    sizes = geometry.inclusive_size(np, corners[:2], corners[2:])
    x, y = (
        Axis(
            name,
            length,
            (row[0, 1 + i], row[0, 3 + i]),
            (scaled[i], scaled[2 + i]),
            (int(corners[i]), int(corners[2 + i])),
            int(sizes[i]),
            tuple((int(begin), int(end)) for begin, end in edges[0]),
        )
        for i, name, length, edges in (
            (0, "x", one.shape[3], bins.cols),
            (1, "y", one.shape[2], bins.rows),
        )
    )
    return x, y


def axis_in_words(axis: Axis) -> str:
    """For example: x: 0 → 0.0 → 0, 4 → 2.8 → 3: 4 pixels in 2 bins of step 2.0."""
    steps = ", ".join(
        f"{given:g} → {scaled!s} → {whole(rounded)}"
        for given, scaled, rounded in zip(axis.given, axis.scaled, axis.rounded, strict=True)
    )
    count = len(axis.bins)
    pixels = f"{whole(axis.size)} pixel{'s' * (axis.size != 1)}"
    if axis.rounded[1] < axis.rounded[0]:
        pixels = f"the end lies before the begin: {pixels}"
    step = np.format_float_positional(axis.size / count, precision=3, trim="0")
    step = f"{axis.size / count:.3g}" if len(step) > 12 else step
    return f"{axis.name}: {steps}: {pixels} in {count} bin{'s' * (count != 1)} of step {step}"


def whole(value: int) -> str:
    """An integer; a huge one in short."""
    return str(value) if abs(value) < 10**9 else f"{value:.3g}"


ROUNDING = "given → × spatial scale → rounded half away from zero; both ends belong to the region"


def notes(found: Explanation) -> list[str]:
    """What is unusual about the bins, if anything is."""
    shared = found.shared()
    empty = sum(
        top >= bottom or left >= right
        for top, bottom in found.y.bins
        for left, right in found.x.bins
    )
    said: list[str] = []
    if (shared > 1).any():
        said.append("bins begin at the floor and end at the ceiling of their share: they overlap")
    if empty == found.values.size:
        said.append("the region lies outside the map: every bin is empty and gives 0")
    elif empty:
        said.append(f"{empty} of {found.values.size} bins lie outside the map: empty, they give 0")
    if np.isnan(found.values).any():
        said.append("NaN never wins; a bin of nothing but NaN gives NaN")
    return said


def window(axis: Axis) -> tuple[float, float]:
    """The stretch of an axis to draw: a small map whole, else the region's surroundings."""
    first, last = axis.covered
    margin = max(2, 0.3 * min(axis.size, axis.length))
    low, high = first - margin, last + margin
    if axis.length <= SMALL:
        low, high = min(low, 0), max(high, axis.length - 1)
    outside = 1 if first < 0 or last >= axis.length else 0
    low, high = max(low, -outside), min(high, axis.length - 1 + outside)
    if low >= high:  # the region is far away
        low, high = 0, max(axis.length - 1, 0)
    return low - 0.5, high + 0.5


def number(value: np.generic) -> str:
    """A pixel's value, in five characters or little more."""
    if np.issubdtype(value.dtype, np.integer):
        return str(value)
    real = float(value)
    if np.isfinite(real) and real == round(real) and abs(real) < 10**5:
        return f"{real:.0f}"
    return f"{real:.3g}"
