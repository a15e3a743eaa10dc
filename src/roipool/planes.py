"""Position-sensitive maps: each bin reads channels of its own, as images of their own.

Channel (c · h + i) · w + j of a map is channel c of the plane for bin (i, j). So a map of C·h·w
channels is h·w images of C channels, and a region h·w regions of one bin each: nothing else that
pools need know of it. Arrays may be of any library whose arrays reshape.
"""

from collections.abc import Sequence
from math import prod
from typing import Any

import numpy as np


def of_maps(maps: Sequence[Any], pooled_size: Sequence[int]) -> list[Any]:
    """Maps (N, C·h·w, H, W) as (N·h·w, C, H, W)."""
    bins = prod(pooled_size)
    found = []
    for array in maps:
        images, channels, height, width = array.shape
        split = array.reshape(images, channels // bins, bins, height, width)
        found.append(split.swapaxes(1, 2).reshape(images * bins, channels // bins, height, width))
    return found


def views_of(
    maps: Sequence[np.ndarray], pooled_size: Sequence[int], images: Sequence[int]
) -> list[np.ndarray]:
    """The same in place, of some images in order: an array (h·w, C, H, W) for each, or one of none.

    Images count through all arrays.
    """
    bins, found, first = prod(pooled_size), [], 0
    at = iter([*images, -1])
    image = next(at)
    for array in maps:
        _, channels, height, width = array.shape
        while first <= image < first + len(array):
            split = array[image - first].reshape(channels // bins, bins, height, width)
            assert np.may_share_memory(split, array) or not split.size
            found.append(split.swapaxes(0, 1))
            image = next(at)
        first += len(array)
    return found or of_maps([array[:0] for array in maps], pooled_size)


def maps_of(planes: Sequence[Any], shapes: Sequence[Sequence[int]], bins: int) -> list[Any]:
    """What `of_maps` has taken apart, of these shapes."""
    found = []
    for array, (images, channels, height, width) in zip(planes, shapes, strict=True):
        split = array.reshape(images, bins, channels // bins, height, width)
        found.append(split.swapaxes(1, 2).reshape(images, channels, height, width))
    return found


def of_pooled(pooled: Any) -> Any:
    """Pooled values (K, C, h, w) as those of K·h·w regions of one bin."""
    regions, channels, height, width = pooled.shape
    split = pooled.reshape(regions, channels, height * width).swapaxes(1, 2)
    return split.reshape(regions * height * width, channels, 1, 1)


def pooled_of(values: Any, pooled_size: Sequence[int]) -> Any:
    """What `of_pooled` has taken apart, of so many bins."""
    height, width = pooled_size
    regions, channels = values.shape[0] // (height * width), values.shape[1]
    split = values.reshape(regions, height * width, channels).swapaxes(1, 2)
    return split.reshape(regions, channels, height, width)
