"""Gradients of feature maps, gathered: each tile of a map by one program.

That adds what the regions that reach the tile have for it, in their order, so nothing is added by
two at once, and sums have one order on every run. Which regions reach a band of rows is listed
before, and of these which reach each tile of it.
"""

from collections.abc import Mapping
from typing import NamedTuple

import torch
import triton
import triton.language as tl
from torch import Tensor

from roipool.devices.layout import FUSED

ROWS, COLUMNS = 2, 4  # of a tile
REGIONS = 1024  # that are looked at together for a list
NOWHERE = tl.constexpr(2**30)


@triton.jit
def box(y_reach, x_reach, boxes, K, PH, PW, REGIONS: tl.constexpr):
    """From which to which row and column of the map a region reaches."""
    k = tl.program_id(0) * REGIONS + tl.arange(0, REGIONS)
    top, bottom = _hull(y_reach, k, K, PH, REGIONS)
    left, right = _hull(x_reach, k, K, PW, REGIONS)
    tl.store(boxes + k * 4, top, mask=k < K)
    tl.store(boxes + k * 4 + 1, bottom, mask=k < K)
    tl.store(boxes + k * 4 + 2, left, mask=k < K)
    tl.store(boxes + k * 4 + 3, right, mask=k < K)


@triton.jit
def _hull(reach, k, K, P, REGIONS: tl.constexpr):
    low = tl.full((REGIONS,), NOWHERE, tl.int32)
    high = tl.zeros((REGIONS,), tl.int32)
    for i in range(P):
        at = reach + (k.to(tl.int64) * P + i) * 2
        low = tl.minimum(low, tl.load(at, mask=k < K, other=0))
        high = tl.maximum(high, tl.load(at + 1, mask=k < K, other=0))
    return low, high


@triton.jit
def listed(image, boxes, ends, region, K, first, bands, rows, REGIONS: tl.constexpr):
    """Which regions reach a band, in their order."""
    band = tl.program_id(0)
    n = band // bands + first
    begin = band % bands * rows
    to = region + band.to(tl.int64) * K
    place = 0
    for k0 in range(0, K, REGIONS):
        k = k0 + tl.arange(0, REGIONS)
        own = tl.load(image + k, mask=k < K, other=-1) == n
        top = tl.load(boxes + k * 4, mask=own, other=0)
        bottom = tl.load(boxes + k * 4 + 1, mask=own, other=0)
        reaches = (top < begin + rows) & (bottom > begin)
        some = reaches.to(tl.int32)
        tl.store(to + place + tl.cumsum(some, 0) - 1, k, mask=reaches)
        place += tl.sum(some, 0)
    tl.store(ends + band, place)


@triton.jit
def _touching(
    reach, k, valid, P, begin, LENGTH: tl.constexpr, LISTED: tl.constexpr, SIDE: tl.constexpr
):
    """Of each region, from which to which bin some reach what begins there: the last above 2^16."""
    i = tl.arange(0, SIDE)[None, :]
    at = reach + (k.to(tl.int64)[:, None] * P + i) * 2
    some = valid[:, None] & (i < P)
    low = tl.load(at, mask=some, other=NOWHERE)
    high = tl.load(at + 1, mask=some, other=0)
    touches = (low < begin + LENGTH) & (high > begin)
    start = tl.min(tl.where(touches, i, SIDE), 1)
    return start | (tl.max(tl.where(touches, i + 1, 0), 1) << 16)


@triton.jit
def _candidates(
    region,
    boxes,
    y_reach,
    x_reach,
    e,
    end,
    PH,
    PW,
    y0,
    x0,
    ROWS: tl.constexpr,
    COLUMNS: tl.constexpr,
    LISTED: tl.constexpr,
    Y_SIDE: tl.constexpr,
    X_SIDE: tl.constexpr,
):
    """Of regions of a band which reach the tile, and which of their bins do along y and along x."""
    k = tl.load(region + e, mask=e < end, other=-1)
    top = tl.load(boxes + k * 4, mask=k >= 0, other=NOWHERE)
    bottom = tl.load(boxes + k * 4 + 1, mask=k >= 0, other=0)
    left = tl.load(boxes + k * 4 + 2, mask=k >= 0, other=NOWHERE)
    right = tl.load(boxes + k * 4 + 3, mask=k >= 0, other=0)
    reaches = (top < y0 + ROWS) & (bottom > y0) & (left < x0 + COLUMNS) & (right > x0)
    i_range = _touching(y_reach, k, reaches, PH, y0, ROWS, LISTED, Y_SIDE)
    j_range = _touching(x_reach, k, reaches, PW, x0, COLUMNS, LISTED, X_SIDE)
    return k, reaches, i_range, j_range


