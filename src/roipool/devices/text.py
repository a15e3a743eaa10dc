"""The kernels as array text over tensors, for every device that has nothing faster.

Steps that all bins take together, a pixel each, walk regions in chunks of bounded memory. Sums are
added with `index_put_`, whose order is fixed on every device. Of lists that may be long, those of
adaptive grids and of bins of pixels, the longest is looked at: that alone waits for the device.
"""

import itertools
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

import torch
from torch import Tensor


def chunk_elements() -> int:
    """What the environment says, or 2^24."""
    text = os.environ.get("ROIPOOL_CHUNK", "") or str(2**24)
    if not text.isdecimal() or int(text) < 1:
        raise ValueError(
            f"ROIPOOL_CHUNK is {text!r}; expected how many elements of an array a step may take on "
            "a device, a whole number from 1"
        )
    return int(text)


CHUNK = chunk_elements()  # of a step's largest array, at most where a region has no more
SHORT = 64  # taps of a bin, all of which are taken without a look

Known = Mapping[str, Any]
OF_REGIONS = {"image", "argmax", "pooled", "y_taps", "x_taps"}  # what has a row for each


class Table(NamedTuple):
    """Maps as rows of pixels (pixels, C), one array after the other.

    Attributes:
        shapes: Of the arrays.
        base: (K,) the first pixel of each region's image.
        width: (K,) of that.
        height: The same.
        here: (K,) whether a row is a region.
    """

    shapes: Sequence[Sequence[int]]
    base: Tensor
    width: Tensor
    height: Tensor
    here: Tensor

    @property
    def pixels(self) -> int:
        """Of all arrays."""
        return _pixels(self.shapes)


def _pixels(shapes: Sequence[Sequence[int]]) -> int:
    return sum(images * height * width for images, _, height, width in shapes)


def _table(image: Tensor, shapes: Sequence[Sequence[int]]) -> Table:
    base, width, height = (torch.zeros_like(image, dtype=torch.int64) for _ in range(3))
    first = begin = 0
    for images, _, rows, columns in shapes:
        behind = image >= first
        base = torch.where(behind, begin + (image - first).long() * (rows * columns), base)
        width = torch.where(behind, columns, width)
        height = torch.where(behind, rows, height)
        first, begin = first + images, begin + images * rows * columns
    return Table(shapes, base, width, height, (image >= 0) & (image < first))


def _rows(maps: Sequence[Tensor]) -> Tensor:
    """With a row behind the last that nobody's weight reaches."""
    rows = [array.movedim(1, -1).reshape(-1, array.shape[1]) for array in maps]
    return torch.cat([*rows, rows[0].new_zeros(1, rows[0].shape[1])])


def _put(total: Tensor, results: Sequence[Tensor]) -> None:
    """The rows of pixels into maps."""
    first = 0
    for result in results:
        images, channels, height, width = result.shape
        part = total[first : first + images * height * width]
        result.copy_(part.reshape(images, height, width, channels).movedim(-1, 1))
        first += images * height * width


def _sum_type(features: Tensor) -> torch.dtype:
    return torch.float64 if features.dtype == torch.float64 else torch.float32


