"""Geometry in Triton, a launch for a structure: twins of the array text, equal to it to the bit.

Divisions are rounded correctly, and no multiplication is fused with an addition.
"""

from collections.abc import Callable
from functools import cache
from typing import Any

import torch
import triton
import triton.language as tl
from torch import Tensor

from roipool import geometry
from roipool.geometry import Bins, Maps, Taps
from roipool.geometry.align import NEAR
from roipool.geometry.regions import held

BLOCK = 128
EXACT = {"enable_fp_fusion": False, "num_warps": 4}
TYPES = {torch.float32: tl.float32, torch.float64: tl.float64}


@cache
def _table(maps: Maps, dtype: torch.dtype, scale_type: torch.dtype, device: torch.device) -> Tensor:
    """Of each array of maps its first image and, along y and x, scale, length, last pixel, border.

    It stays on the device: nothing is copied there at a call.
    """
    digits, rows, first = 53 if dtype == torch.float64 else 24, [], 0
    for images, scales, *lengths in zip(
        maps.images, maps.scales, maps.heights, maps.widths, strict=True
    ):
        row: list[float] = [first]
        for scale, length in zip(scales, lengths, strict=True):
            of_type = torch.tensor(scale, dtype=scale_type, device="cpu").item()
            row += [of_type, length, held(length - 1, digits), held(length, digits)]
        rows.append(row)
        first += images
    return torch.tensor(rows, dtype=torch.float64, device="cpu").to(device)


@triton.jit
def _map(table, arrays, n, axis, F: tl.constexpr):
    """What the map of image n is along an axis: scale, length, last pixel and border."""
    row = n * 0
    for i in range(1, arrays):
        row = tl.where(tl.load(table + i * 9).to(tl.int32) <= n, i, row)
    at = table + row * 9 + 1 + axis * 4
    length = tl.load(at + 1).to(tl.int32)
    return tl.load(at).to(F), length, tl.load(at + 2).to(F), tl.load(at + 3).to(F)


@triton.jit
def _ends(rois, table, arrays, images, k, axis, valid, MOST: tl.constexpr, F: tl.constexpr):
    """The image of a row, its ends along an axis, and how the map lies there."""
    index = tl.load(rois + k * 5, mask=valid, other=-1).to(tl.float64)
    known = (index >= 0) & (index < images) & (index == tl.floor(index))
    n = tl.where(known, index, 0).to(tl.int32)
    finite = known
    for column in tl.static_range(1, 5):
        scale, _, _, _ = _map(table, arrays, n, column % 2, F)
        end = scale * tl.load(rois + k * 5 + column, mask=valid, other=0).to(F)
        finite = finite & (tl.abs(end) <= MOST)
    scale, length, last, border = _map(table, arrays, n, axis, F)
    begin = scale * tl.load(rois + k * 5 + 2 - axis, mask=valid, other=0).to(F)
    end = scale * tl.load(rois + k * 5 + 4 - axis, mask=valid, other=0).to(F)
    begin, end = tl.where(finite, begin, -9.0), tl.where(finite, end, -9.0)
    return tl.where(finite, n, -1), begin, end, length, last, border


@triton.jit
def _bin_of(e, PH, PW):
    """The region, axis (0 for y) and number of a bin along it, of all; and of how many."""
    k, place = e // (PH + PW), e % (PH + PW)
    axis = (place >= PH).to(tl.int32)
    return k, axis, tl.where(axis == 1, place - PH, place), tl.where(axis == 1, PW, PH)


@triton.jit
def _divided(value, by, F: tl.constexpr):
    if F == tl.float64:
        return value / by
    else:
        return tl.div_rn(value, by)


@triton.jit
def _rounded(value):
    size = tl.abs(value)
    whole = tl.floor(size)
    whole += (size - whole >= 0.5).to(value.dtype)
    return tl.where(value < 0, -whole, whole)


@triton.jit
def bins(
    rois,
    table,
    image,
    y_bins,
    x_bins,
    K,
    arrays,
    images,
    PH,
    PW,
    MOST: tl.constexpr,
    F: tl.constexpr,
    SUMS: tl.constexpr,
    BLOCK: tl.constexpr,
):
    """The twin of `geometry.max_bins`: a lane for each bin along an axis."""
    e = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    k, axis, part, count = _bin_of(e, PH, PW)
    valid = k < K
    n, begin, end, length, _, _ = _ends(rois, table, arrays, images, k, axis, valid, MOST, F)
    begin, end = _rounded(begin), _rounded(end)
    near = end - begin
    back = near - end
    lost = (end - (near - back)) - (begin + back)
    above = near + lost * 2
    size = tl.where((lost > 0) & (above - near == lost * 2), above, near + (lost + 1))
    size = tl.where(size < 1, 1.0, size)
    step = _divided(size, count.to(F), F)
    low = tl.floor(part.to(F) * step).to(SUMS) + begin.to(SUMS)
    high = tl.ceil((part + 1).to(F) * step).to(SUMS) + begin.to(SUMS)
    most = length.to(SUMS)
    low, high = tl.minimum(tl.maximum(low, 0.0), most), tl.minimum(tl.maximum(high, 0.0), most)
    tl.store(image + k, n, mask=valid & (axis == 0) & (part == 0))
    for of_x in tl.static_range(2):
        to = (x_bins + (k * PW + part) * 2) if of_x else (y_bins + (k * PH + part) * 2)
        tl.store(to, low.to(tl.int32), mask=valid & (axis == of_x))
        tl.store(to + 1, high.to(tl.int32), mask=valid & (axis == of_x))


