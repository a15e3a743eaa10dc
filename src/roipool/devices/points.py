"""The kernels of points in Triton: sums of pixels that are listed one by one, and gradients."""

import triton
import triton.language as tl

from roipool.devices.layout import answers


@triton.jit
def read(
    data,
    values,
    image,
    weight,
    points,
    y_pixel,
    x_pixel,
    first,
    images,
    C,
    H,
    W,
    bins,
    of_region,
    of_channel,
    of_bin,
    SUM: tl.constexpr,
    CHANNELS: tl.constexpr,
    INDEX: tl.constexpr,
):
    """A bin of a region by CHANNELS channels of a map whose channels lie last."""
    at = tl.program_id(0)
    k, b = at // bins, at % bins
    c = tl.program_id(1) * CHANNELS + tl.arange(0, CHANNELS)
    n = tl.load(image + k) - first
    if answers(n, first, images):
        total = tl.zeros((CHANNELS,), SUM)
        if n >= 0:
            plane = data + n.to(tl.int64) * H * W * C
            for t in range(tl.load(points + at * 2), tl.load(points + at * 2 + 1)):
                w, y, x = tl.load(weight + t), tl.load(y_pixel + t), tl.load(x_pixel + t)
                inside = (w != 0) & (y >= 0) & (y < H) & (x >= 0) & (x < W)
                pixel = plane + (y * W + x).to(INDEX) * C + c
                value = tl.load(pixel, mask=c < tl.where(inside, C, 0), other=0.0).to(SUM)
                total += w * value
        out = k.to(tl.int64) * of_region + b * of_bin + c * of_channel
        tl.store(values + out, total.to(values.dtype.element_ty), mask=c < C)


@triton.jit
def reach(weight, points, pixel, result, P, Q, own_step, other_step, bins, TAPS: tl.constexpr):
    """From which to which row some bin of a row of bins reads; or column of a column."""
    k, i = tl.program_id(0) // P, tl.program_id(0) % P
    low = tl.full((TAPS,), 2**30, tl.int32)
    high = tl.zeros((TAPS,), tl.int32)
    for j in range(Q):
        bin = k * bins + i * own_step + j * other_step
        end = tl.load(points + bin * 2 + 1)
        for t0 in range(tl.load(points + bin * 2), end, TAPS):
            t = t0 + tl.arange(0, TAPS)
            some = tl.load(weight + t, mask=t < end, other=0.0) != 0
            at = tl.load(pixel + t, mask=t < end, other=0)
            low = tl.minimum(low, tl.where(some, at, 2**30))
            high = tl.maximum(high, tl.where(some, at + 1, 0))
    tl.store(result + tl.program_id(0) * 2, tl.min(low, 0))
    tl.store(result + tl.program_id(0) * 2 + 1, tl.max(high, 0))


@triton.jit
def weigh(
    pooled,
    data,
    weight,
    image,
    points,
    y_pixel,
    x_pixel,
    first,
    images,
    C,
    H,
    W,
    bins,
    of_region,
    of_channel,
    of_bin,
    SUM: tl.constexpr,
    CHANNELS: tl.constexpr,
    POINTS: tl.constexpr,
    INDEX: tl.constexpr,
):
    """Of each point of a bin, what its weight moves."""
    at = tl.program_id(0)
    k, b = at // bins, at % bins
    n = tl.load(image + k) - first
    begin, end = tl.load(points + at * 2), tl.load(points + at * 2 + 1)
    if answers(n, first, images):
        plane = data + tl.maximum(n, 0).to(tl.int64) * H * W * C
        for t0 in range(begin, end, POINTS):
            t = t0 + tl.arange(0, POINTS)
            y = tl.load(y_pixel + t, mask=t < end, other=-1)
            x = tl.load(x_pixel + t, mask=t < end, other=-1)
            inside = (y >= 0) & (y < H) & (x >= 0) & (x < tl.where(n >= 0, W, 0))
            total = tl.zeros((POINTS, CHANNELS), SUM)
            for c0 in range(0, C, CHANNELS):
                c = c0 + tl.arange(0, CHANNELS)
                out = k.to(tl.int64) * of_region + b * of_bin + c * of_channel
                given = tl.load(pooled + out, mask=c < C, other=0.0).to(SUM)
                pixel = plane + ((y * W + x).to(INDEX) * C)[:, None] + c[None, :]
                some = inside[:, None] & (c < C)[None, :]
                value = tl.load(pixel, mask=some, other=0.0).to(SUM)
                total += tl.where(some, given[None, :] * value, 0.0)
            tl.store(weight + t, tl.sum(total, 1), mask=t < end)
