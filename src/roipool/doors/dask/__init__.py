"""Dask arrays: feature maps and region lists larger than one machine, pooled lazily.

The result's chunks are blocks of regions. A block is pooled in each chunk of the features that its
regions touch (a tile), and the tiles' parts are combined: winners of a maximum, sums of what is
linear. So a task holds one chunk of the features and its own block of the result, or four such
blocks and the one they make. Of features and result the smaller may stay in the workers' memory as
a whole; the larger streams, and no chunk is read twice.

Results are those of NumPy arrays to the bit, but for sums over tiles: a region's are added in an
order that only the chunks of the features say, in float32 of half types, and rounded once.

Chunks: along the channels as the features have them; of regions as many as fill `array.chunk-size`
of Dask's configuration; with `rois` a Dask array, as that has them. Spatial chunks may be of any
size, but a region costs a partial result in each it touches: some times its size is a good choice.

Regions that can be looked at are checked at the call, and their rows travel in the graph. A Dask
array of them is looked at only in tasks: a wrong row raises when the result is computed, and each
of its chunks visits every tile, if only to find that no region touches it. That costs tasks (chunks
of rows x chunks of features), and its few, large chunks cost least.

Operators whose samples may lie in two tiles, turn, or read channels of each bin's own need planes
whole: `data` is rechunked to them, and its channels so that all that a channel of the result reads
are in one chunk. A task holds one such chunk, whole planes of some images, and of a block's result
what lies in these. Features that are divided along images and channels stream as others do.

A gradient's chunks are whole rows of some images, of about `array.chunk-size`, and each adds the
blocks of regions one after another: in the order of the specification, whatever the chunks. Here
too the smaller of gradient and addends stays in memory; a task holds its chunk and, of regions
spread evenly over the gradient, about one block of addends. Where planes are whole they are so in
the gradient too, however large they are, and a task is given all addends of its images at once: so
these may stay in memory as a whole, as all do where rows are lazy.

The gradient of the regions has the blocks of the pooled values' gradient; each is the sum of its
tiles' parts, a row each, over the chunks of channels too.
"""

import math
import operator as operators
from collections.abc import Mapping, Sequence
from typing import Any

import dask.array as da
import numpy as np
from dask.array.utils import meta_from_array

from roipool import checks, geometry, rois
from roipool.descriptions import Call, Operator, position
from roipool.doors.dask import chunks, moving, pooling, scattering, tasks
from roipool.doors.dask.graph import Layer, empty


def pool(operator: Operator, data: Any, regions: Any, call: Call, positions: bool, out: Any) -> Any:
    """The operator's values, lazy, and where asked for what they stand at."""
    _refuse_out(out)
    data = _as_maps(operator, data, call)
    source = _source(operator, data.shape, data.dtype, call)
    found = positions or (operator.saved and max(data.numblocks[2:]) > 1)
    options = pooling.Call(source, data, _argmax_dtype(operator, data.shape) if found else None)
    rows = _as_rows(operator, regions, data.shape[0])
    lazy = isinstance(rows, da.Array)
    if lazy:
        blocks = [*pooling.lazy_blocks(data, rows)]
    else:
        blocks = [*pooling.known_blocks(source, data, rows, pooling.sizes_of(options, rows))]
    sides = ((side,) for side in call.pooled_size)
    sizes = (tuple(block.regions for block in blocks), options.channels, *sides)
    layer = Layer(operator.name, options, rows, positions, sizes)
    pooling.fill(layer, options, blocks, positions)
    pooled = layer.array(sizes, data.dtype, [data, rows] if lazy else [data])
    if not positions:
        return pooled
    return tuple(
        pooled.map_blocks(operators.itemgetter(i), dtype=dtype, meta=empty(dtype))
        for i, dtype in enumerate((data.dtype, options.argmax_dtype))
    )


def backward(
    operator: Operator,
    grad: Any,
    regions: Any,
    data_shapes: Sequence[tuple[int, ...]],
    call: Call,
    saved: Mapping[str, Any],
    several: bool,
    out: Any,
) -> da.Array:
    """The gradient of the features, lazy."""
    _refuse_out(out)
    if several:
        _refuse_several(operator, "data_shape", len(data_shapes))
    (shape,) = data_shapes
    grad = _as_chunks("grad", grad)
    rows = _as_rows(operator, regions, shape[0])
    operator.refuse_grad(grad.dtype, grad.dtype.name, grad.shape, rows.shape[0], shape)
    grad = grad.rechunk({2: -1, 3: -1})
    read = _as_read(saved, grad)

    channels = tuple(count * _group(operator, call) for count in grad.chunks[1])
    itemsize = max(grad.dtype.itemsize, 4)  # half types are summed in float32
    whole = not operator.divides
    images, heights = chunks.of_planes(shape, channels, itemsize, whole=whole)
    sizes = images, channels, heights, (shape[3],)
    if operator.divides and operator.located:
        options = scattering.at_positions(operator, grad, read, sizes)
    else:
        source = _source(operator, shape, grad.dtype, call)
        options = scattering.at_structure(source, grad, read, sizes)
    layer = Layer(f"{operator.name}-backward", options, rows)
    inputs = [grad, *read]
    if isinstance(rows, da.Array):
        rows = rows.rechunk({0: grad.chunks[0]})
        inputs.append(rows)
    scattering.fill(layer, options, scattering.blocks_of(layer, options, rows))
    return layer.array(sizes, grad.dtype, inputs)