@triton.jit
def shortlist(
    region,
    ends,
    boxes,
    y_reach,
    x_reach,
    stops,
    chosen,
    K,
    PH,
    PW,
    across,
    tiles,
    bands,
    rows,
    room,
    COUNTS: tl.constexpr,
    ROWS: tl.constexpr,
    COLUMNS: tl.constexpr,
    LISTED: tl.constexpr,
    Y_SIDE: tl.constexpr,
    X_SIDE: tl.constexpr,
):
    """How many regions reach a tile, into `stops`; or, where each list stops being known, which,
    as their number and their bins along y and x, if there is room.
    """
    tile = tl.program_id(0)
    y0 = tile % tiles // across * ROWS
    x0 = tile % tiles % across * COLUMNS
    band = tile // tiles * bands + y0 // rows
    end = tl.load(ends + band)
    region += band.to(tl.int64) * K
    place = 0
    if not COUNTS:
        place = tl.where(tile > 0, tl.load(stops + tl.maximum(tile - 1, 0)), 0)
    for e0 in range(0, end, LISTED):
        e = e0 + tl.arange(0, LISTED)
        k, reaches, i_range, j_range = _candidates(
            region,
            boxes,
            y_reach,
            x_reach,
            e,
            end,
            PH,
            PW,
            y0,
            x0,
            ROWS,
            COLUMNS,
            LISTED,
            Y_SIDE,
            X_SIDE,
        )
        some = reaches.to(tl.int32)
        if not COUNTS:
            at = place + tl.cumsum(some, 0) - 1
            to = chosen + at.to(tl.int64) * 3
            fits = reaches & (at < room)
            tl.store(to, k, mask=fits)
            tl.store(to + 1, i_range, mask=fits)
            tl.store(to + 2, j_range, mask=fits)
        place += tl.sum(some, 0)
    if COUNTS:
        tl.store(stops + tile, place)


@triton.jit
def _of(values, every, which):
    """That one of the values."""
    return tl.sum(tl.where(every == which, values, 0), 0)


@triton.jit
def _weight_at(place, begin, end, pixel, weight, SUM: tl.constexpr, TILE: tl.constexpr):
    """What a bin's taps weigh at each place."""
    total = tl.zeros((TILE,), SUM)
    for t in range(begin, end):
        total += tl.where(tl.load(pixel + t) == place, tl.load(weight + t), 0.0)
    return total


