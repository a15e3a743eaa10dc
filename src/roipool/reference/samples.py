"""Grids of samples: where they lie along an axis, and the pixels that each reads."""

import math

import numpy as np


@np.errstate(over="ignore")  # the far samples of a huge region are infinitely far
def axis_samples(c1, c2, length, count, spatial_scale, sampling_ratio, aligned, F, *, first=False):
    """The bins of one region along one axis: of each the samples that count, as (which, how many
    in one place, taps), and of how many in all. Those in one place move as their mean does, or as
    the `first` of them.
    """
    s, offset = F(spatial_scale), F(0.5 if aligned else 0)
    start = F(c1) * s - offset
    size = (F(c2) * s - offset) - start
    clamped = not aligned and size < 1
    step = F(1 if clamped else size) / F(count)
    samples = sampling_ratio if sampling_ratio > 0 else max(math.ceil(step), 0)
    s, reach = float(s), 0.0 if clamped else float(s)

    def position(p, i):
        return (start + F(p) * step) + ((F(i) + F(0.5)) * step) / F(samples)

    bins = []
    for p in range(count):
        found = []
        for i, times in inside(lambda i, p=p: position(p, i), samples, length):
            middle = i + (1 if first else times) / 2
            t = (p + middle / samples) / count  # from end to end of the region
            taps = [
                (pixel, weight, moves * (s - reach * t), moves * reach * t)
                for pixel, weight, moves in two_pixels(position(p, i), length, F)
            ]
            found.append((i, times, taps))
        bins.append(found)
    return bins, samples


def two_pixels(position, length, F):
    """The pixels on either side of a position, their weights, and how these move with it.

    Beside the map the nearest pixel counts alone, and there nothing moves.
    """
    q = min(max(position, F(0)), F(length - 1))
    k = math.floor(q)
    f = q - F(k)
    moves = int(0 <= position < length - 1)
    return [(k, float(F(1) - f), -moves), (min(k + 1, length - 1), float(f), moves)]


def sample_taps(c1, c2, length, count, spatial_scale, sampling_ratio, aligned, F):
    """The bins of one region along one axis: the weight of each pixel, how these move with c1 and
    c2, and the number of samples that they are sums of.
    """
    bins, samples = axis_samples(c1, c2, length, count, spatial_scale, sampling_ratio, aligned, F)
    summed = []
    for found in bins:
        weights, slopes = {}, {}
        for _, times, taps in found:
            for pixel, weight, *moves in taps:
                weights[pixel] = weights.get(pixel, 0) + times * weight
                slopes[pixel] = slopes.get(pixel, 0) + times * np.array(moves)
        summed.append((weights, slopes))
    return summed, samples


def inside(position, samples, length):
    """The samples that count, in either order along the axis, and how many lie at each position:
    far from the map, where floats are far apart, many do.
    """
    if length > 0:
        yield from between(position, samples, -1, length)


def between(position, samples, low, high, apart=0):
    """The samples from low to high, found by halving, and how many lie at each position, or no
    more than `apart` from it.
    """

    def first(reached, begin=0, end=samples):
        while begin < end:
            middle = (begin + end) // 2
            begin, end = (begin, middle) if reached(position(middle)) else (middle + 1, end)
        return begin

    if samples == 0:
        return
    if position(0) <= position(samples - 1):
        i, stop = first(lambda x: x >= low), first(lambda x: x > high)
        past = lambda x, at: x > at + apart  # noqa: E731
    else:
        i, stop = first(lambda x: x <= high), first(lambda x: x < low)
        past = lambda x, at: x < at - apart  # noqa: E731
    while i < stop:
        here = position(i)
        after = first(lambda x, here=here: past(x, here), i + 1, stop)
        yield i, after - i
        i = after
