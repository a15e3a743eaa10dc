"""The operators of PyTorch's dispatcher, registered kernel by kernel as PyTorch's own are.

    roi_pool(data, rois)                   values
    roi_pool_argmax(data, rois)            values and argmax, where a derivative may follow
    roi_pool_backward(grad, argmax, rois)  adds each gradient at its argmax
    roi_pool_gather(data, argmax, rois)    reads each value at its argmax
    roi_pool_out, roi_pool_backward_out    the same into the caller's memory, without derivatives

No shorter way gives every derivative: `torch.library.register_autograd` has no forward mode and
fails inside `torch.func.grad`, and `torch.compile` doesn't trace an `autograd.Function` that has a
`jvp`, where it takes an operator as it is.
"""

import torch

from roipool.doors.torch import batching, derivatives, kernels

_POOL = "Tensor data, Tensor rois, SymInt[2] pooled_size, float spatial_scale"
_BACKWARD = "Tensor grad, Tensor argmax, Tensor rois"
_SCHEMAS = {
    "roi_pool": f"({_POOL}) -> Tensor",
    "roi_pool_argmax": f"({_POOL}) -> (Tensor, Tensor)",
    "roi_pool_out": "(Tensor data, Tensor rois, float spatial_scale, Tensor(a!) values, "
    "Tensor(b!)? argmax) -> ()",
    "roi_pool_backward": f"({_BACKWARD}, SymInt[4] data_shape) -> Tensor",
    "roi_pool_backward_out": f"({_BACKWARD}, Tensor(a!) grad_data) -> ()",
    "roi_pool_gather": "(Tensor data, Tensor argmax, Tensor rois) -> Tensor",
}

library = torch.library.Library("roipool", "DEF")
for _name, _schema in _SCHEMAS.items():
    library.define(_name + _schema, tags=(torch.Tag.pt2_compliant_tag,))
    library.impl(_name, kernels.CPU[_name], "CPU")
    torch.library.register_fake(f"roipool::{_name}", kernels.FAKE[_name], lib=library)
    if _name.endswith("_out"):
        continue  # neither derivatives nor vmap, as with PyTorch's own
    library.impl(_name, derivatives.kernel(_name), "Autograd")
    if hasattr(torch.library, "register_vmap"):  # from PyTorch 2.5 on
        torch.library.register_vmap(f"roipool::{_name}", batching.RULES[_name], lib=library)

operators = torch.ops.roipool