@triton.jit
def _added(
    total,
    k,
    i_range,
    j_range,
    row,
    column,
    inside,
    own,
    c,
    pooled,
    argmax,
    y_weight,
    x_weight,
    y_list,
    x_list,
    y_pixel,
    x_pixel,
    C,
    H,
    W,
    PH,
    PW,
    of_region,
    of_channel,
    of_bin,
    KIND: tl.constexpr,
    SUM: tl.constexpr,
    TILE: tl.constexpr,
):
    """The sums of a tile with what bins of a region have for it."""
    k = k.to(tl.int64)
    for i in range(i_range & 65535, i_range >> 16):
        if KIND == "taps":
            of_y = y_list + (k * PH + i) * 2
            weight_y = _weight_at(
                row, tl.load(of_y), tl.load(of_y + 1), y_pixel, y_weight, SUM, TILE
            )
        if KIND == "dense":
            weight_y = tl.load(y_weight + (k * PH + i) * H + row, mask=inside, other=0.0)
        for j in range(j_range & 65535, j_range >> 16):
            at = k * of_region + (i * PW + j) * of_bin + c * of_channel
            given = tl.load(pooled + at, mask=c < C, other=0.0).to(SUM)
            if KIND == "max":
                found = tl.load(argmax + at, mask=c < C, other=-1)
                total += tl.where(found[None, :] == own[:, None], given[None, :], 0.0)
            else:
                if KIND == "points":
                    of_bin_ = y_list + ((k * PH + i) * PW + j) * 2
                    w = tl.zeros((TILE,), SUM)
                    for t in range(tl.load(of_bin_), tl.load(of_bin_ + 1)):
                        hits = (row == tl.load(y_pixel + t)) & (column == tl.load(x_pixel + t))
                        w += tl.where(hits, tl.load(y_weight + t), 0.0)
                elif KIND == "taps":
                    of_x = x_list + (k * PW + j) * 2
                    w = weight_y * _weight_at(
                        column, tl.load(of_x), tl.load(of_x + 1), x_pixel, x_weight, SUM, TILE
                    )
                else:
                    at_x = x_weight + (k * PW + j) * W + column
                    w = weight_y * tl.load(at_x, mask=inside, other=0.0)
                # Of weight 0 nothing is added: NaN times 0 would be NaN.
                total += tl.where((w != 0)[:, None], w[:, None] * given[None, :], 0.0)
    return total


@triton.jit
def add(
    pooled,
    result,
    region,
    ends,
    boxes,
    y_reach,
    x_reach,
    stops,
    chosen,
    argmax,
    y_weight,
    x_weight,
    y_list,
    x_list,
    y_pixel,
    x_pixel,
    K,
    C,
    H,
    W,
    PH,
    PW,
    across,
    tiles,
    bands,
    rows,
    room,
    of_region,
    of_channel,
    of_bin,
    KIND: tl.constexpr,
    SUM: tl.constexpr,
    ROWS: tl.constexpr,
    COLUMNS: tl.constexpr,
    CHANNELS: tl.constexpr,
    LISTED: tl.constexpr,
    Y_SIDE: tl.constexpr,
    X_SIDE: tl.constexpr,
):
    """What regions add to a tile, by CHANNELS channels.

    Of KIND "max" argmax says where; of "taps" the weights of a bin's rows times those of its
    columns how much, and of "dense" the same spread over the map; of "points" (y_weight, y_list,
    and both pixels) each listed pixel's.
    """
    tile = tl.program_id(0)
    c = tl.program_id(1) * CHANNELS + tl.arange(0, CHANNELS)
    n = tile // tiles
    y0 = tile % tiles // across * ROWS
    x0 = tile % tiles % across * COLUMNS
    p = tl.arange(0, ROWS * COLUMNS)
    row, column = y0 + p // COLUMNS, x0 + p % COLUMNS
    inside = (row < H) & (column < W)
    own = tl.where(inside, row * W + column, -2)
    total = tl.zeros((ROWS * COLUMNS, CHANNELS), SUM)
    stop = tl.load(stops + tile)
    if stop <= room:
        start = tl.load(stops + tl.maximum(tile - 1, 0))
        for e in range(tl.where(tile > 0, start, 0), stop):
            one = chosen + tl.cast(e, tl.int64) * 3
            total = _added(
                total,
                tl.load(one),
                tl.load(one + 1),
                tl.load(one + 2),
                row,
                column,
                inside,
                own,
                c,
                pooled,
                argmax,
                y_weight,
                x_weight,
                y_list,
                x_list,
                y_pixel,
                x_pixel,
                C,
                H,
                W,
                PH,
                PW,
                of_region,
                of_channel,
                of_bin,
                KIND,
                SUM,
                ROWS * COLUMNS,
            )
    else:
        band = n * bands + y0 // rows
        end = tl.load(ends + band)
        region += band.to(tl.int64) * K
        every = tl.arange(0, LISTED)
        for e0 in range(0, end, LISTED):
            k, reaches, i_ranges, j_ranges = _candidates(
                region,
                boxes,
                y_reach,
                x_reach,
                e0 + every,
                end,
                PH,
                PW,
                y0,
                x0,
                ROWS,
                COLUMNS,
                LISTED,
                Y_SIDE,
                X_SIDE,
            )
            next = tl.min(tl.where(reaches, every, LISTED), 0)
            while next < LISTED:
                total = _added(
                    total,
                    _of(k, every, next),
                    _of(i_ranges, every, next),
                    _of(j_ranges, every, next),
                    row,
                    column,
                    inside,
                    own,
                    c,
                    pooled,
                    argmax,
                    y_weight,
                    x_weight,
                    y_list,
                    x_list,
                    y_pixel,
                    x_pixel,
                    C,
                    H,
                    W,
                    PH,
                    PW,
                    of_region,
                    of_channel,
                    of_bin,
                    KIND,
                    SUM,
                    ROWS * COLUMNS,
                )
                next = tl.min(tl.where(reaches & (every > next), every, LISTED), 0)
    to = result + ((n.to(tl.int64) * H + row) * W + column)[:, None] * C + c[None, :]
    stores = inside[:, None] & (c < C)[None, :]
    tl.store(to, total.to(result.dtype.element_ty), mask=stores)


