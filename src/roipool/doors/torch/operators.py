"""The forms registered with PyTorch's dispatcher, as PyTorch's own operators are.

No shorter way gives every derivative: `torch.library.register_autograd` has no forward mode and
fails inside `torch.func.grad`, and `torch.compile` doesn't trace an `autograd.Function` that has a
`jvp`, where it takes an operator as it is.
"""

from collections.abc import Sequence

import torch

from roipool.descriptions import OPERATORS, Operator
from roipool.doors.torch import batching, derivatives, devices, kernels
from roipool.doors.torch.forms import FORMS, OVERLOADS, Form, forms_of, forms_of_kernels

library = torch.library.Library("roipool", "DEF")
operators = torch.ops.roipool


def _register(forms: Sequence[Form]) -> None:
    for form in forms:
        library.define(form.schema, tags=(torch.Tag.pt2_compliant_tag,))
        name, _, overload = form.name.partition(".")
        FORMS[form.name] = form
        OVERLOADS[form.name] = getattr(getattr(operators, name), overload or "default")
    for form in forms:
        library.impl(form.name, kernels.cpu(form), "CPU")
        library.impl(form.name, devices.on_device(form), "CompositeExplicitAutograd")
        torch.library.register_fake(f"roipool::{form.name}", kernels.fake(form), lib=library)
        if form.out:
            continue  # neither derivatives nor vmap, as with PyTorch's own
        if not form.structure:
            library.impl(form.name, derivatives.kernel(form), "Autograd")
        if hasattr(torch.library, "register_vmap"):  # from PyTorch 2.5 on
            rule = batching.rule(form)
            torch.library.register_vmap(f"roipool::{form.name}", rule, lib=library)


def register(operator: Operator) -> None:
    """Let the dispatcher know an operator; no more than once."""
    if operator.name not in FORMS:
        _register(forms_of(operator))


_register(forms_of_kernels())
for _operator in OPERATORS.values():
    register(_operator)
