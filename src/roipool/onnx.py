"""PyTorch models with `roi_pool` in them, exported to ONNX, whose MaxRoiPool has the same bins.

Importing this needs PyTorch and onnxscript: `pip install roipool[onnx]`. ONNX Runtime gives the
values of PyTorch bit for bit, up to opset 21: it runs no later MaxRoiPool (1.32). Where the node
says less than `roi_pool`, further nodes say it:

- Features of up to 16 bits go through float32, which holds them; coordinates are never rounded
  to them.
- A padding row becomes a region beside the map.
- A batch index of N or more is an error at run time, as in PyTorch.

What no node says: of zeros of both signs ONNX Runtime gives either, of nothing but -inf -3.4e38, of
some NaN what comes after them; a corner that is not finite, or 2**30 pixels from the map or more,
is read as another; a batch index that is no whole number is cut to one. Positions, float64 and
int32 are refused.
"""

from collections.abc import Callable, Sequence
from typing import Any

import onnxscript
import torch

from roipool import checks, geometry
from roipool.doors import torch as _door  # noqa: F401  registers the operators

op: Any = onnxscript.opset18
FLOAT = onnxscript.ir.DataType.FLOAT


def translation() -> dict[Callable[..., Any], Callable[..., Any]]:
    """What `torch.onnx.export` is to be told, to export models that call `roipool.roi_pool`.

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
    operators = torch.ops.roipool
    return {
        operators.roi_pool.default: _max_roi_pool,
        operators.roi_pool_argmax.default: _refuse_argmax,
    }


def _max_roi_pool(data: Any, rois: Any, pooled_size: Sequence[int], spatial_scale: float) -> Any:
    checks.refuse_onnx_dtype(data.dtype.numpy().name)
    rows = op.Cast(rois, to=FLOAT)
    padding = op.Less(op.Slice(rows, [0], [1], [1]), 0.0)
    beside = op.Constant(value_floats=geometry.beside_the_map(spatial_scale))
    rows = op.Where(padding, beside, rows)
    values = op.MaxRoiPool(
        op.Cast(data, to=FLOAT), rows, pooled_shape=pooled_size, spatial_scale=spatial_scale
    )
    return op.Cast(values, to=data.dtype)


def _refuse_argmax(*arguments: Any) -> None:
    checks.refuse_onnx_argmax()