@triton.jit
def spread(weight, taps, pixel, dense, L, SUM: tl.constexpr, LENGTH: tl.constexpr):
    """What a bin's taps along an axis weigh at each pixel of the map."""
    bin = tl.program_id(0)
    begin, end = tl.load(taps + bin * 2), tl.load(taps + bin * 2 + 1)
    for l0 in range(0, L, LENGTH):
        at = l0 + tl.arange(0, LENGTH)
        total = _weight_at(at, begin, end, pixel, weight, SUM, LENGTH)
        tl.store(dense + bin.to(tl.int64) * L + at, total, mask=at < L)


class Lists(NamedTuple):
    """What `add` is told of the regions that reach its tile.

    Attributes:
        region: Of each band the numbers of those that reach it, with room for every one.
        ends: How many there are in each band's list.
        boxes: (K, 4) from which to which row, then column, a region reaches.
        reach: (K, P, 2) the same of each bin, along y and along x.
        stops: Where each tile's own list stops.
        chosen: These lists, one after the other: a region, and its bins along y and along x.
        sizes: Tiles of a row and of an image, bands of an image, rows of these, and how much is
            chosen at most: a tile whose list does not fit finds its regions among the band's.
    """

    region: Tensor
    ends: Tensor
    boxes: Tensor
    reach: tuple[Tensor, Tensor]
    stops: Tensor
    chosen: Tensor
    sizes: tuple[int, int, int, int, int]


def lists_of(
    image: Tensor, reach: tuple[Tensor, Tensor], last: Tensor, first: int, how: Mapping[str, int]
) -> Lists:
    """Those of maps, whose first image has that number, by the reach of bins.

    Bands are so wide that all their lists take an eighth of the maps' memory at most, or 16 numbers
    for each region and image; what is chosen takes three eighths at most.
    """
    images, _, height, width = last.shape
    (K, PH, _), PW = reach[0].shape, reach[1].shape[1]
    tall = triton.cdiv(height, ROWS)
    most = max(last.nbytes // (32 * K * max(images, 1)), 16)
    rows = ROWS * triton.cdiv(tall, min(tall, most))
    bands = triton.cdiv(height, rows)
    boxes = image.new_empty(K, 4)
    box[(triton.cdiv(K, 128),)](*reach, boxes, K, PH, PW, REGIONS=128, **FUSED)
    ends, region = image.new_empty(images * bands), image.new_empty(images * bands * K)
    listed[(images * bands,)](
        image, boxes, ends, region, K, first, bands, rows, REGIONS=REGIONS, **FUSED
    )
    across = triton.cdiv(width, COLUMNS)
    tiles = across * tall
    room = max(min(last.nbytes // 32, K * tiles), 1)
    counts, chosen = image.new_empty(images * tiles), image.new_empty(3 * room)
    given = region, ends, boxes, *reach
    sizes = across, tiles, bands, rows, room
    for counting in (True, False):
        stops = counts if counting else torch.cumsum(counts, 0)
        shortlist[(images * tiles,)](
            *given, stops, chosen, K, PH, PW, *sizes, COUNTS=counting, **how
        )
    return Lists(region, ends, boxes, reach, stops, chosen, sizes)
