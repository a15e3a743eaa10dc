"""One small module per contender; a new one is a new file here and its name in OURS or PEERS.

A module is imported by a worker in the contender's own Python, beside NumPy 1.23 or later, with
the number of threads in the environment (OMP_NUM_THREADS ...) and in the case. It has

    ABOUT       its version, and what a reader of its times should know
    AGREES      "bits": its values must be roipool's bit for bit; "counted": differences are
                counted and shown; "": it has no values (the floors)
    forward(case), train(case), backward(case)
                whichever it can do: does all that a user does once, and returns a function
                without arguments to be timed, which waits until its result is there: (values,),
                (values, gradient) for train, (gradient,) for backward
    to_numpy(result)
                the result as NumPy arrays, untimed; only where they are something else

and raises UnsupportedError where it has no equal of the workload.
"""

import importlib.util
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

PEERS = ("mxnet", "torchvision", "onnxruntime", "openvino")
OURS = ("roipool", "roipool_out", "roipool_torch", "roipool_jax")
FLOORS = ("fill_fresh", "fill_warm")
# Where the name isn't its own.
LIBRARIES = {"roipool_out": "roipool", "roipool_torch": "torch", "roipool_jax": "jax"}


class UnsupportedError(Exception):
    """The contender has no equal of this workload."""


@dataclass(frozen=True)
class Case:
    """The arrays of a workload, and the threads to use."""

    data: np.ndarray
    rois: np.ndarray
    grad: np.ndarray | None
    pooled_size: tuple[int, int]
    spatial_scale: float
    threads: int

    @classmethod
    def load(cls, job: dict[str, Any]) -> "Case":
        folder = Path(job["folder"])
        data = np.load(folder / "data.npy")
        if job["dtype"] == "bfloat16":
            import ml_dtypes

            data = data.view(ml_dtypes.bfloat16)
        if job["channels_last"]:
            data = data.transpose(0, 3, 1, 2)
        return cls(
            data,
            rois=np.load(folder / "rois.npy"),
            grad=np.load(folder / "grad.npy") if job["mode"] != "forward" else None,
            pooled_size=tuple(job["pooled_size"]),
            spatial_scale=job["spatial_scale"],
            threads=job["threads"],
        )

    @property
    def result_shape(self) -> tuple[int, ...]:
        return (len(self.rois), self.data.shape[1], *self.pooled_size)

    def refuse_all_but_plain_float32(self) -> None:
        """For peers: their regions have the features' dtype, where half types would move the bins,
        and they would first copy channels-last memory.
        """
        if self.data.dtype != np.float32:
            raise UnsupportedError(f"no {self.data.dtype} features")
        if not self.data.flags.c_contiguous:
            raise UnsupportedError("no channels-last features")


def importable() -> list[str]:
    """Those of ours and the peers whose library the running Python has."""
    names = (*OURS, *PEERS)
    return [name for name in names if importlib.util.find_spec(LIBRARIES.get(name, name))]
