"""What every door accepts and refuses alike, whatever its arrays are."""

import functools
import operator
from collections.abc import Callable, Sequence
from typing import Any

FLOATS = ("float16", "bfloat16", "float32", "float64")
DTYPES = (*FLOATS, "int8", "uint8", "int16", "int32")
MOST_SAMPLES = 2**10  # along an axis of a bin; as many taps are listed
IN_FLOAT32 = tuple(name for name in DTYPES if name not in ("float64", "int32"))  # exactly


@functools.cache
def dtype_name(dtype: Any) -> str:
    """Of NumPy's dtypes, which take long to say it."""
    return str(dtype.name)


def is_several(data: Any) -> bool:
    """Whether these are several arrays of feature maps, not one array as nested lists."""
    return isinstance(data, (list, tuple)) and any(
        getattr(each, "ndim", 0) in (3, 4)
        or type(each).__module__.partition(".")[0] not in ("builtins", "numpy")
        for each in data
    )


def several(data: Any) -> int | None:
    """How many arrays of feature maps these are; None of a single one."""
    return len(data) if is_several(data) else None


def pooled_size(value: Any) -> tuple[int, int]:
    """Two sides, of one number or two."""
    try:
        one = isinstance(value, int) or not hasattr(value, "__iter__")
        height, width = map(operator.index, (value, value) if one else value)
    except (TypeError, ValueError):
        raise TypeError(
            f"pooled_size is {value!r}; expected two whole numbers (h, w), or one for both"
        ) from None
    if height < 1 or width < 1:
        raise ValueError(f"pooled_size is {value!r}; each side must be at least 1")
    if height >= 2**31 or width >= 2**31:
        raise ValueError(f"pooled_size is {value!r}; each side must be below 2**31")
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


def scales(value: Any, arrays: int | None) -> tuple[tuple[float, float], ...]:
    """A scale along y and x for each of so many arrays of maps, or for a single one (None).

    One number stands for all; a single array takes a pair too, several a number or pair each.
    """
    if not isinstance(value, (tuple, list)):
        return ((spatial_scale(value),) * 2,) * (1 if arrays is None else arrays)
    if arrays is not None:
        if len(value) != arrays:
            raise ValueError(
                f"spatial_scale is {value!r}; expected one number, or one for each of the {arrays} "
                "arrays in data"
            )
        return tuple(pair for each in value for pair in scales(each, None))
    if len(value) != 2:
        raise ValueError(f"spatial_scale is {value!r}; expected one number, or two (along y, x)")
    y, x = map(spatial_scale, value)
    return ((y, x),)


def results(out: Any, count: int | None) -> tuple[Any, ...]:
    """The caller's memory for a result (None), or for each of so many; None where none is given."""
    if count is None:
        return (out,)
    if out is None:
        return (None,) * count
    if not isinstance(out, (list, tuple)) or len(out) != count:
        raise TypeError(
            f"out is a {type(out).__name__}; expected {count} arrays, one for each of data"
        )
    return tuple(out)


def values_and_argmax(out: Any) -> tuple[Any, Any]:
    """The two arrays of `out`, where positions are asked for too."""
    if out is None:
        return None, None
    if not isinstance(out, tuple) or len(out) != 2:
        raise TypeError(
            f"out is a {type(out).__name__}; with return_argmax it is a pair (values, argmax)"
        )
    return out


def refuse_maps(
    dtype: Any,
    name: str | None,
    shape: Sequence[int],
    known: Sequence[str] = DTYPES,
    cast: str = "astype",
) -> None:
    """Raise unless this dtype, by its name among those known, and shape are of feature maps."""
    if name not in known:
        raise TypeError(
            f"data has dtype {dtype}; expected one of {', '.join(known)}: convert with {cast}"
        )
    if len(shape) != 4:
        raise ValueError(
            f"data has shape {tuple(shape)}; expected feature maps (N, C, H, W); "
            "add the missing axes with data[None] or reshape"
        )
    for side in shape:
        if isinstance(side, int) and side >= 2**31:  # or a symbol, not known yet
            raise ValueError(f"data has shape {tuple(shape)}; each axis must be below 2**31")


def refuse_unlike(maps: Sequence[Any]) -> None:
    """Raise unless arrays of maps have one dtype and as many channels."""
    kinds = [(array.dtype, array.shape[1]) for array in maps]
    for i, (dtype, channels) in enumerate(kinds):
        if (dtype, channels) != kinds[0]:
            raise ValueError(
                f"data[{i}] has dtype {dtype} and {channels} channels, but data[0] has "
                f"{kinds[0][0]} and {kinds[0][1]}; feature maps of one call are alike but in size"
            )


def sampling_ratio(value: Any) -> int:
    """How many samples along each axis of a bin; 0 where it depends on the bin."""
    try:
        ratio = operator.index(value)
    except TypeError:
        raise TypeError(
            f"sampling_ratio is {value!r}; expected a whole number, 0 for as many samples as a bin "
            "has pixels"
        ) from None
    if ratio > MOST_SAMPLES:
        raise ValueError(
            f"sampling_ratio is {ratio}; expected at most {MOST_SAMPLES}, or 0 for as many samples "
            "as a bin has pixels"
        )
    return max(ratio, 0)


