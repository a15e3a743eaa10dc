"""Regions to integer bin edges: where every rounding of the library is defined.

Written once against the array-API namespace `xp`, so that NumPy, PyTorch, JAX and their compilers
give the same bits. Three rules keep it so; each was seen to move edges when broken.

- No expression a·b + c feeds a floor, ceil or comparison: a fused multiply-add rounds once where
  the definition rounds twice.
- No division by a constant, whatever its shape: XLA multiplies by its reciprocal instead.
- Everything is computed in F (float64 when features and regions both are, else float32).
"""

from typing import Any, NamedTuple

Array = Any


class Bins(NamedTuple):
    """The bins of K regions: integer rectangles, all that a kernel ever sees of a region.

    Attributes:
        image: (K,) int32 index of the feature map; −1 for a row that is no region.
        rows: (K, P_h, 2) int32 begin and end of each bin along y, inside [0, H].
        cols: (K, P_w, 2) int32 begin and end of each bin along x, inside [0, W].

    A row that is no region has only empty bins.
    """

    image: Array
    rows: Array
    cols: Array


def max_bins(
    xp: Any,
    rois: Array,
    data_shape: tuple[int, ...],
    pooled_size: tuple[int, int],
    spatial_scale: float,
    data_dtype: Any,
) -> Bins:
    """Bins of ROIPooling: corners rounded half away from zero, both ends inclusive.

    `rois` is (K, 5), in image pixels, of any real dtype.
    """
    images, _, height, width = data_shape
    dtype = float_type(xp, data_dtype, rois.dtype)
    scale = xp.asarray(xp.asarray(spatial_scale, dtype=xp.float32), dtype=dtype)
    corners = xp.asarray(rois[:, 1:], dtype=dtype) * scale
    # Beyond an eighth of the largest float the sums below could overflow: it counts as infinite.
    finite = xp.all(xp.abs(corners) <= xp.finfo(dtype).max / 8, axis=1)
    image = image_index(xp, rois[:, 0], images)
    image = xp.where(finite, image, -xp.ones_like(image))
    # A row that is no region is moved off the map, where every bin is empty.
    corners = xp.where((image >= 0)[:, None], corners, xp.full_like(corners, -9))

    corners = round_half_away(xp, corners)
    begin, end = corners[:, :2], corners[:, 2:]
    size = inclusive_size(xp, begin, end)
    rows = _axis_edges(xp, begin[:, 1], size[:, 1], height, pooled_size[0])
    cols = _axis_edges(xp, begin[:, 0], size[:, 0], width, pooled_size[1])
    return Bins(image, rows, cols)


def beside_the_map(spatial_scale: float) -> list[float]:
    """A row whose bins are empty on every map: a padding row, where one cannot be told."""
    return [0.0, *[-2.0 / spatial_scale] * 4]


def float_type(xp: Any, data_dtype: Any, rois_dtype: Any) -> Any:
    """F: half-precision features must not round coordinates."""
    return xp.float64 if data_dtype == xp.float64 and rois_dtype == xp.float64 else xp.float32


def image_index(xp: Any, batch_index: Array, images: int) -> Array:
    """The batch index as int32; −1 for a padding row and for what is no index."""
    known = (batch_index >= 0) & (batch_index < images) & (batch_index == xp.floor(batch_index))
    index = xp.asarray(xp.where(known, batch_index, xp.zeros_like(batch_index)), dtype=xp.int32)
    return xp.where(known, index, -xp.ones_like(index))


def round_half_away(xp: Any, value: Array) -> Array:
    """Round as C does. The usual floor(|v| + 0.5) is wrong at 0.49999997; doubling is exact."""
    size = xp.abs(value)
    return xp.sign(value) * (xp.floor(size * 2) - xp.floor(size))


def inclusive_size(xp: Any, begin: Array, end: Array) -> Array:
    """max(end − begin + 1, 1) of integers held as floats, rounded once.

    Rounding the difference and then the sum would be twice. `lost` is what the difference lost
    (Knuth's two-sum), so `near + (lost + 1)` rounds once, but for one case: where `lost` is half a
    unit of `near` the + 1 is what breaks the tie, and may be too small to be seen.
    """
    near = end - begin
    back = near - end
    lost = (end - (near - back)) - (begin + back)
    above = near + lost * 2
    size = xp.where((lost > 0) & (above - near == lost * 2), above, near + (lost + 1))
    return xp.where(size < 1, xp.ones_like(size), size)


def _axis_edges(xp: Any, begin: Array, size: Array, length: int, count: int) -> Array:
    # A size is never below 1; that the divisor is no constant is what XLA must not see through.
    step = size / xp.where(size < 1, xp.ones_like(size), xp.full_like(size, count))
    part = xp.arange(count + 1, dtype=size.dtype)
    edges = part[None, :] * step[:, None]
    offsets = xp.stack([xp.floor(edges[:, :-1]), xp.ceil(edges[:, 1:])], axis=-1)
    begin = begin[:, None, None]
    # Exact wherever the sum lies inside the map, as long as the map's length is exact in the type.
    if length > 2**24:
        offsets, begin = (xp.asarray(v, dtype=xp.float64) for v in (offsets, begin))
    return xp.asarray(xp.clip(offsets + begin, 0, length), dtype=xp.int32)
