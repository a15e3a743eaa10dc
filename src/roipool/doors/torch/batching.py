"""torch.vmap of the forms: one call, on the images, regions and taps of all examples.

Those of an example follow those of the example before, so what counts along them grows by as many;
of several arrays of maps each is joined by itself. Padding rows stay padding rows and errors stay
errors; they name the row and the batch index as counted over all examples.
"""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from roipool.doors.torch.forms import OVERLOADS, Form, each
from roipool.kernels import Arg


def rule(form: Form) -> Callable[..., Any]:
    """What vmap does for a form."""
    overload, count = OVERLOADS[form.name], len(form.inputs)

    def call(info: Any, dims: Sequence[Any], *values: Any) -> Any:
        examples = _Examples(form, info.batch_size, dims[:count], values)
        results = overload(*examples.arrays(), *examples.static())
        if len(form.results) == 1:
            parts = examples.parts(form.results[0], results)
            return parts, [0] * len(parts) if isinstance(parts, list) else 0
        examples.lengths = {a.axes[0]: len(t) for a, t in zip(form.results, results, strict=True)}
        parted = tuple(map(examples.parts, form.results, results))
        return parted, (0,) * len(parted)

    return call


class _Examples:
    """A form's call for so many examples.

    Attributes:
        own: The letters of which each has its own. Images that all share stay as they are, and so
            do the indices of them; regions are repeated, and with them what they list, each entry
            of which is one region's.
    """

    def __init__(self, form: Form, count: int, dims: Sequence[Any], values: Sequence[Any]) -> None:
        self.form, self.count = form, count
        self.joined: dict[str, Any] = {}
        self.lengths: dict[str, int] = {}  # of the results, by letter
        self.values = dict(zip(form.names, values, strict=True))
        self.dims = {arg.name: dim for arg, dim in zip(form.inputs, dims, strict=True)}
        self.own = {"K", *form.kernel.lists, *(arg.axes[0] for arg in form.results)}
        for arg in form.inputs:
            if any(dim is not None for dim in each(self.dims[arg.name])):
                self.own.add(arg.axes[0])

    def arrays(self) -> list[Any]:
        """The tensors of all examples together."""
        self.joined = {arg.name: self._joined(arg) for arg in self.form.inputs}
        return [self._counted(arg, self.joined[arg.name]) for arg in self.form.inputs]

    def static(self) -> list[Any]:
        """What else goes in, of all examples together."""
        values = {name: self.values[name] for name in self.form.static}
        if "N" in self.own and "data_shape" in values:
            sides = enumerate(values["data_shape"])
            values["data_shape"] = [n if i % 4 else n * self.count for i, n in sides]
        return list(values.values())

    def parts(self, arg: Arg, joined: Any) -> Any:
        """A result of all examples together, an example for each row."""
        if isinstance(joined, list):
            return [self.parts(arg, maps) for maps in joined]
        if arg.along in self.own:  # taps, of which as many are each example's
            joined = joined - self._example(joined) * (self.lengths[arg.along] // self.count)
        return joined.unflatten(0, (self.count, joined.shape[0] // self.count))

    def _joined(self, arg: Arg) -> Any:
        value, dims = self.values[arg.name], self.dims[arg.name]
        if arg.axes[0] not in self.own:
            return value
        if isinstance(value, (list, tuple)):
            return [self._flat(maps, dim) for maps, dim in zip(value, dims, strict=True)]
        return self._flat(value, dims)

    def _flat(self, value: Tensor, dim: int | None) -> Tensor:
        value = value.expand(self.count, *value.shape) if dim is None else value.movedim(dim, 0)
        return value.flatten(0, 1)

    def _counted(self, arg: Arg, joined: Any) -> Any:
        """What counts along axes that each example has its own of."""
        if arg.along not in self.own:
            return joined
        if arg.name == "rois":
            # float64 counts any number of images; but of float64 data it would be another F.
            double = each(self.joined.get("data", self.joined.get("pooled")))[0].dtype
            both = torch.promote_types(joined.dtype, torch.float32)
            rows = joined.to(both if double == torch.float64 else torch.float64)
            return torch.cat([self._images(rows[:, :1]), rows[:, 1:]], dim=1)
        if arg.along == "N":
            return self._images(joined)
        taps = next(a for a in self.form.inputs if a.axes[0] == arg.along)
        return joined + self._example(joined) * (len(self.joined[taps.name]) // self.count)

    def _images(self, index: Tensor) -> Tensor:
        """Of all examples; an index that is too large is too large for all of them."""
        example, step, before = self._example(index), torch.zeros_like(index), 0
        for images in self._images_of_arrays():
            there = (self.count - 1) * before + example * images
            step = torch.where(index >= before, there, step)
            before += images
        step = torch.where(index < before, step, self.count * before)
        return torch.where(index >= 0, index + step, index)

    def _images_of_arrays(self) -> list[int]:
        if "data" in self.joined:
            return [len(maps) // self.count for maps in each(self.joined["data"])]
        return list(self.values["data_shape"][::4])

    def _example(self, joined: Tensor) -> Tensor:
        """Which one each row is of, for tensors of as many axes."""
        rows = torch.arange(self.count, dtype=torch.int32, device=joined.device)
        rows = rows.repeat_interleave(joined.shape[0] // self.count)
        return rows.reshape(-1, *[1] * (joined.ndim - 1))