def backward_rois(
    operator: Operator, grad: Any, data: Any, regions: Any, call: Call, saved: Mapping[str, Any]
) -> da.Array:
    """The gradient of the regions, as rows, lazy, in the blocks of `grad`."""
    data = _as_maps(operator, data, call)
    grad = _as_chunks("grad", _as_lazy(grad))
    rows = _as_rows(operator, regions, data.shape[0])
    operator.refuse_grad(grad.dtype, grad.dtype.name, grad.shape, rows.shape[0], data.shape)
    checks.refuse_other_dtype("grad", grad.dtype, data.dtype)
    channels = tuple(count // _group(operator, call) for count in data.chunks[1])
    grad = grad.rechunk({1: channels, 2: -1, 3: -1})
    read = _as_read(saved, grad)
    source = _source(operator, data.shape, data.dtype, call)._replace(moving=True)
    dtype = np.dtype(geometry.float_type(np, data.dtype, rows.dtype))
    options = moving.Call(source, data, grad, read, dtype)
    layer = Layer(f"{operator.name}-backward-rois", options, rows)
    inputs = [data, grad, *read]
    if isinstance(rows, da.Array):
        rows = rows.rechunk({0: grad.chunks[0]})
        blocks = pooling.lazy_blocks(data, rows)
        inputs.append(rows)
    else:
        blocks = pooling.known_blocks(source, data, rows, grad.chunks[0])
    moving.fill(layer, options, [*blocks])
    return layer.array((grad.chunks[0], (operator.rows.width,)), options.dtype, inputs)


def _source(operator: Operator, shape: Sequence[int], dtype: Any, call: Call) -> tasks.Source:
    return tasks.Source(operator, geometry.maps_of([shape], call.scales), dtype.name, call)


def _argmax_dtype(operator: Operator, shape: Sequence[int]) -> np.dtype[Any]:
    """Of positions in planes, or of the numbers of what else is found."""
    _, found = operator.forward.results
    return np.dtype(position([shape[2] * shape[3]]) if found.dtype == "position" else found.dtype)


def _group(operator: Operator, call: Call) -> int:
    """How many channels of the features each channel of the result reads."""
    return math.prod(call.pooled_size) if operator.position_sensitive else 1


def _as_maps(operator: Operator, data: Any, call: Call) -> da.Array:
    """One array of feature maps, in chunks that the operator can be computed of."""
    if checks.is_several(data):
        _refuse_several(operator, "data", len(data))
    data = _as_chunks("data", data)
    checks.refuse_maps(data.dtype, data.dtype.name, data.shape, operator.dtypes)
    if operator.divides:
        return data
    operator.channels("data", data.shape[1], call.pooled_size)
    channels = chunks.of_groups(data.chunks[1], _group(operator, call))
    return data.rechunk({1: channels, 2: -1, 3: -1})


def _refuse_several(operator: Operator, name: str, count: int) -> None:
    raise TypeError(
        f"{name} is of {count} arrays of feature maps; of Dask arrays one call takes one: call "
        f"{operator.name} for each with the regions of its images, or compute them and give NumPy "
        "arrays"
    )


def _as_lazy(value: Any) -> Any:
    """What comes beside Dask arrays may be any array."""
    return value if isinstance(value, da.Array) else da.from_array(np.asarray(value))


def _as_read(saved: Mapping[str, Any], grad: da.Array) -> tuple[da.Array, ...]:
    """What the forward saved of each bin, in the chunks of its gradient."""
    arrays = [_as_chunks(name, _as_lazy(array)) for name, array in saved.items()]
    for array in arrays:
        checks.refuse_argmax(array.dtype, array.dtype.kind in "iu", array.shape, grad.shape)
    return tuple(array.rechunk(grad.chunks) for array in arrays)


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
    # Dask believes what an array says of its chunks, and so do all tasks behind this one.
    told = {"dtype": value.dtype, "meta": meta, "argument": name}
    value = value.map_blocks(tasks.as_declared, **told)
    return value if value.dtype.isnative else value.astype(value.dtype.newbyteorder("="))


def _name(kind: type) -> str:
    return f"{kind.__module__}.{kind.__qualname__}"


def _as_rows(operator: Operator, regions: Any, images: int) -> Any:
    """Any form of `rois` as rows: a Dask array stays one, its rows undivided."""
    kind = operator.rows
    if isinstance(regions, da.Array):
        regions = _as_chunks(kind.name, regions)
        rois.refuse_shape(kind.name, regions.shape, kind)
        rois.refuse_dtype(kind.name, regions.dtype, rois.is_real(regions.dtype), kind)
        return regions.rechunk({1: -1})
    if isinstance(regions, Sequence) and any(isinstance(part, da.Array) for part in regions):
        raise TypeError(
            f"{kind.name} is a sequence with Dask arrays in it; give one Dask array "
            f"(K, {kind.width}) of rows [batch_index, {', '.join(kind.columns)}], or compute the "
            "boxes first"
        )
    return rois.as_rows(regions, images, kind)
