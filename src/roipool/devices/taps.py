"""The kernels of taps in Triton: sums of weighted pixels, and what moves the weights."""

import triton
import triton.language as tl

from roipool.devices.layout import answers


@triton.jit
def read(
    data,
    values,
    image,
    y_weight,
    y_taps,
    y_pixel,
    x_weight,
    x_taps,
    x_pixel,
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
    SUM: tl.constexpr,
    CHANNELS: tl.constexpr,
    INDEX: tl.constexpr,
):
    """A bin of a region by CHANNELS channels of a map whose channels lie last."""
    bins = PH * PW
    k = tl.program_id(0) // bins
    b = tl.program_id(0) % bins
    c = tl.program_id(1) * CHANNELS + tl.arange(0, CHANNELS)
    n = tl.load(image + k) - first
    if answers(n, first, images):
        total = tl.zeros((CHANNELS,), SUM)
        if n >= 0:
            plane = data + n.to(tl.int64) * H * W * C
            at_y, at_x = (k * PH + b // PW) * 2, (k * PW + b % PW) * 2
            x, x_end = tl.load(x_taps + at_x), tl.load(x_taps + at_x + 1)
            for i in range(tl.load(y_taps + at_y), tl.load(y_taps + at_y + 1)):
                weight = tl.load(y_weight + i)
                row = tl.load(y_pixel + i) * W
                for j in range(x, x_end):
                    w = weight * tl.load(x_weight + j)
                    at = row + tl.load(x_pixel + j)
                    # Of weight 0 nothing is read: NaN times 0 would be NaN.
                    pixel = plane + at.to(INDEX) * C + c
                    value = tl.load(pixel, mask=c < tl.where(w != 0, C, 0), other=0.0)
                    total += w * value.to(SUM)
        out = k.to(tl.int64) * of_region + b * of_bin + c * of_channel
        tl.store(values + out, total.to(values.dtype.element_ty), mask=c < C)


@triton.jit
def weigh(
    pooled,
    data,
    weight,
    taps,
    pixel,
    other_weight,
    other_taps,
    other_pixel,
    image,
    first,
    images,
    C,
    H,
    W,
    P,
    Q,
    own_step,
    other_step,
    own_bin,
    other_bin,
    of_region,
    of_channel,
    SUM: tl.constexpr,
    CHANNELS: tl.constexpr,
    INDEX: tl.constexpr,
):
    """Of each tap of a bin along one axis, what its weight moves: P bins of it by Q across."""
    k = tl.program_id(0) // P
    i = tl.program_id(0) % P
    n = tl.load(image + k) - first
    begin, end = tl.load(taps + tl.program_id(0) * 2), tl.load(taps + tl.program_id(0) * 2 + 1)
    if (n >= 0) & (n < images):
        plane = data + n.to(tl.int64) * H * W * C
        for t in range(begin, end):
            own = tl.load(pixel + t) * own_step
            total = tl.zeros((CHANNELS,), SUM)
            for c0 in range(0, C, CHANNELS):
                c = c0 + tl.arange(0, CHANNELS)
                for j in range(Q):
                    at = k.to(tl.int64) * of_region + i * own_bin + j * other_bin + c * of_channel
                    given = tl.load(pooled + at, mask=c < C, other=0.0).to(SUM)
                    sums = tl.zeros((CHANNELS,), SUM)
                    reads = 0
                    s0 = tl.load(other_taps + (k * Q + j) * 2)
                    s1 = tl.load(other_taps + (k * Q + j) * 2 + 1)
                    for s in range(s0, s1):
                        w = tl.load(other_weight + s)
                        spot = own + tl.load(other_pixel + s) * other_step
                        value = plane + spot.to(INDEX) * C + c
                        reads = tl.where(w != 0, 1, reads)
                        some = c < tl.where(w != 0, C, 0)
                        sums += w * tl.load(value, mask=some, other=0.0).to(SUM)
                    total += tl.where(reads == 1, given * sums, 0.0)
            tl.store(weight + t, tl.sum(total, 0))
    elif (n + first < 0) & (first == 0):
        for t in range(begin, end):
            tl.store(weight + t, 0.0)
