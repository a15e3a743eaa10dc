"""Derivatives of the forms: kernels that stand before all others in the dispatcher.

A form is linear in its first input, or becomes so once what it found is saved; a kernel is linear
in each of several. The derivative for one of them is the form that gives it from the others, so
that every derivative, of either mode and any order, is a call of another form.

For regions it is zero where values do not move with them. Where they do, a form gives it. The
derivatives of that, and all in forward mode, come of the structure's weights, made differentiable,
and the kernel that is called with those.
"""

import functools
import itertools
import operator
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch._functorch.utils import enable_single_level_autograd_function
from torch.autograd import forward_ad
from torch.autograd.function import _SingleLevelFunction

from roipool.doors.torch.forms import FORMS, OVERLOADS, ROIS, Form, called, each
from roipool.doors.torch.kernels import Known
from roipool.doors.torch.moving import gradient_of_rois, through_weights


def is_differentiated(value: Any) -> bool:
    """Whether a derivative of either mode may follow."""
    if not isinstance(value, Tensor):
        return isinstance(value, list) and any(map(is_differentiated, value))
    return _needs_gradient(value) or _has_tangent(value)


def _needs_gradient(value: Tensor) -> bool:
    return value.requires_grad and torch.is_grad_enabled()


def _has_tangent(value: Tensor) -> bool:
    # Of forward_ad itself, which looks first for modes and levels, and at a fifth of its cost; and
    # it doesn't know of the level that a compiled graph enters.
    return torch._unpack_dual(value, level=0)[1] is not None


def kernel(form: Form) -> Callable[..., Any]:
    """What autograd does for a form; only where it is asked to is anything kept."""
    overload, count = OVERLOADS[form.name], len(form.inputs)
    names = [arg.name for arg in form.inputs]
    moves = form.of_rois or ROIS.name in form.transposes
    looks = dict.fromkeys(names if form.of_rois else form.transposes, is_differentiated)
    if not moves:  # a tangent of regions need not be looked for
        looks[ROIS.name] = _needs_gradient
    differentiable = [(i, name, looks[name]) for i, name in enumerate(names) if name in looks]

    def call(*values: Any) -> Any:
        wanted = [name for i, name, wants in differentiable if wants(values[i])]
        if not wanted:
            with torch._C._AutoDispatchBelowAutograd():
                return overload(*values)
        if form.of_rois:
            return gradient_of_rois(form, form.known(values))
        if moves and _has_tangent(values[names.index(ROIS.name)]):
            return through_weights(form, form.known(values))
        tensors = [tensor for value in values[:count] for tensor in each(value)]
        with enable_single_level_autograd_function():
            results: Any = _Linear.apply(  # type: ignore[attr-defined]
                FORMS[form.saving], wanted, values[count:], *tensors
            )
        if form.several and form.results[0].axes == "NCHW":
            return list(results)
        return results[0] if len(form.results) == 1 else results

    return call


