"""What the forms may be given, by their descriptions: whoever reaches them past the functions.

On the CPU the core refuses what could do harm and this says it in words; where results are only
looked at, or made on another device, this is all there is.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from roipool import checks
from roipool.doors.torch.forms import INPUTS, RESULTS, Form, each
from roipool.kernels import DATA, Arg

DTYPES = {getattr(torch, name): name for name in checks.DTYPES}


def refuse(form: Form, values: Sequence[Any]) -> None:
    """Raise unless the form may be given these, whatever their numbers are."""
    count = len(form.names)
    known, seen = form.known(values[:count]), _Seen(form)
    for arg in form.inputs:
        seen.take(arg, INPUTS.get(arg.name, arg.name), known[arg.name])
    for arg, value in zip(form.results, values[count:], strict=False):  # memory to fill
        if value is not None:
            single = arg == DATA and not form.several
            seen.take(arg, RESULTS.get(arg.name, arg.name), [value] if single else value)
    if "data_shape" in known:
        seen.take_shapes(known["data_shape"])
    seen.refuse_sizes(known)
    if form.operator and not form.located:
        _refuse_options(form, known, len(seen.channels))


class _Seen:
    """What the tensors so far tell: dtype, device, and the size of each letter."""

    def __init__(self, form: Form) -> None:
        self.form = form
        self.sizes: dict[str, tuple[Any, str]] = {}
        self.channels: list[tuple[Any, str]] = []  # of each array of maps
        self.features: tuple[torch.dtype, str] | None = None
        self.device: tuple[torch.device, str] | None = None
        if form.operator:
            self.sizes["R"] = form.operator.rows.width, "a row"

    def take(self, arg: Arg, name: str, value: Any) -> None:
        """Look at a tensor, or at several of feature maps."""
        if arg == DATA and not value:
            raise ValueError(f"{name} is empty; expected at least one tensor of feature maps")
        for i, tensor in enumerate(each(value)):
            told = f"{name}[{i}]" if arg == DATA and self.form.several else name
            device, first = self.device = self.device or (tensor.device, told)
            if tensor.device != device:
                raise ValueError(f"{told} lies on device {tensor.device}, {first} on {device}")
            self._take_dtype(arg, told, tensor)
            if arg == DATA and tensor.ndim == 4:
                self.channels.append((tensor.shape[1], told))
            self._take_shape(arg, told, tensor.shape)

    def take_shapes(self, flat: Sequence[Any]) -> None:
        """Look at the sides of feature maps."""
        whole = len(flat) % 4 == 0 if self.form.several else len(flat) == 4
        if not whole or not flat or any(_below(side, 0) for side in flat):
            raise ValueError(f"data_shape is {flat}; expected N, C, H and W of each array of maps")
        self.channels += [(side, "data_shape") for side in flat[1::4]]

    def refuse_sizes(self, known: Mapping[str, Any]) -> None:
        """Raise unless maps have as many channels as what is pooled of them."""
        operator, size = self.form.operator, known.get("pooled_size")
        if size is not None and (len(size) != 2 or any(_below(side, 1) for side in size)):
            raise ValueError(f"pooled_size is {size}; expected two whole numbers of at least 1")
        for channels, name in self.channels:
            first, other = self.channels[0]
            _check(channels == first, f"{name} has {channels} channels, but {other} has {first}")
            if operator and operator.position_sensitive:
                size = size or [self.sizes[letter][0] for letter in "hw"]
                channels = operator.channels(name, channels, size)
            pooled, other = self.sizes.get("C", (channels, ""))
            _check(
                channels == pooled,
                f"{name} gives {channels} channels, but {other} has {pooled}",
            )

    def _take_dtype(self, arg: Arg, name: str, tensor: Tensor) -> None:
        dtype = tensor.dtype
        if arg.dtype == "data":
            known = self._dtypes()
            if DTYPES.get(dtype) not in known:
                raise TypeError(f"{name} has dtype {dtype}; expected one of {', '.join(known)}")
            features, first = self.features = self.features or (dtype, name)
            if dtype != features:
                raise TypeError(f"{name} has dtype {dtype}, but {first} has {features}")
        elif arg.dtype == "rois":
            if dtype.is_complex or dtype == torch.bool:
                raise TypeError(f"{name} has dtype {dtype}; expected real numbers")
        else:
            expected = {
                "int32": (torch.int32,),
                "position": (torch.int32, torch.int64),
                "sum": (torch.float64 if self._is_double() else torch.float32,),
            }[arg.dtype]
            if dtype not in expected:
                said = " or ".join(map(str, expected))
                raise TypeError(f"{name} has dtype {dtype}; expected {said}")

    def _is_double(self) -> bool:
        return self.features is not None and self.features[0] == torch.float64

    def _dtypes(self) -> Sequence[str]:
        form = self.form
        if form.operator and form.kernel is form.operator.forward:
            return form.operator.dtypes
        return checks.DTYPES if form.kernel.name == "max_read" else checks.FLOATS

    def _take_shape(self, arg: Arg, name: str, shape: Sequence[Any]) -> None:
        said = f"{name} has shape {tuple(shape)}; expected ({', '.join(arg.axes)})"
        if len(shape) != len(arg.axes):
            raise ValueError(said)
        for letter, side in zip(arg.axes, shape, strict=True):
            if arg == DATA:
                continue  # each array of maps has its own
            if letter == "2":
                self.sizes["2"] = 2, "each pair"
            expected, first = self.sizes.setdefault(letter, (side, name))
            _check(side == expected, f"{said}, where {letter} is {expected} as {first} has it")


def _refuse_options(form: Form, known: Mapping[str, Any], maps: int) -> None:
    flat = known["spatial_scale"]
    if len(flat) != 2 * maps:
        raise ValueError(f"spatial_scale is {flat}; expected y and x for each of {maps} maps")
    for scale in flat:
        checks.spatial_scale(scale)
    assert form.operator is not None
    for option in form.operator.options:
        option.check(known[option.name])


def _below(side: Any, least: int) -> bool:
    return isinstance(side, int) and side < least  # of a symbol nothing is known


def _check(holds: Any, words: str) -> None:
    """Raise ValueError unless it holds; of symbols that is seen when the program runs."""
    if not isinstance(holds, bool):
        torch._check(holds, lambda: words)
    elif not holds:
        raise ValueError(words)
