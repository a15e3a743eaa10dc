"""One region explained: its corners, its bins and its winners, in numbers and in words.

Nothing is computed here that the operator does not use: edges come from `geometry`, values and
positions from `roi_pool`. `picture` and `sketch` draw what this module finds.
"""

from typing import NamedTuple

import numpy as np

import roipool
from roipool import geometry
from roipool.chunked import Job, check
from roipool.features import BadInput, Features
from roipool.regions import Regions

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
        title: What is shown.
        x: Columns.
        y: Rows.
        values: (h, w), pooled.
        winners: (h, w, 2) row and column of each winner, -1 where nothing was pooled.
    """

    plane: np.ndarray
    photo: np.ndarray | None
    title: str
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
        raise BadInput(
            f"--channel is {channel}, but {features.source} has {maps.shape[1]} channels "
            f"(0 to {maps.shape[1] - 1})"
        )
    if roi[0] < 0:
        raise BadInput(
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
    of_channel = PHOTO_CHANNELS[channel] if features.photos else str(channel)
    title = f"{features.batch_index(image)}, channel {of_channel}"
    return Explanation(one[0, 0], photo, title, x, y, values[0, 0], winners[:, 0, 0].transpose(1, 2, 0))


def _axes(
    row: np.ndarray, one: np.ndarray, pooled_size: tuple[int, int], spatial_scale: float
) -> tuple[Axis, Axis]:
    # What `roi_pool` computes coordinates in, given float64 rows.
    float_type = np.float64 if one.dtype == np.float64 else np.float32
    bins = geometry.max_bins(np, row, one.shape, pooled_size, spatial_scale, float_type)
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
        f"{given:g} → {scaled!s} → {whole}"
        for given, scaled, whole in zip(axis.given, axis.scaled, axis.rounded, strict=True)
    )
    count = len(axis.bins)
    pixels = f"{axis.size} pixel{'s' * (axis.size != 1)}"
    if axis.rounded[1] < axis.rounded[0]:
        pixels = f"the end lies before the begin, so {pixels}"
    step = np.format_float_positional(axis.size / count, precision=3, trim="0")
    return f"{axis.name}: {steps}: {pixels} in {count} bin{'s' * (count != 1)} of step {step}"


ROUNDING = "given → × spatial scale → rounded half away from zero; both ends belong to the region"


def notes(found: Explanation) -> list[str]:
    """What is unusual about the bins, if anything is."""
    shared = found.shared()
    if not (shared > 0).any():
        return ["the region lies outside the map: every bin is empty and gives 0"]
    if (shared > 1).any():
        return ["bins begin at the floor and end at the ceiling of their share, so they overlap"]
    return []


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


def number(value: np.generic, digits: int = 4) -> str:
    """A short form of a pixel's value."""
    if isinstance(value, np.integer):
        return str(int(value))
    value = float(value)
    if value == int(value) if np.isfinite(value) else False:
        return str(int(value)) if abs(value) < 10**digits else f"{value:.{digits - 2}g}"
    return f"{value:.{digits - 1}g}"