@triton.jit
def _read(first, size, samples, none, length, last, border, sample, F: tl.constexpr):
    """The two pixels of a sample, and their weights: 0 where it counts as nothing."""
    position = first + _divided(sample * size, samples, F)
    counts = (position >= -1) & (position <= border) & (sample < samples) & (none == 0)
    counts = counts & (last >= 0)
    inside = tl.minimum(tl.maximum(position, 0.0), last)
    whole = tl.floor(inside)
    share = inside - whole
    low = whole.to(tl.int32)
    high = tl.minimum(tl.maximum(low + 1, 0), length - 1)
    low, high = tl.maximum(low, 0), tl.maximum(high, 0)
    return low, high, tl.where(counts, 1 - share, 0.0), tl.where(counts, share, 0.0), position


@triton.jit
def taps(
    rois,
    table,
    image,
    y_weight,
    x_weight,
    y_taps,
    y_pixel,
    x_taps,
    x_pixel,
    K,
    arrays,
    images,
    PH,
    PW,
    y_slots,
    x_slots,
    MOST: tl.constexpr,
    F: tl.constexpr,
    SUM: tl.constexpr,
    RATIO: tl.constexpr,
    ALIGNED: tl.constexpr,
    NEAR: tl.constexpr,
    BLOCK: tl.constexpr,
):
    """The twin of `geometry.align_taps`: a lane for each bin along an axis."""
    e = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    k, axis, part, count = _bin_of(e, PH, PW)
    valid = k < K
    n, begin, end, length, last, border = _ends(
        rois, table, arrays, images, k, axis, valid, MOST, F
    )
    if ALIGNED:
        begin, end = begin - 0.5, end - 0.5
    extent = end - begin
    if not ALIGNED:
        extent = tl.where(extent < 1, 1.0, extent)
    size = _divided(extent, count.to(F), F)
    samples = tl.ceil(size)
    if RATIO > 0:
        samples = size * 0 + RATIO
    none = (samples <= 0).to(tl.int32)
    samples = tl.where(none == 1, 1.0, samples)
    size = tl.where(none == 1, 1.0, size)
    first = begin + part.to(F) * size
    on_x = axis == 1
    bin = tl.where(on_x, k * PW, k * PH) + part
    slot = bin * tl.where(on_x, x_slots, y_slots)
    if RATIO > 0:
        listed = length * 0 + 2 * RATIO
        for t in tl.static_range(2 * RATIO):
            own, _ = _tap(first, size, samples, none, length, last, border, t, RATIO, F)
            total = size * 0
            repeated = length * 0
            for i in tl.static_range(2 * RATIO):
                pixel, weight = _tap(first, size, samples, none, length, last, border, i, RATIO, F)
                total += tl.where(pixel == own, weight, 0.0)
                if i < t:
                    repeated = tl.where(pixel == own, 1, repeated)
            total = _divided(tl.where(repeated == 1, 0.0, total), samples, F).to(SUM)
            tl.store(y_pixel + slot + t, own, mask=valid & (axis == 0))
            tl.store(y_weight + slot + t, total, mask=valid & (axis == 0))
            tl.store(x_pixel + slot + t, own, mask=valid & on_x)
            tl.store(x_weight + slot + t, total, mask=valid & on_x)
    else:
        half = size * 0 + 0.5
        low, _, _, _, position = _read(first, size, samples, none, length, last, border, half, F)
        reached = position <= border
        _, high, _, _, position = _read(
            first, size, samples, none, length, last, border, samples - half, F
        )
        reached = reached & (position >= -1) & (none == 0)
        listed = tl.where(reached & valid, high - low + 1, 0)
        apart = _divided(size, samples, F)
        for t in range(tl.max(listed, 0)):
            own = low + t
            near = tl.floor(_divided(own.to(F) - 1 - first, apart, F) - 0.5) - 1
            near = tl.minimum(tl.maximum(near, 0.0), samples)
            total = size * 0
            for i in tl.static_range(NEAR):
                p, q, of_p, of_q, _ = _read(
                    first, size, samples, none, length, last, border, near + (i + 0.5), F
                )
                total += tl.where(p == own, of_p, 0.0)
                total += tl.where(q == own, of_q, 0.0)
            total = _divided(total, samples, F).to(SUM)
            tl.store(y_pixel + slot + t, own, mask=(t < listed) & (axis == 0))
            tl.store(y_weight + slot + t, total, mask=(t < listed) & (axis == 0))
            tl.store(x_pixel + slot + t, own, mask=(t < listed) & on_x)
            tl.store(x_weight + slot + t, total, mask=(t < listed) & on_x)
    tl.store(image + k, n, mask=valid & (axis == 0) & (part == 0))
    tl.store(y_taps + bin * 2, slot, mask=valid & (axis == 0))
    tl.store(y_taps + bin * 2 + 1, slot + listed, mask=valid & (axis == 0))
    tl.store(x_taps + bin * 2, slot, mask=valid & on_x)
    tl.store(x_taps + bin * 2 + 1, slot + listed, mask=valid & on_x)


