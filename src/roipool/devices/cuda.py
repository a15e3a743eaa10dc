"""The kernels on CUDA: each by its name, from all that it takes by name to results that it fills.

Maps and pooled values are taken and given with channels last; what lies otherwise is turned before
and behind, which costs a pass over it.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import torch
import triton
import triton.language as tl
from torch import Tensor

from roipool.devices import largest, layout, points, taps, tiles

Known = Mapping[str, Any]
WIDEST = 512  # channels of one warp
HELD = 256  # the same where more than one sum is held for each
SPREAD = 0.25  # of the memory of gradient and pooled values, which weights spread may take
SUMS = {torch.float64: tl.float64}
WIDE = {torch.float64: tl.float64, torch.int32: tl.float64}  # which hold each value exactly
ONE_WARP = {"num_warps": 1, **layout.FUSED}


def _power(number: int) -> int:
    return int(triton.next_power_of_2(number))


def _channels(C: int, most: int) -> tuple[int, int]:
    """How many channels a program takes, and into how many parts that makes them."""
    each = min(_power(C), most)
    return each, triton.cdiv(C, each)


def _each(maps: Sequence[Tensor]) -> Iterator[tuple[Tensor, tuple[int, ...], Any]]:
    """Every array of maps with channels last; its first image, their number and its sizes; and the
    type of an index into a plane.
    """
    first = 0
    for array in maps:
        N, C, H, W = array.shape
        index = tl.int64 if C * H * W >= 2**31 else tl.int32
        yield layout.as_last(array), (first, N, C, H, W), index
        first += N


def _bins(pooled: Tensor) -> tuple[int, int, int]:
    """Steps from region to region, from channel to channel and from bin to bin."""
    _, C, height, width = pooled.shape
    return C * height * width, 1, C


def _filled(results: Sequence[Tensor | None], fill: Callable[..., None]) -> None:
    """Let pooled results be filled with channels last."""
    lasts = [
        None if t is None else t if layout.is_last(t) else layout.empty_like(t) for t in results
    ]
    fill(*lasts)
    for last, result in zip(lasts, results, strict=True):
        if last is not None and result is not None and last is not result:
            layout.put_back(last, result)


def _largest(known: Known, values: Tensor, argmax: Tensor | None = None) -> None:
    def fill(values: Tensor, argmax: Tensor | None) -> None:
        K, C, PH, PW = values.shape
        channels, parts = _channels(C, WIDEST)
        for data, sizes, index in _each(known["data"]):
            largest.find[(K * PH * PW, parts)](
                data, values, values if argmax is None else argmax,
                known["image"], known["y_bins"], known["x_bins"], *sizes, PH, PW, *_bins(values),
                FINDS=argmax is not None, CHANNELS=channels, INDEX=index,
                WIDE=WIDE.get(values.dtype, tl.float32),
                **ONE_WARP,
            )  # fmt: skip

    _filled([values, argmax], fill)


def _max_read(known: Known, values: Tensor) -> None:
    argmax = layout.as_last(known["argmax"])

    def fill(values: Tensor) -> None:
        K, C, PH, PW = values.shape
        channels, parts = _channels(C, WIDEST)
        for data, sizes, index in _each(known["data"]):
            largest.read[(K * PH * PW, parts)](
                data, argmax, values, known["image"], *sizes, PH * PW, *_bins(values),
                CHANNELS=channels, INDEX=index, **ONE_WARP,
            )  # fmt: skip

    _filled([values], fill)


def _taps_read(known: Known, values: Tensor) -> None:
    image, y_weight, y_taps, y_pixel, x_weight, x_taps, x_pixel = _listed(known)

    def fill(values: Tensor) -> None:
        K, C, PH, PW = values.shape
        channels, parts = _channels(C, WIDEST)
        for data, sizes, index in _each(known["data"]):
            taps.read[(K * PH * PW, parts)](
                data, values, image, y_weight, y_taps, y_pixel, x_weight, x_taps, x_pixel,
                *sizes, PH, PW, *_bins(values),
                SUM=_sum(values), CHANNELS=channels, INDEX=index, **ONE_WARP,
            )  # fmt: skip

    _filled([values], fill)


def _taps_weigh(along: str, known: Known, weight: Tensor) -> None:
    across = "x" if along == "y" else "y"
    pooled = layout.as_last(known["pooled"])
    K, C, PH, PW = pooled.shape
    own, other = (known[f"{axis}_taps"] for axis in (along, across))
    lists = own, known[f"{along}_pixel"], known[f"{across}_weight"], other
    P, Q = (PH, PW) if along == "y" else (PW, PH)
    channels, _ = _channels(C, HELD)
    weight.zero_()  # what no bin lists
    for data, sizes, index in _each(known["data"]):
        W = sizes[-1]
        of_pixels, of_bins = ((W, 1), (PW * C, C)) if along == "y" else ((1, W), (C, PW * C))
        taps.weigh[(K * P,)](
            pooled, data, weight, *lists, known[f"{across}_pixel"], known["image"],
            *sizes, P, Q, *of_pixels, *of_bins, C * PH * PW, 1,
            SUM=_sum(pooled), CHANNELS=channels, INDEX=index, **ONE_WARP,
        )  # fmt: skip


def _both(known: Known, y_weight: Tensor, x_weight: Tensor) -> None:
    _taps_weigh("y", known, y_weight)
    _taps_weigh("x", known, x_weight)


def _points_read(known: Known, values: Tensor) -> None:
    lists = [known[name] for name in ("image", "weight", "points", "y_pixel", "x_pixel")]

    def fill(values: Tensor) -> None:
        K, C, PH, PW = values.shape
        channels, parts = _channels(C, WIDEST)
        for data, sizes, index in _each(known["data"]):
            points.read[(K * PH * PW, parts)](
                data, values, *lists, *sizes, PH * PW, *_bins(values),
                SUM=_sum(values), CHANNELS=channels, INDEX=index, **ONE_WARP,
            )  # fmt: skip

    _filled([values], fill)


def _points_weigh(known: Known, weight: Tensor) -> None:
    pooled = layout.as_last(known["pooled"])
    K, C, PH, PW = pooled.shape
    channels, _ = _channels(C, 128)
    lists = [known[name] for name in ("image", "points", "y_pixel", "x_pixel")]
    weight.zero_()
    for data, sizes, index in _each(known["data"]):
        points.weigh[(K * PH * PW,)](
            pooled, data, weight, *lists, *sizes, PH * PW, *_bins(pooled),
            SUM=_sum(pooled), CHANNELS=channels, POINTS=4, INDEX=index, **ONE_WARP,
        )  # fmt: skip


def _listed(known: Known) -> list[Tensor]:
    names = "image", "y_weight", "y_taps", "y_pixel", "x_weight", "x_taps", "x_pixel"
    return [known[name] for name in names]


def _sum(features: Tensor) -> Any:
    return SUMS.get(features.dtype, tl.float32)


def _add(kind: str, known: Known, results: Sequence[Tensor]) -> None:
    """The gradient of each array of maps."""
    pooled, image = layout.as_last(known["pooled"]), known["image"]
    K, _, PH, PW = pooled.shape
    argmax = layout.as_last(known["argmax"]) if kind == "max" else pooled
    first = 0
    for result in results:
        N, C, H, W = result.shape
        last = result if layout.is_last(result) else layout.empty_like(result)
        if K == 0:
            last.zero_()
        else:
            reach = _REACH[kind](known, argmax, W)
            how = {
                "ROWS": tiles.ROWS, "COLUMNS": tiles.COLUMNS, "Y_SIDE": _power(PH),
                "X_SIDE": _power(PW), "LISTED": 64 if max(PH, PW) <= 8 else 32, **ONE_WARP,
            }  # fmt: skip
            lists = tiles.lists_of(image, reach, last, first, how)
            weighs, weights = _weights(kind, known, last)
            channels, parts = _channels(C, HELD)
            tiles.add[(N * lists.sizes[1], parts)](
                pooled, last, lists.region, lists.ends, lists.boxes, *reach, lists.stops,
                lists.chosen, argmax, *weights, K, C, H, W, PH, PW, *lists.sizes, *_bins(pooled),
                KIND=weighs, SUM=_sum(pooled), CHANNELS=channels, **how,
            )  # fmt: skip
        if last is not result:
            layout.put_back(last, result)
        first += N


def _weights(kind: str, known: Known, last: Tensor) -> tuple[str, list[Tensor]]:
    """What weighs, as `tiles.add` takes it."""
    none = known["pooled"]
    if kind == "max":
        return kind, [none] * 6
    if kind == "points":
        y = [known[name] for name in ("weight", "points", "y_pixel", "x_pixel")]
        return kind, [y[0], none, y[1], none, y[2], y[3]]
    names = "y_weight", "x_weight", "y_taps", "x_taps", "y_pixel", "x_pixel"
    lists = [known[name] for name in names]
    H, W = last.shape[2:]
    (K, PH, _), PW = known["y_taps"].shape, known["x_taps"].shape[1]
    size = K * (PH * H + PW * W) * lists[0].element_size()
    if size > SPREAD * (last.nbytes + none.nbytes):
        return kind, lists
    dense = []
    for axis, P, L in (("y", PH, H), ("x", PW, W)):
        spread = known[f"{axis}_weight"].new_empty(K * P, L)
        given = known[f"{axis}_weight"], known[f"{axis}_taps"], known[f"{axis}_pixel"]
        tiles.spread[(K * P,)](*given, spread, L, SUM=_sum(spread), LENGTH=64, **ONE_WARP)
        dense.append(spread)
    return "dense", [*dense, *lists[2:]]


def _reach_of_max(known: Known, argmax: Tensor, W: int) -> tuple[Tensor, Tensor]:
    K, C, PH, PW = argmax.shape
    y, x = (argmax.new_empty(K, P, 2, dtype=torch.int32) for P in (PH, PW))
    sides = _power(PH), _power(PW)
    channels = min(_power(C), max(1, 1024 // (sides[0] * sides[1])))
    largest.reach[(K,)](
        argmax, y, x, C, W, PH, PW, *_bins(argmax), ROWS=sides[0], COLUMNS=sides[1],
        CHANNELS=channels, num_warps=4, **layout.FUSED,
    )  # fmt: skip
    return y, x


def _reach_of_taps(known: Known, _: Tensor, W: int) -> tuple[Tensor, Tensor]:
    found = []
    for axis in "yx":
        ranges = known[f"{axis}_taps"]
        K, P, _ = ranges.shape
        reach = torch.empty_like(ranges)
        lists = known[f"{axis}_weight"], ranges, known[f"{axis}_pixel"]
        points.reach[(K * P,)](*lists, reach, P, 1, 1, 0, P, TAPS=32, **ONE_WARP)
        found.append(reach)
    return found[0], found[1]


def _reach_of_points(known: Known, _: Tensor, W: int) -> tuple[Tensor, Tensor]:
    ranges = known["points"]
    K, PH, PW, _ = ranges.shape
    y, x = ranges.new_empty(K, PH, 2), ranges.new_empty(K, PW, 2)
    given = known["weight"], ranges
    points.reach[(K * PH,)](
        *given, known["y_pixel"], y, PH, PW, PW, 1, PH * PW, TAPS=32, **ONE_WARP
    )
    points.reach[(K * PW,)](
        *given, known["x_pixel"], x, PW, PH, 1, PW, PH * PW, TAPS=32, **ONE_WARP
    )
    return y, x


_REACH = {"max": _reach_of_max, "taps": _reach_of_taps, "points": _reach_of_points}

KERNELS: dict[str, Callable[..., None]] = {
    "max": _largest,
    "max_read": _max_read,
    "max_add": lambda known, results: _add("max", known, results),
    "taps_read": _taps_read,
    "taps_add": lambda known, results: _add("taps", known, results),
    "taps_weigh_y": lambda known, weight: _taps_weigh("y", known, weight),
    "taps_weigh_x": lambda known, weight: _taps_weigh("x", known, weight),
    "taps_weigh": _both,
    "points_read": _points_read,
    "points_add": lambda known, results: _add("points", known, results),
    "points_weigh": _points_weigh,
}
