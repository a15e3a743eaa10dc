"""What every door accepts and refuses alike, whatever its arrays are."""

from collections.abc import Sequence
from typing import Any

FLOATS = ("float16", "bfloat16", "float32", "float64")
DTYPES = (*FLOATS, "int8", "uint8", "int16", "int32")
IN_FLOAT32 = tuple(name for name in DTYPES if name not in ("float64", "int32"))  # exactly


def values_and_argmax(out: Any) -> tuple[Any, Any]:
    """The two arrays of `out`, where positions are asked for too."""
    if not isinstance(out, tuple) or len(out) != 2:
        raise TypeError(
            f"out is a {type(out).__name__}; with return_argmax it is a pair (values, argmax)"
        )
    return out


def refuse_maps(dtype: Any, name: str, shape: Sequence[int]) -> None:
    """Raise unless this dtype, by its name, and shape are those of feature maps."""
    if name not in DTYPES:
        raise TypeError(
            f"data has dtype {dtype}; expected one of {', '.join(DTYPES)}: convert with astype"
        )
    if len(shape) != 4:
        raise ValueError(
            f"data has shape {tuple(shape)}; expected feature maps (N, C, H, W); "
            "add the missing axes with data[None] or reshape"
        )
    if max(shape) >= 2**31:
        raise ValueError(f"data has shape {tuple(shape)}; each axis must be below 2**31")


def refuse_argmax(dtype: Any, whole: bool, shape: Sequence[int], expected: Sequence[int]) -> None:
    """Raise unless positions of this dtype, whole numbers or not, and shape fit the gradient."""
    if tuple(shape) != tuple(expected) or not whole:
        raise ValueError(
            f"argmax has shape {tuple(shape)} and dtype {dtype}; expected {tuple(expected)} "
            "and int32 or int64, as roi_pool(..., return_argmax=True) gave it"
        )


def refuse_grad(
    dtype: Any, name: str | None, shape: Sequence[int], count: int, data_shape: Sequence[int]
) -> None:
    """Raise unless a gradient of this dtype, by its name, and shape fits so many regions."""
    if name not in FLOATS:
        raise TypeError(f"grad has dtype {dtype}; a gradient is one of {', '.join(FLOATS)}")
    channels = data_shape[1]
    if len(shape) != 4 or shape[0] != count or shape[1] != channels:
        raise ValueError(
            f"grad has shape {tuple(shape)}; expected ({count}, {channels}, h, w) for "
            f"{count} rois and data_shape {data_shape}"
        )


def refuse_argmax_outside(inside: bool, height: int, width: int) -> None:
    """Raise unless the core found every position inside the map."""
    if not inside:
        raise IndexError(
            f"argmax holds positions outside the map of {height} x {width} pixels; expected "
            f"-1 to {height * width - 1}: was it made with the same data_shape?"
        )


def refuse_onnx_dtype(name: str) -> None:
    """Raise unless ONNX Runtime's MaxRoiPool, which is float32 alone, can pool it exactly."""
    if name not in IN_FLOAT32:
        raise TypeError(
            f"data has dtype {name}; an ONNX graph pools in float32, which holds "
            f"{', '.join(IN_FLOAT32)}: cast data to one of them"
        )


def refuse_onnx_argmax() -> None:
    """Raise: positions were asked for."""
    raise NotImplementedError(
        "ONNX's MaxRoiPool gives no positions; leave out return_argmax in what becomes a graph"
    )