class _Linear(_SingleLevelFunction):
    """A form that is linear in the inputs that have transposes, once what it finds is known.

    Feature maps go in and come out one by one: autograd looks into no list.
    """

    @staticmethod
    def forward(form: Form, wanted: Sequence[str], static: Sequence[Any], *tensors: Any) -> Any:
        arrays = _named(form, tensors).values() if form.several else tensors
        # A Function switches both modes off; outer levels of torch.func's transforms need them.
        modes = torch.enable_grad(), forward_ad._set_fwd_grad_enabled(True)
        with modes[0], modes[1], torch._C._AutoDispatchBelowAutograd():
            return tuple(each(OVERLOADS[form.name](*arrays, *static)))

    @staticmethod
    def setup_context(ctx: Any, inputs: Any, output: Any) -> None:
        form, wanted, static, *tensors = inputs
        known = _named(form, tensors)
        ctx.form, ctx.linear = form, FORMS[form.linear]
        ctx.static = dict(zip(form.static, static, strict=True))
        if form.operator and form.operator.fill in ctx.static:
            ctx.static[form.operator.fill] = 0.0  # a constant: of derivatives there is none
        if "data" in known:
            ctx.static["data_shape"] = [side for maps in known["data"] for side in maps.shape]
        if "pooled" in known:
            ctx.static["pooled_size"] = known["pooled"].shape[2:]
        ctx.results = [(result.shape, result.dtype) for result in output]
        if len(form.results) > 1:  # what was found
            for arg, found in zip(form.results, output, strict=True):
                known[arg.name] = found
        # Of the only factor that is asked for the value is not needed.
        linear = [name for name in ctx.linear.transposes if name != ROIS.name]
        factors = linear if len(linear) == 1 else wanted
        moved = ROIS.name in wanted and ROIS.name in ctx.linear.transposes
        only = factors if len(factors) == 1 and not moved else ()
        ctx.saved = [arg.name for arg in ctx.linear.inputs if arg.name not in only]
        saved = [tensor for name in ctx.saved for tensor in each(known[name])]
        ctx.save_for_backward(*saved)
        ctx.save_for_forward(*saved)
        ctx.set_materialize_grads(False)

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> Any:
        known, result = _known_again(ctx), ctx.linear.results[0]
        several = result.axes == "NCHW"
        cotangents: Sequence[Any] = grads if several else grads[:1]
        missing = sum([grad is None for grad in cotangents])
        given = missing < len(cotangents)
        if missing or several:
            cotangents = _filled(ctx, cotangents, ctx.results, known)
        known[result.name] = cotangents if several else cotangents[0]
        needed = ctx.needs_input_grad[3:]
        gradients: list[Any] = []
        for arg in ctx.form.inputs:
            length = len(needed) - len(ctx.form.inputs) + 1 if arg.name == "data" else 1
            asked = True in needed[len(gradients) : len(gradients) + length]
            if asked and given and arg.name in ctx.linear.transposes:
                gradients += each(called(ctx.linear.transposes[arg.name], known))
            elif asked and arg.name == ROIS.name:
                gradients.append(torch.zeros_like(known["rois"]))
            else:
                gradients += [None] * length
        return None, None, None, *gradients

    @staticmethod
    def jvp(ctx: Any, _form: None, _wanted: None, _static: None, *tangents: Any) -> Any:
        # Forward mode is on for outer levels of torch.func's transforms; on this one, not again.
        with forward_ad._set_fwd_grad_enabled(True):
            known = {name: _primal(value) for name, value in _known_again(ctx).items()}
            terms: list[Sequence[Any]] = []
            for name, tangent in _named(ctx.form, tangents).items():
                if name not in ctx.linear.transposes or all(t is None for t in each(tangent)):
                    continue
                if name == "data":
                    tangent = _filled(ctx, tangent, _maps(ctx, tangent), known)
                terms.append(each(called(ctx.linear.name, known | {name: tangent})))
            count = len(ctx.results) if ctx.linear.results[0].axes == "NCHW" else 1
            if not terms:  # the regions alone have a tangent
                terms = [_filled(ctx, [None] * count, ctx.results, known)]
            total = [functools.reduce(operator.add, parts) for parts in zip(*terms, strict=True)]
        return *total, *[None] * (len(ctx.results) - count)


def _primal(value: Any) -> Any:
    if isinstance(value, list) and value and isinstance(value[0], Tensor):
        return list(map(_primal, value))
    return forward_ad.unpack_dual(value, level=0).primal if isinstance(value, Tensor) else value


def _named(form: Form, tensors: Sequence[Any]) -> Known:
    """Tensors by the names of the form's inputs, feature maps again in a list."""
    left, maps = iter(tensors), 1 + len(tensors) - len(form.inputs)
    return {
        arg.name: [*itertools.islice(left, maps)] if arg.name == "data" else next(left)
        for arg in form.inputs
    }


def _known_again(ctx: Any) -> Known:
    """What was saved, by name. Asked for once: torch.utils.checkpoint allows no second look."""
    tensors, known = ctx.saved_tensors, dict(ctx.static)
    if "data" not in ctx.saved:
        known.update(zip(ctx.saved, tensors, strict=True))
        return known
    left, maps = iter(tensors), len(known["data_shape"]) // 4
    for name in ctx.saved:
        known[name] = [*itertools.islice(left, maps)] if name == "data" else next(left)
    return known


def _maps(ctx: Any, tangents: Sequence[Any]) -> list[tuple[Sequence[int], torch.dtype]]:
    """The shape and dtype of each array of feature maps."""
    dtype = next(tangent.dtype for tangent in tangents if tangent is not None)
    sides = ctx.static["data_shape"]
    return [(sides[i : i + 4], dtype) for i in range(0, len(sides), 4)]


def _filled(ctx: Any, given: Sequence[Any], looks: Sequence[Any], known: Known) -> list[Any]:
    """Zeros, of its shape and dtype, for each that is not given."""
    like = known[ctx.saved[-1]]
    return [
        like.new_zeros(shape, dtype=dtype) if tensor is None else tensor
        for tensor, (shape, dtype) in zip(given, looks, strict=False)
    ]
