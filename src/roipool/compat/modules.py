"""What the incumbents' modules for PyTorch have in common."""

from collections.abc import Callable
from typing import Any, ClassVar

import torch
from torch import Tensor


class Pooling(torch.nn.Module):
    """A function of maps, boxes and further arguments, which are the module's attributes.

    Attributes:
        function: What pools.
        arguments: Their names, in the function's order.
    """

    function: ClassVar[Callable[..., Any]]
    arguments: ClassVar[tuple[str, ...]]

    def __init__(self, **arguments: Any) -> None:
        super().__init__()
        for name, value in arguments.items():
            setattr(self, name, value)

    def forward(self, input: Tensor, rois: Any) -> Any:
        """Pools boxes as the module's function does."""
        return self.function(input, rois, *(getattr(self, name) for name in self.arguments))

    def extra_repr(self) -> str:
        """The arguments."""
        return ", ".join(f"{name}={getattr(self, name)!r}" for name in self.arguments)
