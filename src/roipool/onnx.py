"""PyTorch models with `roi_pool` and `roi_align`, exported to ONNX as MaxRoiPool and RoiAlign.

Importing this needs PyTorch and onnxscript: `pip install roipool[onnx]`. Of roi_pool ONNX Runtime
gives the values of PyTorch bit for bit, of roi_align to rounding; both up to opset 21, for it runs
no later MaxRoiPool or RoiAlign on the CPU (1.32). Where a node says less than the operator, further
nodes say it:

- Features of up to 16 bits go through float32, which holds them; coordinates are never rounded
  to them.
- A padding row becomes a region beside the map, and so does one with a corner that is not finite.
- A batch index of N or more is an error at run time, as in PyTorch.
- Of a pair of scales, and of a scale that float32 does not hold in float64, boxes are multiples.
- Of several arrays of maps, each is pooled with all regions, those of others being padding.

What no node of roi_pool says: of zeros of both signs ONNX Runtime gives either, of nothing but -inf
-3.4e38, of some NaN what comes after them; a corner 2**30 pixels from the map or more is read as
another. None of roi_align: a pixel of weight 0 is read, so that NaN and infinities reach further;
with float64 features coordinates are computed in float64, whatever the boxes are; where the number
of samples depends on the bin, memory grows with the region, on the map or not. Of either: a batch
index that is no whole number is cut to one. Positions are refused, and so are dtypes that neither
float32 nor a node in float64 holds: of roi_pool float64 and int32.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import onnxscript
import torch

from roipool import onnx_nodes
from roipool.descriptions import OPERATORS, Operator
from roipool.doors.torch.operators import register

op: Any = onnxscript.opset18


def translation() -> dict[Callable[..., Any], Callable[..., Any]]:
    """What `torch.onnx.export` is to be told, to export models that call roipool.

    Returns:
        A new dict for `custom_translation_table`; more operators may be added to it.

    Example:
        >>> import torch, roipool.nn, roipool.onnx
        >>> data = torch.arange(48.).reshape(1, 1, 8, 6)
        >>> rois = torch.tensor([[0., 0., 0., 4., 4.]])
        >>> program = torch.onnx.export(
        ...     roipool.nn.RoIPool(2, 0.7).eval(), (data, rois), dynamo=True, verbose=False,
        ...     dynamic_shapes=({0: "N", 2: "H", 3: "W"}, {0: "K"}),
        ...     custom_translation_table=roipool.onnx.translation())
        >>> program(data, rois)[0]
        tensor([[[[ 7.,  9.],
                  [19., 21.]]]])
    """
    table: dict[Callable[..., Any], Callable[..., Any]] = {}
    for operator in OPERATORS.values():
        if operator.onnx is None:
            continue
        register(operator)
        values = getattr(torch.ops.roipool, operator.name)
        table |= dict.fromkeys((values.default, values.several), _translated(operator))
        if operator.saved:
            found = getattr(torch.ops.roipool, "_".join((operator.name, *operator.saved)))
            table |= dict.fromkeys((found.default, found.several), _refused(operator))
    return table


def _translated(operator: Operator) -> Callable[..., Any]:
    def translate(data: Any, rois: Any, pooled_size: Any, spatial_scale: Any, *more: Any) -> Any:
        maps = data if isinstance(data, (list, tuple)) else [data]
        dtype = maps[0].dtype.numpy().name
        onnx_nodes.refuse_dtype(operator, dtype)
        scales = list(zip(spatial_scale[::2], spatial_scale[1::2], strict=True))  # along y, x
        options = {option.name: value for option, value in zip(operator.options, more, strict=True)}
        call = operator.call(pooled_size, scales, len(maps), **options)
        return onnx_nodes.pool(_WRITER, operator, call, maps, rois, dtype)

    return translate


def _refused(operator: Operator) -> Callable[..., Any]:
    def refuse(*arguments: Any) -> None:
        onnx_nodes.refuse_positions(operator)

    return refuse


def _node(name: str, *inputs: Any, **attributes: Any) -> Any:
    return getattr(op, name)(*inputs, **attributes)


def _constant(values: np.ndarray) -> Any:
    return op.Constant(value=onnxscript.ir.tensor(values))


def _cast(value: Any, dtype: str) -> Any:
    return op.Cast(value, to=onnxscript.ir.DataType.from_numpy(np.dtype(dtype)))


_WRITER = onnx_nodes.Writer(_node, _constant, _cast)