def _chunks(pooled: Tensor) -> Iterator[slice]:
    """Of regions."""
    K = pooled.shape[0]
    step = max(CHUNK // max(pooled[:1].numel(), 1), 1)
    return (slice(k, min(k + step, K)) for k in range(0, K, step))


def _parts(known: Known, pooled: Tensor) -> Iterator[tuple[slice, Known]]:
    """The chunks, and of each all that a kernel takes."""
    for part in _chunks(pooled):
        yield part, {k: v[part] if k in OF_REGIONS else v for k, v in known.items()}


class Lists(NamedTuple):
    """What bins list, a row of so many places for each.

    Attributes:
        at: Where it stands among all that is listed; 0 behind a list's end.
        live: Whether a place is before that.
        pixel: What is read there.
        weight: 0 behind the end.
    """

    at: Tensor
    live: Tensor
    pixel: Tensor
    weight: Tensor


def _lists(known: Known, names: Sequence[str], part: slice, sums: torch.dtype) -> Lists:
    """Of the bins of regions the lists; a weight that is the result counts as 1."""
    ranges, pixel, weight = (known.get(name) for name in names)
    assert ranges is not None
    assert pixel is not None
    listed, bins = pixel.shape[0], ranges.numel() // 2
    ranges = ranges[part]
    begin, end = ranges[..., :1].long(), ranges[..., 1:].long()
    places = listed // max(bins, 1)
    if places > SHORT or places * bins != listed:
        places = int((end - begin).max())
    place = torch.arange(places, device=ranges.device)
    live = place < end - begin
    at = torch.where(live, begin + place, 0)
    if not listed:
        return Lists(at, live, at, torch.zeros_like(at, dtype=sums))
    weight = live.to(sums) if weight is None else torch.where(live, weight[at], 0)
    if places > SHORT:  # most of which weigh nothing
        some = torch.where(live & (weight != 0), place + 1, 0)
        places = max(int(some.max()), 1)
    at, live, weight = (each[..., :places] for each in (at, live, weight))
    return Lists(at, live, pixel[at].long(), weight)


def _axes(known: Known, part: slice, sums: torch.dtype) -> list[Lists]:
    """Along y and x."""
    names = ((f"{axis}_taps", f"{axis}_pixel", f"{axis}_weight") for axis in "yx")
    return [_lists(known, each, part, sums) for each in names]


class Step(NamedTuple):
    """A pixel of every bin of a chunk of regions, (k, h, w) each.

    Attributes:
        row: Of the table; the last where nothing is read.
        weight: Along y, and along x.
        at: Where these stand in their lists.
    """

    row: Tensor
    weight: tuple[Tensor, ...]
    at: tuple[Tensor, ...]

    @property
    def product(self) -> Tensor:
        """Of the weights."""
        product = self.weight[0]
        for weight in self.weight[1:]:
            product = product * weight
        return product


def _steps(known: Known, table: Table, part: slice, sums: torch.dtype) -> Iterator[Step]:
    """Of a kernel's regions, those of that part; taps along x within those along y."""
    base, width, height, here = (v[part, None, None] for v in table[1:])

    def step(y: Tensor, x: Tensor, weight: Any, at: Any) -> Step:
        inside = here & (y >= 0) & (y < height) & (x >= 0) & (x < width)
        for each in weight:
            inside = inside & (each != 0)
        row = torch.where(inside, base + y * width + x, table.pixels)
        return Step(row, tuple(torch.where(inside, each, 0) for each in weight), at)

    if "points" in known:
        y = _lists(known, ("points", "y_pixel", "weight"), part, sums)
        x = known["x_pixel"][y.at].long() if known["x_pixel"].shape[0] else y.pixel
        for s in range(y.at.shape[-1]):
            yield step(y.pixel[..., s], x[..., s], (y.weight[..., s],), (y.at[..., s],))
        return
    y, x = _axes(known, part, sums)
    shape = (*y.at.shape[:2], x.at.shape[1])
    for i, j in itertools.product(range(y.at.shape[-1]), range(x.at.shape[-1])):
        of_y = [v[:, :, i, None].expand(shape) for v in (y.pixel, y.weight, y.at)]
        of_x = [v[:, None, :, j].expand(shape) for v in (x.pixel, x.weight, x.at)]
        pixels, weights, at = zip(of_y, of_x, strict=True)
        yield step(*pixels, weights, at)


def _read(known: Known, values: Tensor) -> None:
    table, rows = _table(known["image"], [m.shape for m in known["data"]]), _rows(known["data"])
    sums = _sum_type(values)
    for part in _chunks(values):
        total = values.new_zeros(_bins_first(values[part]).shape, dtype=sums)
        for step in _steps(known, table, part, sums):
            total += step.product[..., None] * rows[step.row].to(sums)
        values[part] = total.movedim(-1, 1).to(values.dtype)


def _add(known: Known, results: Sequence[Tensor]) -> None:
    table = _table(known["image"], [result.shape for result in results])
    pooled = known["pooled"]
    sums = _sum_type(pooled)
    total = pooled.new_zeros(table.pixels + 1, pooled.shape[1], dtype=sums)
    for part in _chunks(pooled):
        given = _bins_first(pooled[part]).to(sums)
        for step in _steps(known, table, part, sums):
            product = step.product[..., None]
            added = torch.where(product != 0, product * given, 0)
            total.index_put_((step.row,), added, accumulate=True)
    _put(total, results)


def _weigh(which: int, known: Known, weight: Tensor) -> None:
    """What moves the weights along an axis, or of points."""
    table, rows = _table(known["image"], [m.shape for m in known["data"]]), _rows(known["data"])
    pooled = known["pooled"]
    weight.zero_()
    own = ("y_weight", "x_weight")[which] if "points" not in known else "weight"
    given = {name: value for name, value in known.items() if name != own}
    for part in _chunks(pooled):
        gradient = _bins_first(pooled[part]).to(weight.dtype)
        for step in _steps(given, table, part, weight.dtype):
            product = (gradient * rows[step.row].to(weight.dtype)).sum(-1)
            some = step.row < table.pixels
            moved = torch.where(some, step.product * product, 0)
            at = torch.where(some, step.at[which], 0)
            weight.index_put_((at,), moved, accumulate=True)


def _weigh_both(known: Known, y_weight: Tensor, x_weight: Tensor) -> None:
    _weigh(0, known, y_weight)
    _weigh(1, known, x_weight)


def _bins_first(pooled: Tensor) -> Tensor:
    return pooled.movedim(1, -1)


def _max(known: Known, values: Tensor, argmax: Tensor | None = None) -> None:
    table, rows = _table(known["image"], [m.shape for m in known["data"]]), _rows(known["data"])
    lowest = torch.nan if values.is_floating_point() else torch.iinfo(values.dtype).min
    for part in _chunks(values):
        (top, bottom), (left, right) = (
            known[name][part].long().unbind(-1) for name in ("y_bins", "x_bins")
        )
        base, width, _, here = (v[part, None, None] for v in table[1:])
        best = torch.full_like(_bins_first(values[part]), lowest)
        found = torch.full_like(best, -1, dtype=torch.int64)
        for h in range(_longest(bottom - top)):
            for w in range(_longest(right - left)):
                y, x = (top + h)[:, :, None], (left + w)[:, None]
                inside = here & (y < bottom[:, :, None]) & (x < right[:, None])
                at = y * width + x
                value = rows[torch.where(inside, base + at, table.pixels)]
                best, found = _larger(best, found, value, at, inside)
        empty = ~(here & (top < bottom)[:, :, None] & (left < right)[:, None])
        values[part] = torch.where(empty[..., None], 0, best).movedim(-1, 1)
        if argmax is not None:
            argmax[part] = found.movedim(-1, 1).to(argmax.dtype)


def _larger(
    best: Tensor, found: Tensor, value: Tensor, number: Tensor, inside: Tensor
) -> tuple[Tensor, Tensor]:
    """The largest so far and its number: NaN, which it begins with, loses to everything; of equal
    values the first stays.
    """
    better = ((value > best) | ((found < 0) & (value == value))) & inside[..., None]
    return torch.where(better, value, best), torch.where(better, number[..., None], found)


def _longest(lengths: Tensor) -> int:
    return int(lengths.max()) if lengths.numel() else 0


def _at_argmax(known: Known, table: Table, channels: int) -> Tensor:
    """Where each argmax stands among all pixels of all channels; behind the last where nowhere."""
    argmax = known["argmax"].long()
    base, width, height, here = (v[:, None, None, None] for v in table[1:])
    inside = here & (argmax >= 0) & (argmax < height * width)
    channel = torch.arange(channels, device=argmax.device)[:, None, None]
    return torch.where(inside, base + argmax, table.pixels) * channels + channel


def _max_read(known: Known, values: Tensor) -> None:
    rows = _rows(known["data"]).flatten()
    for part, some in _parts(known, values):
        table = _table(some["image"], [m.shape for m in known["data"]])
        values[part] = rows[_at_argmax(some, table, values.shape[1])]


def _max_add(known: Known, results: Sequence[Tensor]) -> None:
    shapes, pooled = [r.shape for r in results], known["pooled"]
    size = _pixels(shapes) + 1, pooled.shape[1]
    sums = pooled.new_zeros(size[0] * size[1], dtype=_sum_type(pooled))
    for _, some in _parts(known, pooled):
        table = _table(some["image"], shapes)
        at = _at_argmax(some, table, pooled.shape[1])
        sums.index_put_((at,), some["pooled"].to(sums.dtype), accumulate=True)
    _put(sums.reshape(size), results)


def _samples_max(known: Known, values: Tensor, argmax: Tensor | None = None) -> None:
    """Taps come in pairs, the two pixels of a sample along an axis."""
    table, rows = _table(known["image"], [m.shape for m in known["data"]]), _rows(known["data"])
    sums = _sum_type(values)
    for part in _chunks(values):
        y, x = _axes(known, part, sums)
        base, width, _, here = (v[part, None, None] for v in table[1:])
        begin, end = known["x_taps"][part].long().unbind(-1)
        across = (end - begin)[:, None] // 2
        best = torch.full_like(_bins_first(values[part]), torch.nan, dtype=sums)
        found = torch.full_like(best, -1, dtype=torch.int64)
        some = torch.zeros_like(best[..., :1], dtype=torch.bool)
        for i, j in itertools.product(
            range(0, y.at.shape[-1] - 1, 2), range(0, x.at.shape[-1] - 1, 2)
        ):
            inside = here & y.live[:, :, i, None] & x.live[:, None, :, j]
            value = torch.zeros_like(best)
            for q, r in itertools.product((i, i + 1), (j, j + 1)):
                weight = y.weight[:, :, q, None] * x.weight[:, None, :, r]
                row = base + y.pixel[:, :, q, None] * width + x.pixel[:, None, :, r]
                row = torch.where(inside & (weight != 0), row, table.pixels)
                value = value + weight[..., None] * rows[row].to(sums)
            best, found = _larger(best, found, value, i // 2 * across + j // 2, inside)
            some |= inside[..., None]
        values[part] = torch.where(some, best, 0).movedim(-1, 1).to(values.dtype)
        if argmax is not None:
            argmax[part] = found.movedim(-1, 1).to(argmax.dtype)


class Corner(NamedTuple):
    """Of every bin and channel one of the four pixels of its sample, (K, C, h, w) each.

    Attributes:
        at: Among all pixels of all channels.
        weights: Along y and along x; 0 of no sample.
        taps: Where these stand in their lists.
    """

    at: Tensor
    weights: list[Tensor]
    taps: list[Tensor]


def _corners(known: Known, table: Table, channels: int, sums: torch.dtype) -> Iterator[Corner]:
    number = known["argmax"].long()
    y, x = (known[name].long() for name in ("y_taps", "x_taps"))
    across = ((x[..., 1] - x[..., 0]) // 2)[:, None, None].clamp(min=1)
    base, width, _, here = (v[:, None, None, None] for v in table[1:])
    inside = here & (number >= 0)
    first = (
        y[:, None, :, None, 0] + 2 * (number // across),
        x[:, None, None, :, 0] + 2 * (number % across),
    )
    channel = torch.arange(channels, device=number.device)[:, None, None]
    for which in itertools.product((0, 1), repeat=2):
        taps, weights, pixels, some = [], [], [], inside
        for axis, begin, more in zip("yx", first, which, strict=True):
            pixel, weight = known[f"{axis}_pixel"], known.get(f"{axis}_weight")
            tap = torch.where(inside, begin + more, 0).clamp(max=max(pixel.shape[0] - 1, 0))
            of = torch.ones_like(tap, dtype=sums) if weight is None else weight[tap]
            taps.append(tap)
            weights.append(of)
            pixels.append(pixel[tap].long())
            some = some & (of != 0)
        at = torch.where(some, base + pixels[0] * width + pixels[1], table.pixels)
        weights = [torch.where(some, weight, 0) for weight in weights]
        yield Corner(at * channels + channel, weights, taps)


def _samples_read(known: Known, values: Tensor) -> None:
    rows, sums = _rows(known["data"]).flatten(), _sum_type(values)
    for part, some in _parts(known, values):
        table = _table(some["image"], [m.shape for m in known["data"]])
        total = torch.zeros_like(values[part], dtype=sums)
        for corner in _corners(some, table, values.shape[1], sums) if _some(known) else ():
            total += corner.weights[0] * corner.weights[1] * rows[corner.at].to(sums)
        values[part] = total.to(values.dtype)


def _samples_add(known: Known, results: Sequence[Tensor]) -> None:
    shapes, pooled = [r.shape for r in results], known["pooled"]
    sums, channels = _sum_type(pooled), pooled.shape[1]
    size = _pixels(shapes) + 1, channels
    total = pooled.new_zeros(size[0] * size[1], dtype=sums)
    for _, some in _parts(known, pooled) if _some(known) else ():
        table = _table(some["image"], shapes)
        for corner in _corners(some, table, channels, sums):
            weight = corner.weights[0] * corner.weights[1]
            added = torch.where(weight != 0, weight * some["pooled"].to(sums), 0)
            total.index_put_((corner.at,), added, accumulate=True)
    _put(total.reshape(size), results)


def _samples_weigh(which: int, known: Known, weight: Tensor) -> None:
    pooled, rows = known["pooled"], _rows(known["data"]).flatten()
    own, channels = ("y_weight", "x_weight")[which], pooled.shape[1]
    given = {name: value for name, value in known.items() if name != own}
    weight.zero_()
    for _, part in _parts(given, pooled) if _some(known) else ():
        table = _table(part["image"], [m.shape for m in known["data"]])
        for corner in _corners(part, table, channels, weight.dtype):
            some = corner.at < table.pixels * channels
            product = corner.weights[1 - which] * part["pooled"].to(weight.dtype)
            moved = torch.where(some, product * rows[corner.at].to(weight.dtype), 0)
            at = torch.where(some, corner.taps[which], 0)
            weight.index_put_((at,), moved, accumulate=True)


def _samples_weigh_both(known: Known, y_weight: Tensor, x_weight: Tensor) -> None:
    _samples_weigh(0, known, y_weight)
    _samples_weigh(1, known, x_weight)


def _some(known: Known) -> bool:
    """Whether any tap is listed."""
    return bool(known["y_pixel"].shape[0] and known["x_pixel"].shape[0])


KERNELS: dict[str, Callable[..., None]] = {
    "max": _max,
    "max_read": _max_read,
    "max_add": _max_add,
    "taps_read": _read,
    "taps_add": _add,
    "taps_weigh_y": partial(_weigh, 0),
    "taps_weigh_x": partial(_weigh, 1),
    "taps_weigh": _weigh_both,
    "samples_max": _samples_max,
    "samples_read": _samples_read,
    "samples_add": _samples_add,
    "samples_weigh_y": partial(_samples_weigh, 0),
    "samples_weigh_x": partial(_samples_weigh, 1),
    "samples_weigh": _samples_weigh_both,
    "points_read": _read,
    "points_add": _add,
    "points_weigh": partial(_weigh, 0),
}
