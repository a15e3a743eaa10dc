"""What every door accepts and refuses alike, whatever its arrays are."""

from collections.abc import Sequence
from typing import Any

FLOATS = ("float16", "bfloat16", "float32", "float64")
DTYPES = (*FLOATS, "int8", "uint8", "int16", "int32")


def values_and_argmax(out: Any) -> tuple[Any, Any]:
    """The two arrays of `out`, where positions are asked for too."""
    if not isinstance(out, tuple) or len(out) != 2:
        raise TypeError(
            f"out is a {type(out).__name__}; with return_argmax it is a pair (values, argmax)"
        )
    return out


def refuse_maps(shape: Sequence[int]) -> None:
    """Raise unless it is the shape of feature maps."""
    if len(shape) != 4:
        raise ValueError(
            f"data has shape {tuple(shape)}; expected feature maps (N, C, H, W); "
            "add the missing axes with data[None] or reshape"
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
