"""Dask arrays: feature maps and region lists larger than one machine, pooled lazily.

The result's chunks are blocks of regions. A block is pooled in each chunk of the features that its
regions touch (a tile), and the tiles' winners are combined. So a task holds one chunk of the
features and its own block of the result, or four such blocks and the one they make. Of features and
result the smaller may stay in the workers' memory as a whole; the larger streams, and no chunk is
read twice. Results are those of NumPy arrays to the bit.

Chunks: along the channels as the features have them; of regions as many as fill `array.chunk-size`
of Dask's configuration; with `rois` a Dask array, as that has them. Spatial chunks may be of any
size, but a region costs a partial result in each it touches: some times its size is a good choice.

Regions that can be looked at are checked at the call, and their rows travel in the graph. A Dask
array of them is looked at only in tasks: a wrong row raises when the result is computed, and each
of its chunks visits every tile, if only to find that no region touches it. That costs tasks (chunks
of rows x chunks of features), and its few, large chunks cost least.

A gradient's chunks are whole rows of some images, of about `array.chunk-size`, and each adds the
blocks of regions one after another: in the order of the specification, whatever the chunks. Here
too the smaller of gradient and addends stays in memory; a task holds its chunk and, of regions
spread evenly over the gradient, about one block of addends.
"""

import math
import operator
from collections.abc import Sequence
from typing import Any

import dask.array as da
import numpy as np
from dask.array.utils import meta_from_array

from roipool import boxes, checks
from roipool.doors import numpy
from roipool.doors.dask import chunks, pooling, scattering, tasks
from roipool.doors.dask.graph import Layer, empty


def roi_pool(
    data: Any,
    rois: Any,
    pooled_size: tuple[int, int],
    spatial_scale: float,
    return_argmax: bool,
    out: Any,
) -> Any:
    """`roipool.roi_pool` for Dask arrays; the size and scale have been checked."""
    _refuse_out(out)
    data = _as_chunks("data", data)
    checks.refuse_maps(data.dtype, data.dtype.name, data.shape)
    divided = data.numblocks[2] > 1 or data.numblocks[3] > 1
    positions = numpy.argmax_dtype(data.shape[2] * data.shape[3])
    call = pooling.Call(
        data, pooled_size, spatial_scale, positions if divided or return_argmax else None
    )
    rows = _as_rows(rois, data.shape[0])
    lazy = isinstance(rows, da.Array)
    blocks = [*(pooling.lazy_blocks if lazy else pooling.known_blocks)(call, rows)]
    sizes = (
        tuple(block.regions for block in blocks),
        data.chunks[1],
        *((side,) for side in pooled_size),
    )
    layer = Layer("roi-pool", call, rows, return_argmax, sizes)
    pooling.fill(layer, call, blocks, return_argmax)
    pooled = layer.array(sizes, data.dtype, [data, rows] if lazy else [data])
    if not return_argmax:
        return pooled
    return tuple(
        pooled.map_blocks(operator.itemgetter(i), dtype=dtype, meta=empty(dtype))
        for i, dtype in enumerate((data.dtype, positions))
    )


def roi_pool_backward(
    grad: Any, argmax: Any, rois: Any, data_shape: tuple[int, int, int, int], out: Any
) -> da.Array:
    """`roipool.roi_pool_backward` for Dask arrays."""
    _refuse_out(out)
    grad = _as_chunks("grad", grad)
    rows = _as_rows(rois, data_shape[0])
    checks.refuse_grad(grad.dtype, grad.dtype.name, grad.shape, rows.shape[0], data_shape)
    lazy_argmax = argmax if isinstance(argmax, da.Array) else da.from_array(np.asarray(argmax))
    argmax = _as_chunks("argmax", lazy_argmax)
    checks.refuse_argmax(argmax.dtype, argmax.dtype.kind in "iu", argmax.shape, grad.shape)

    grad = grad.rechunk({2: -1, 3: -1})
    argmax = argmax.rechunk(grad.chunks)
    channels = grad.chunks[1]
    itemsize = max(grad.dtype.itemsize, 4)  # half types are summed in float32
    images, heights = chunks.of_planes(data_shape, channels, itemsize)
    call = scattering.Call(grad, argmax, (images, channels, heights, (data_shape[3],)))
    layer = Layer("roi-pool-backward", call, rows)
    inputs = [grad, argmax]
    if isinstance(rows, da.Array):
        rows = rows.rechunk({0: grad.chunks[0]})
        blocks = scattering.lazy_blocks(layer, call, rows)
        inputs.append(rows)
    else:
        blocks = scattering.known_blocks(call, tasks.images_of_block(rows, data_shape[0], 0))
    scattering.fill(layer, call, blocks)
    return layer.array(call.sizes, grad.dtype, inputs)


def _refuse_out(out: Any) -> None:
    if out is not None:
        raise TypeError(
            "out is given, but a Dask array's result is lazy and fills no memory of yours; leave "
            "out, and write the result with dask.array.store or to_zarr"
        )


def _as_chunks(name: str, value: Any) -> da.Array:
    """An array of chunks of known sizes, each a NumPy array in the machine's byte order."""
    if not isinstance(value, da.core.Array):
        raise TypeError(
            f"{name} is a {_name(type(value))}; expected a dask.array.core.Array, as dask.array "
            "gives it unless array.query-planning is on"
        )
    meta = meta_from_array(value)
    if type(meta) is not np.ndarray:
        raise TypeError(
            f"{name} has chunks of {_name(type(meta))}; expected chunks of NumPy arrays: convert "
            f"with {name}.map_blocks"
        )
    if any(math.isnan(side) for side in value.shape):
        raise ValueError(
            f"{name} has chunks of unknown size, shape {value.shape}; call "
            f"{name}.compute_chunk_sizes() first"
        )
    return value if value.dtype.isnative else value.astype(value.dtype.newbyteorder("="))


def _name(kind: type) -> str:
    return f"{kind.__module__}.{kind.__qualname__}"


def _as_rows(rois: Any, images: int) -> Any:
    """Any form of `rois` as (K, 5) rows: a Dask array stays one, its rows undivided."""
    if isinstance(rois, da.Array):
        rois = _as_chunks("rois", rois)
        boxes.refuse_shape("rois", rois.shape, 5)
        boxes.as_rows(np.empty((0, 5), rois.dtype), images)  # raises for a dtype that is not real
        return rois.rechunk({1: -1})
    if isinstance(rois, Sequence) and any(isinstance(part, da.Array) for part in rois):
        raise TypeError(
            "rois is a sequence with Dask arrays in it; give one Dask array (K, 5) of rows "
            "[batch_index, x1, y1, x2, y2], or compute the boxes first"
        )
    return boxes.as_rows(rois, images)
