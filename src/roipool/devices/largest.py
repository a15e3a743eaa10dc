"""The kernels of max in Triton: the largest pixel of each bin, what reads there and what adds."""

import triton
import triton.language as tl

from roipool.devices.layout import answers


@triton.jit
def find(
    data,
    values,
    argmax,
    image,
    y_bins,
    x_bins,
    first,
    images,
    C,
    H,
    W,
    PH,
    PW,
    of_region,
    of_channel,
    of_bin,
    FINDS: tl.constexpr,
    CHANNELS: tl.constexpr,
    INDEX: tl.constexpr,
    WIDE: tl.constexpr,
):
    """A bin of a region by CHANNELS channels of a map whose channels lie last."""
    bins = PH * PW
    k = tl.program_id(0) // bins
    b = tl.program_id(0) % bins
    c = tl.program_id(1) * CHANNELS + tl.arange(0, CHANNELS)
    n = tl.load(image + k) - first
    if answers(n, first, images):
        there = c < C
        nan = float("nan")
        best = tl.full((CHANNELS,), nan, WIDE)
        found = tl.full((CHANNELS,), -1, argmax.dtype.element_ty)
        pooled = n >= 0
        if n >= 0:
            plane = data + n.to(tl.int64) * H * W * C
            at_y, at_x = (k * PH + b // PW) * 2, (k * PW + b % PW) * 2
            top, bottom = tl.load(y_bins + at_y), tl.load(y_bins + at_y + 1)
            left, right = tl.load(x_bins + at_x), tl.load(x_bins + at_x + 1)
            pooled = (top < bottom) & (left < right)
            for h in range(top, bottom):
                for w in range(left, right):
                    at = tl.cast(h, INDEX) * W + w
                    value = tl.load(plane + at * C + c, mask=there, other=0).to(WIDE)
                    # NaN, which it begins with, loses to all; of equal values the first stays.
                    better = (value > best) | ((best != best) & (value == value))
                    best = tl.where(better, value, best)
                    if FINDS:
                        found = tl.where(better, tl.cast(at, argmax.dtype.element_ty), found)
        best = tl.where(pooled, best, 0.0)
        out = k.to(tl.int64) * of_region + b * of_bin + c * of_channel
        tl.store(values + out, best.to(values.dtype.element_ty), mask=there)
        if FINDS:
            tl.store(argmax + out, found, mask=there)


@triton.jit
def reach(
    argmax,
    y_reach,
    x_reach,
    C,
    W,
    PH,
    PW,
    of_region,
    of_channel,
    of_bin,
    ROWS: tl.constexpr,
    COLUMNS: tl.constexpr,
    CHANNELS: tl.constexpr,
):
    """From which to which row of the map each row of bins has found something; columns as well."""
    k = tl.program_id(0)
    row, column = tl.arange(0, ROWS), tl.arange(0, COLUMNS)
    top = tl.full((ROWS,), 2**30, tl.int32)
    bottom = tl.zeros((ROWS,), tl.int32)
    left = tl.full((COLUMNS,), 2**30, tl.int32)
    right = tl.zeros((COLUMNS,), tl.int32)
    bin = row[:, None] * PW + column[None, :]
    valid = (row < PH)[:, None] & (column < PW)[None, :]
    for c0 in range(0, C, CHANNELS):
        c = c0 + tl.arange(0, CHANNELS)
        out = (bin * of_bin)[:, :, None] + (c * of_channel)[None, None, :]
        mask = valid[:, :, None] & (c < C)[None, None, :]
        at = tl.load(argmax + k.to(tl.int64) * of_region + out, mask=mask, other=-1)
        some = at >= 0
        y, x = (at // W).to(tl.int32), (at % W).to(tl.int32)
        low, high = tl.min(tl.where(some, y, 2**30), 2), tl.max(tl.where(some, y + 1, 0), 2)
        top, bottom = tl.minimum(top, tl.min(low, 1)), tl.maximum(bottom, tl.max(high, 1))
        low, high = tl.min(tl.where(some, x, 2**30), 2), tl.max(tl.where(some, x + 1, 0), 2)
        left, right = tl.minimum(left, tl.min(low, 0)), tl.maximum(right, tl.max(high, 0))
    tl.store(y_reach + (k * PH + row) * 2, top, mask=row < PH)
    tl.store(y_reach + (k * PH + row) * 2 + 1, bottom, mask=row < PH)
    tl.store(x_reach + (k * PW + column) * 2, left, mask=column < PW)
    tl.store(x_reach + (k * PW + column) * 2 + 1, right, mask=column < PW)


@triton.jit
def read(
    data,
    argmax,
    values,
    image,
    first,
    images,
    C,
    H,
    W,
    bins,
    of_region,
    of_channel,
    of_bin,
    CHANNELS: tl.constexpr,
    INDEX: tl.constexpr,
):
    """The pixel at each argmax of a bin; 0 where nothing was found."""
    k, b = tl.program_id(0) // bins, tl.program_id(0) % bins
    c = tl.program_id(1) * CHANNELS + tl.arange(0, CHANNELS)
    n = tl.load(image + k) - first
    if answers(n, first, images):
        out = k.to(tl.int64) * of_region + b * of_bin + c * of_channel
        at = tl.load(argmax + out, mask=c < tl.where(n >= 0, C, 0), other=-1)
        plane = data + tl.maximum(n, 0).to(tl.int64) * H * W * C
        some = (at >= 0) & (at < tl.cast(H, INDEX) * W)
        value = tl.load(plane + at.to(INDEX) * C + c, mask=some, other=0)
        tl.store(values + out, value, mask=c < C)
