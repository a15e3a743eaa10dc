"""Feature maps and regions that operators get wrong: shared by the tests of every door."""

import ml_dtypes
import numpy as np

from roipool import geometry, twins

FLOATS = [np.float16, ml_dtypes.bfloat16, np.float32, np.float64]
INTEGERS = [np.int8, np.uint8, np.int16, np.int32]
DTYPES = FLOATS + INTEGERS
NAMES = [np.dtype(t).name for t in DTYPES]

nan, inf = np.nan, np.inf


def normal_maps(rng, shape, dtype=np.float32):
    dtype = np.dtype(dtype)
    if dtype.kind in "iu":
        low, high = np.iinfo(dtype).min, np.iinfo(dtype).max
        return rng.integers(low, high, shape, dtype, endpoint=True)
    return rng.standard_normal(shape).astype(dtype)


def odd_maps(rng, shape, dtype=np.float32):
    """Ties, both zeros, NaN, both infinities, the extremes of the dtype, whole planes of NaN."""
    maps = normal_maps(rng, shape, dtype)
    if maps.dtype.kind in "iu":
        extremes = [np.iinfo(maps.dtype).min, np.iinfo(maps.dtype).max, 0, 1]
        shares = [0.3, 0.1, 0.1, 0.1]
    else:
        extremes = [nan, -nan, -inf, inf, 0.0, -0.0, 1.0, -1.0]
        shares = [0.1, 0.05, 0.2, 0.01, 0.1, 0.2, 0.02, 0.1]
    for value, share in zip(extremes, shares, strict=True):
        maps[rng.random(shape) < share] = maps.dtype.type(value)
    if maps.dtype.kind not in "iu" and maps.size:
        maps[:, ::5] = nan
        maps[:, 1::5] = np.minimum(maps[:, 1::5], maps.dtype.type(0))  # zeros of both signs win
    return maps


def random_boxes(rng, count, images, height, width, scale=1.0, dtype=np.float32):
    """Boxes of every size, inside and over the border of an image, some inverted, some on ties."""
    size = np.exp(rng.uniform(0, np.log(2 * max(height, width, 1)), (count, 2)))
    centre = rng.uniform(-0.2, 1.2, (count, 2)) * [width, height]
    corners = np.concatenate([centre - size / 2, centre + size / 2], axis=1) / scale
    kind = rng.integers(0, 6, count)
    corners[kind == 0] = corners[kind == 0][:, [2, 3, 0, 1]]  # inverted
    corners[kind == 1] = np.round(corners[kind == 1] * scale) / scale  # whole pixels
    corners[kind == 2] = (np.floor(corners[kind == 2] * scale) + 0.5) / scale  # ties
    index = rng.integers(0, max(images, 1), (count, 1))
    return np.concatenate([index, corners], axis=1).astype(dtype)


def odd_boxes(height, width):
    """One region of each kind that PEERS has been seen to get wrong, on image 0."""
    h, w = height, width
    return np.array(
        [
            [0, 0, 0, w - 1, h - 1],  # the whole map
            [0, 0, 0, 0, 0],  # one pixel
            [0, w - 1, h - 1, w - 1, h - 1],  # the last pixel
            [0, w - 1, h - 1, w + 5, h + 5],  # over the corner
            [0, -5, -5, 0, 0],
            [0, -9, -9, -5, -5],  # wholly outside
            [0, w, h, w + 3, h + 3],
            [0, 5, 5, 2, 2],  # inverted
            [0, 0.5, 1.5, 2.5, 3.5],  # ties
            [0, -0.5, -1.5, -2.5, 4.5],
            [0, 0.49999997, 0, 3, 3],
            [-1, 0, 0, 4, 4],  # padding
            [-7, nan, inf, 4, 4],
            [0, -1e30, -1e30, 1e30, 1e30],
            [0, 1e30, 1e30, 2e30, 2e30],
            [0, -1e30, 0, 3, 1e30],
            [0, 2**24 + 2, 0, 2**25, 3],
            [0, -(2**31), -(2**31), 2**31, 2**31],
            [0, -(2**24) - 2, 1, 2**24 + 4, 2],
        ],
        np.float32,
    )


def onnx_boxes(height, width, scale):
    """Those of them that ONNX Runtime's 32-bit coordinates hold, padding, and random ones."""
    odd = odd_boxes(height, width)
    near = np.all(np.abs(odd[:, 1:] * scale) < 2**30, axis=1)
    many = random_boxes(np.random.default_rng(0), 12, 2, height, width, scale)
    return np.concatenate([odd[near | (odd[:, 0] < 0)], many])


def layouts(maps):
    """The same numbers in every memory layout that an array can have, by name."""
    n, c, h, w = maps.shape
    padded = np.zeros((n, c + 1, 2 * h + 1, 3 * w + 2), maps.dtype)
    padded[:, :c, 1 : 2 * h + 1 : 2, 2::3] = maps
    read_only = maps.copy()
    read_only.flags.writeable = False
    record = np.zeros(maps.shape, [("pad", np.int8), ("value", maps.dtype)])
    record["value"] = maps
    found = {
        "contiguous": np.ascontiguousarray(maps),
        "channels last": np.ascontiguousarray(maps.transpose(0, 2, 3, 1)).transpose(0, 3, 1, 2),
        "width first": np.ascontiguousarray(maps.transpose(3, 2, 1, 0)).transpose(3, 2, 1, 0),
        "strided": padded[:, :c, 1 : 2 * h + 1 : 2, 2::3],
        "reversed": np.ascontiguousarray(maps[::-1, ::-1, ::-1, ::-1])[::-1, ::-1, ::-1, ::-1],
        "channels reversed": np.ascontiguousarray(maps[:, ::-1])[:, ::-1],
        "read only": read_only,
        "unaligned strides": record["value"],
        "unaligned": unaligned(maps),
        "one channel for all": np.broadcast_to(maps[:, :1], maps.shape),
    }
    if maps.dtype.name != "bfloat16":  # ml_dtypes has no swapped form of it
        found["byte swapped"] = maps.astype(maps.dtype.newbyteorder())
    return found


def unaligned(array):
    """A copy one byte off every address its dtype is used to."""
    room = np.zeros(array.nbytes + 1, np.uint8)
    copy = np.ndarray(array.shape, array.dtype, room, 1)
    copy[...] = array
    return copy


def assert_same_bits(actual, expected):
    """Equal in shape, dtype and every bit; any NaN equals any other."""
    assert actual.shape == expected.shape
    assert actual.dtype == expected.dtype
    equal = _bits(actual) == _bits(expected)
    with np.errstate(invalid="ignore"):  # signalling NaN
        differing = np.argwhere(~(equal | (actual != actual) & (expected != expected)))
    assert len(differing) == 0, (
        f"{len(differing)} of {actual.size} values differ, the first at {differing[0]}: "
        f"{actual[tuple(differing[0])]!r}, expected {expected[tuple(differing[0])]!r}"
    )


def _bits(array):
    return np.ascontiguousarray(array).view(f"u{array.itemsize}")


def max_bins(rois, shape, pooled_size, scale, dtype):
    """The bins of max pooling on maps of that shape, as the native core takes them."""
    maps = geometry.maps_of([shape], [(scale, scale)])
    return twins.max_bins(rois, maps, pooled_size, dtype)[0][0]
