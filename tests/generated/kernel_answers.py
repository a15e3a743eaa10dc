"""What a kernel gives, from its formula in kernels.py alone: pixel by pixel, in float64.

Of whole numbers so small that no sum of them is rounded, it is what every order of adding gives.
"""

import numpy as np

from cases import assert_same_bits
from roipool.reference.maxima import bin_max
from sample_cases import image_of


class OutsideError(Exception):
    """An argmax is no pixel of its plane, or no sample of its bin."""


def answer(kernel, known, results):
    """All results by name, filled; features as a list of maps."""
    wide = {name: _wide(array) for name, array in known.items()}
    totals = {name: _wide(array, fill=0) for name, array in results.items()}
    if kernel.name in ("max", "samples_max"):
        (_max if kernel.name == "max" else _samples_max)(known, wide, results)
        return results
    for places, weight in ENTRIES[kernel.name.split("_")[0]](known):
        every = {"pooled", "data", *weight}
        for given in totals:
            product = 1.0
            for factor in every - {given}:
                product = product * _at(wide, factor, places)
            if given == "data":
                image_of(totals["data"], places["image"])[places["data"]] += product
            elif given == "pooled":
                totals["pooled"][places["pooled"]] += product
            else:
                totals[given][places[given]] += np.sum(product)
    for name, total in totals.items():
        for array, sums in zip(_list(results[name]), _list(total), strict=True):
            array[...] = sums.astype(array.dtype)
    return results


def _list(array):
    return array if isinstance(array, list) else [array]


def _wide(array, fill=None):
    if isinstance(array, list):
        return [_wide(each, fill) for each in array]
    with np.errstate(all="ignore"):
        wide = array.astype(np.float64)
    return wide if fill is None else np.full_like(wide, fill)


def _at(wide, factor, places):
    if factor == "data":
        return image_of(wide["data"], places["image"])[places["data"]]
    return wide[factor][places[factor]]


def _regions(known):
    """(k, image, i, j) of every bin of a region."""
    ranges = known.get("points", known.get("y_taps", known.get("y_bins")))
    if ranges is None:
        sides = known["argmax"].shape[2:]
    elif ranges.ndim == 4:
        sides = ranges.shape[1:3]
    else:
        sides = ranges.shape[1], known.get("x_taps", known.get("x_bins")).shape[1]
    for k, image in enumerate(known["image"]):
        if image >= 0:
            for i, j in np.ndindex(*sides):
                yield k, image, i, j


def _sides(known, image):
    """Of the plane: that of the features, or of their gradient."""
    return image_of(known["data"], image).shape[1:]


def _of_max(known):
    for k, image, i, j in _regions(known):
        height, width = _sides(known, image)
        if height * width == 0 and "pooled" in known:
            continue  # nothing is added, and nobody looks
        for c in range(known["argmax"].shape[1]):
            at = known["argmax"][k, c, i, j]
            if at >= height * width or at < -1:
                raise OutsideError
            if at >= 0:
                pixel = c, at // width, at % width
                yield {"image": image, "data": pixel, "pooled": (k, c, i, j)}, ()


def _taps(known, axis, k, p, side):
    """(place in the list, pixel) of a bin's taps along an axis."""
    pixel = known[f"{axis}_pixel"]
    for s in range(*known[f"{axis}_taps"][k, p]):
        yield s, pixel[s] if 0 <= pixel[s] < side else None


def _of_taps(known):
    for k, image, i, j in _regions(known):
        height, width = _sides(known, image)
        for at_y, y in _taps(known, "y", k, i, height):
            for at_x, x in _taps(known, "x", k, j, width):
                if y is not None and x is not None:
                    yield _place(image, (slice(None), y, x), (k, slice(None), i, j), at_y, at_x)


def _place(image, data, pooled, at_y, at_x):
    places = {"image": image, "data": data, "pooled": pooled, "y_weight": at_y, "x_weight": at_x}
    return places, ("y_weight", "x_weight")


def _of_points(known):
    for k, image, i, j in _regions(known):
        height, width = _sides(known, image)
        for s in range(*known["points"][k, i, j]):
            y, x = known["y_pixel"][s], known["x_pixel"][s]
            if 0 <= y < height and 0 <= x < width:
                places = {"image": image, "data": (slice(None), y, x), "weight": s}
                yield places | {"pooled": (k, slice(None), i, j)}, ("weight",)


def _pairs(known, axis, k, p, side):
    """The two taps of each sample along an axis; one alone is none."""
    taps = list(_taps(known, axis, k, p, side))
    return [taps[t : t + 2] for t in range(0, len(taps) - 1, 2)]


def _of_samples(known):
    for k, image, i, j in _regions(known):
        height, width = _sides(known, image)
        if height * width == 0:
            continue  # nobody looks
        ys, xs = _pairs(known, "y", k, i, height), _pairs(known, "x", k, j, width)
        for c in range(known["argmax"].shape[1]):
            number = known["argmax"][k, c, i, j]
            if number < -1 or number >= len(ys) * len(xs):
                raise OutsideError
            if number < 0:
                continue
            for at_y, y in ys[number // len(xs)]:
                for at_x, x in xs[number % len(xs)]:
                    if y is not None and x is not None:
                        yield _place(image, (c, y, x), (k, c, i, j), at_y, at_x)


ENTRIES = {"max": _of_max, "taps": _of_taps, "points": _of_points, "samples": _of_samples}


def _max(known, wide, results):
    for array in results.values():
        array[...] = 0 if array is results["pooled"] else -1
    for k, image, i, j in _regions(known):
        planes = image_of(known["data"], image)
        rows, cols = known["y_bins"][k, i], known["x_bins"][k, j]
        for c, plane in enumerate(planes):
            best, where = bin_max(plane, rows, cols)
            results["pooled"][k, c, i, j] = best
            if "argmax" in results:
                results["argmax"][k, c, i, j] = where


def _samples_max(known, wide, results):
    """Features are finite here, so that every bin with samples has a largest."""
    results["pooled"][...] = 0
    if "argmax" in results:
        results["argmax"][...] = -1
    for k, image, i, j in _regions(known):
        planes = image_of(wide["data"], image)
        ys = _pairs(known, "y", k, i, planes.shape[1])
        xs = _pairs(known, "x", k, j, planes.shape[2])
        best = np.full(len(planes), -np.inf)
        for number, (of_y, of_x) in enumerate((of_y, of_x) for of_y in ys for of_x in xs):
            value = np.zeros(len(planes))
            for at_y, y in of_y:
                for at_x, x in of_x:
                    if y is not None and x is not None:
                        weight = wide["y_weight"][at_y] * wide["x_weight"][at_x]
                        value += planes[:, y, x] * weight
            larger = value > best
            best[larger] = value[larger]
            if "argmax" in results:
                results["argmax"][k, larger, i, j] = number
        if ys and xs:
            results["pooled"][k, :, i, j] = best.astype(results["pooled"].dtype)


def assert_answered(actual, expected):
    """Sums are the same numbers; zero is of either sign, as the order of adding has it."""
    for array, wanted in zip(_list(actual), _list(expected), strict=True):
        if wanted.dtype.kind in "iu":
            assert_same_bits(array, wanted)
        else:
            np.testing.assert_array_equal(array.astype(np.float64), wanted.astype(np.float64))
