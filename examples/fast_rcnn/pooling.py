"""Which operator pools, and how long it takes."""

import importlib
import time
from collections.abc import Callable
from enum import StrEnum
from typing import Any

from torch import Tensor

RoIPool = Callable[[Tensor, Tensor, tuple[int, int], float], Tensor]


class RoIOp(StrEnum):
    """The libraries that have a `roi_pool(data, rois, pooled_size, spatial_scale)`."""

    ROIPOOL = "roipool"
    TORCHVISION = "torchvision"

    def load(self) -> RoIPool:
        """The operator; ModuleNotFoundError where its library isn't installed."""
        module = "torchvision.ops" if self is RoIOp.TORCHVISION else "roipool"
        operator: RoIPool = importlib.import_module(module).roi_pool
        return operator


class Timed:
    """An operator that adds up the seconds of its forward and of its node of the backward.

    On the processor both have ended when they return, so that the clock needs no waiting; whatever
    else happens in a step lies outside.
    """

    def __init__(self, roi_pool: RoIPool) -> None:
        """Time this operator."""
        self.roi_pool = roi_pool
        self.seconds = 0.0
        self._started = 0.0

    def __call__(
        self, data: Tensor, rois: Tensor, pooled_size: tuple[int, int], spatial_scale: float
    ) -> Tensor:
        """What the operator returns."""
        self._start()
        pooled = self.roi_pool(data, rois, pooled_size, spatial_scale)
        self._stop()
        if pooled.grad_fn is not None:
            pooled.grad_fn.register_prehook(self._start)
            pooled.grad_fn.register_hook(self._stop)
        return pooled

    def _start(self, *_: Any) -> None:
        self._started = time.perf_counter()

    def _stop(self, *_: Any) -> None:
        self.seconds += time.perf_counter() - self._started