def word(name: str, known: Sequence[str]) -> Callable[[Any], str]:
    """What refuses an argument of this name that is none of the known words."""

    def check(value: Any) -> str:
        if value not in known:
            said = " or ".join(f'"{each}"' for each in known)
            raise ValueError(f"{name} is {value!r}; expected {said}")
        return str(value)

    return check


def number(name: str) -> Callable[[Any], float]:
    """What refuses an argument of this name that is no number."""

    def check(value: Any) -> float:
        try:
            return float(value)
        except (TypeError, ValueError):
            raise TypeError(f"{name} is {value!r}; expected a number") from None

    return check


def refuse_argmax(dtype: Any, whole: bool, shape: Sequence[int], expected: Sequence[int]) -> None:
    """Raise unless positions of this dtype, whole numbers or not, and shape fit the gradient."""
    if tuple(shape) != tuple(expected) or not whole:
        raise ValueError(
            f"argmax has shape {tuple(shape)} and dtype {dtype}; expected {tuple(expected)} "
            "and int32 or int64, as roi_pool(..., return_argmax=True) gave it"
        )


def refuse_points(
    image: tuple[bool, Sequence[int]], pixel: tuple[bool, Sequence[int]], weight: Sequence[int]
) -> None:
    """Raise unless images (K,) and positions (K, h, w, S) are whole numbers, with weights alike."""
    shapes = tuple(image[1]), tuple(pixel[1]), tuple(weight)
    if len(shapes[1]) != 4 or shapes[0] != shapes[1][:1] or shapes[2] != shapes[1]:
        raise ValueError(
            f"image, pixel and weight have shapes {shapes[0]}, {shapes[1]} and {shapes[2]}; "
            "expected (K,), (K, h, w, S) and (K, h, w, S)"
        )
    for name, (whole, _) in (("image", image), ("pixel", pixel)):
        if not whole:
            raise TypeError(f"{name} holds no whole numbers; expected integers")


def refuse_images(index: Any, images: int) -> None:
    """Raise for an image that there is none of; NumPy's array of them."""
    if index.size and int(index.max()) >= images:
        k = int((index >= images).argmax())
        raise IndexError(
            f"image[{k}] is {int(index[k])}, but data holds {images} images; use a negative index "
            "for a padding row"
        )


def pooled_size_of(grad: Any) -> tuple[int, ...]:
    """The last two sides of a gradient (K, C, h, w)."""
    if not hasattr(grad, "shape"):  # a value of a graph, or lists
        raise TypeError(
            f"grad is a {type(grad).__name__}; expected an array of pooled values (K, C, h, w)"
        )
    shape = tuple(grad.shape)
    if len(shape) != 4:
        raise ValueError(f"grad has shape {shape}; expected that of pooled values (K, C, h, w)")
    return shape[2:]


def data_shapes(value: Any) -> tuple[bool, list[tuple[int, ...]]]:
    """Whether the shapes of several arrays of maps are given, and all of them."""
    several = isinstance(value, Sequence) and any(hasattr(each, "__len__") for each in value)
    try:
        shapes = [tuple(map(operator.index, each)) for each in (value if several else [value])]
    except TypeError:
        raise TypeError(f"data_shape is {value}; expected (N, C, H, W)") from None
    for shape in shapes:
        if len(shape) != 4 or min(shape) < 0 or max(shape) >= 2**31:
            raise ValueError(f"data_shape is {value}; expected (N, C, H, W), each below 2**31")
    if not shapes or any(shape[1] != shapes[0][1] for shape in shapes):
        raise ValueError(f"data_shape is {value}; expected as many channels for all maps")
    return several, shapes


def refuse_grad(
    dtype: Any,
    name: str | None,
    shape: Sequence[int],
    expected: tuple[int, int],
    data_shape: Sequence[int],
) -> None:
    """Raise unless a gradient has a dtype, by its name, and so many regions and channels."""
    if name not in FLOATS:
        raise TypeError(f"grad has dtype {dtype}; a gradient is one of {', '.join(FLOATS)}")
    if len(shape) != 4 or tuple(shape[:2]) != expected:
        count, channels = expected
        raise ValueError(
            f"grad has shape {tuple(shape)}; expected ({count}, {channels}, h, w) for "
            f"{count} rois and data_shape {data_shape}"
        )


def refuse_argmax_outside(inside: bool, data_shapes: Sequence[Sequence[int]]) -> None:
    """Raise unless the core found every position inside its map."""
    if inside:
        return
    _, _, height, width = max(data_shapes, key=lambda shape: shape[2] * shape[3])
    of = "the map" if len(data_shapes) == 1 else "its map; the largest is"
    raise IndexError(
        f"argmax holds positions outside {of} of {height} x {width} pixels; expected "
        f"-1 to {height * width - 1}: was it made with the same data_shape?"
    )


def refuse_other_dtype(name: str, dtype: Any, expected: Any) -> None:
    """Raise unless an array beside the features has their dtype."""
    if dtype != expected:
        raise TypeError(f"{name} has dtype {dtype}, but data has {expected}; cast it to that")
