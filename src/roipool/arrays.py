"""What a type checker is told: arrays give arrays of their own kind."""

from collections.abc import Sequence
from typing import Any, Protocol, TypeVar


class HasShape(Protocol):
    """An array of any library."""

    @property
    def shape(self) -> Any:
        """Its sizes."""

    @property
    def dtype(self) -> Any:
        """Of its elements."""


class GraphValue(Protocol):
    """A value of one of spox's graphs."""

    def unwrap_tensor(self) -> Any:
        """Its shape and dtype."""


Array = TypeVar("Array", bound=HasShape | GraphValue)

Nested = Sequence[float] | Sequence["Nested"]  # lists of numbers, which become NumPy arrays

Scale = float | Sequence[float] | Sequence[tuple[float, float]]
"""One number, two along y and x, or one or two for each array of maps."""