@triton.jit
def _tap(
    first,
    size,
    samples,
    none,
    length,
    last,
    border,
    t: tl.constexpr,
    RATIO: tl.constexpr,
    F: tl.constexpr,
):
    """Either pixel of each sample in turn, and its weight; a mirrored bin's from its end on."""
    sample = size * 0 + (t // 2 + 0.5)
    sample = tl.where(size < 0, RATIO - sample, sample)
    low, high, of_low, of_high, _ = _read(
        first, size, samples, none, length, last, border, sample, F
    )
    if t % 2 == 0:
        return low, of_low
    else:
        return high, of_high


def _how(maps: Maps, rois: Tensor, data_dtype: torch.dtype, scale_type: torch.dtype | None) -> Any:
    dtype = geometry.float_type(torch, data_dtype, rois.dtype)
    table = _table(maps, dtype, scale_type or dtype, rois.device)
    return dtype, table, {"MOST": torch.finfo(dtype).max / 8, "F": TYPES[dtype], "BLOCK": BLOCK}


def max_bins(
    rois: Tensor, maps: Maps, pooled_size: tuple[int, int], data_dtype: torch.dtype
) -> Bins:
    """Bins of rows (K, 5) on a device."""
    (K, _), (PH, PW) = rois.shape, pooled_size
    dtype, table, how = _how(maps, rois, data_dtype, torch.float32)
    found = Bins(
        *(rois.new_empty(shape, dtype=torch.int32) for shape in ((K,), (K, PH, 2), (K, PW, 2)))
    )
    exact = max(*maps.heights, *maps.widths) <= 2**24
    sums = TYPES[dtype if exact else torch.float64]
    sizes = K, len(maps.images), sum(maps.images), PH, PW
    grid = (triton.cdiv(K * (PH + PW), BLOCK),)
    if K:
        bins[grid](rois.contiguous(), table, *found, *sizes, SUMS=sums, **how, **EXACT)
    return found


def align_taps(
    rois: Tensor,
    maps: Maps,
    pooled_size: tuple[int, int],
    data_dtype: torch.dtype,
    sampling_ratio: int,
    aligned: bool,
) -> Taps:
    """Taps of rows (K, 5) on a device."""
    (K, _), (PH, PW) = rois.shape, pooled_size
    _, table, how = _how(maps, rois, data_dtype, None)
    sum_type = torch.float64 if data_dtype == torch.float64 else torch.float32
    y_slots, x_slots = (2 * sampling_ratio or max(each) for each in (maps.heights, maps.widths))

    def empty(*shape: int, dtype: torch.dtype = torch.int32) -> Tensor:
        return rois.new_empty(shape, dtype=dtype)

    Y, X = K * PH * y_slots, K * PW * x_slots
    found = Taps(
        empty(K),
        empty(Y, dtype=sum_type),
        empty(X, dtype=sum_type),
        empty(K, PH, 2),
        empty(Y),
        empty(K, PW, 2),
        empty(X),
    )
    sizes = K, len(maps.images), sum(maps.images), PH, PW, y_slots, x_slots
    options = {"SUM": TYPES[sum_type], "RATIO": sampling_ratio, "ALIGNED": aligned, "NEAR": NEAR}
    grid = (triton.cdiv(K * (PH + PW), BLOCK),)
    if K:
        taps[grid](rois.contiguous(), table, *found, *sizes, **options, **how, **EXACT)
    return found


# By the name that descriptions give the twin of a text.
TWINS: dict[str, Callable[..., Any]] = {"max_bins": max_bins, "align_taps": align_taps}
