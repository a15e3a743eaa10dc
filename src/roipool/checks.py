"""What every door accepts and refuses alike, whatever its arrays are."""

import operator
from collections.abc import Sequence
from typing import Any

FLOATS = ("float16", "bfloat16", "float32", "float64")
DTYPES = (*FLOATS, "int8", "uint8", "int16", "int32")
IN_FLOAT32 = tuple(name for name in DTYPES if name not in ("float64", "int32"))  # exactly


def pooled_size(value: Any) -> tuple[int, int]:
    """Two sides, of one number or two."""
    try:
        one = isinstance(value, int) or not hasattr(value, "__iter__")
        pair = (value,) * 2 if one else tuple(value)
        height, width = (operator.index(n) for n in pair)
    except (TypeError, ValueError):
        raise TypeError(
            f"pooled_size is {value!r}; expected two whole numbers (h, w), or one for both"
        ) from None
    if height < 1 or width < 1:
        raise ValueError(f"pooled_size is {value!r}; each side must be at least 1")
    return height, width


def spatial_scale(value: Any) -> float:
    """A number that float32 can hold."""
    try:
        scale = float(value)
    except (TypeError, ValueError):
        raise TypeError(
            f"spatial_scale is {value!r}; expected one number, static where a function is compiled"
        ) from None
    if not 2.0**-126 <= scale <= 2.0**127:  # a normal float32, which is what it is rounded to
        raise ValueError(
            f"spatial_scale is {value!r}; expected a finite positive number, the size of "
            "the feature map / the size of the image, such as 1 / 16"
        )
    return scale


def values_and_argmax(out: Any) -> tuple[Any, Any]:
    """The two arrays of `out`, where positions are asked for too."""
    if not isinstance(out, tuple) or len(out) != 2:
        raise TypeError(
            f"out is a {type(out).__name__}; with return_argmax it is a pair (values, argmax)"
        )
    return out


def refuse_maps(dtype: Any, name: str | None, shape: Sequence[int], cast: str = "astype") -> None:
    """Raise unless this dtype, by its name, and shape are those of feature maps."""
    if name not in DTYPES:
        raise TypeError(
            f"data has dtype {dtype}; expected one of {', '.join(DTYPES)}: convert with {cast}"
        )
    if len(shape) != 4:
        raise ValueError(
            f"data has shape {tuple(shape)}; expected feature maps (N, C, H, W); "
            "add the missing axes with data[None] or reshape"
        )
    if any(isinstance(side, int) and side >= 2**31 for side in shape):  # or a symbol, not known yet
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
