"""One small module per contender; a new one is a new file here and its name in OURS or PEERS.

A module is imported by a worker in the contender's own Python, beside NumPy 1.23 or later, with
the number of threads in the environment (OMP_NUM_THREADS ...) and in the case. It has

    ABOUT       its version, and what a reader of its times should know
    AGREES      "bits": its values must be roipool's bit for bit, those that are sums to rounding;
                "counted": differences are counted and shown; "": it has no values (the floors);
                or one of these by mode
    forward(case), train(case), backward(case), backward_rois(case)
                whichever it can do of the case's operator: does all that a user does once, and
                returns a function without arguments to be timed, which waits until its result is
                there: (values,), (values, gradient) for train, (gradient,) for the other two
    to_numpy(result)
                the result as NumPy arrays, untimed; only where they are something else

and raises UnsupportedError where it has no equal of the workload.
"""

import importlib.util
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

PEERS = ("mxnet", "torchvision", "onnxruntime", "openvino", "tensorflow")
OURS = ("roipool", "roipool_out", "roipool_torch", "roipool_jax")
FLOORS = ("fill_fresh", "fill_warm")
# Where the name isn't its own.
LIBRARIES = {"roipool_out": "roipool", "roipool_torch": "torch", "roipool_jax": "jax"}


class UnsupportedError(Exception):
    """The contender has no equal of this workload."""


@dataclass(frozen=True)
class Case:
    """The arrays of a workload, what to do with them, and the threads to use.

    Attributes:
        maps: Feature maps of each level.
        rois: Rows, whose images count through all levels'.
        grad: Of the values, where a derivative is asked for.
        result_shape: Of the pooled values.
        scales: Of each level.
        options: Of the operator, by its own names.
    """

    operator: str
    maps: list[np.ndarray]
    rois: np.ndarray
    grad: np.ndarray | None
    pooled_size: tuple[int, int]
    result_shape: tuple[int, ...]
    scales: list[float]
    options: dict[str, Any]
    image: tuple[int, int]
    threads: int

    @classmethod
    def load(cls, job: dict[str, Any]) -> "Case":
        folder = Path(job["folder"])
        maps = [np.load(folder / f"data_{level}.npy") for level in range(job["levels"])]
        if job["dtype"] == "bfloat16":
            import ml_dtypes

            maps = [data.view(ml_dtypes.bfloat16) for data in maps]
        if job["channels_last"]:
            maps = [data.transpose(0, 3, 1, 2) for data in maps]
        return cls(
            job["operator"],
            maps,
            rois=np.load(folder / "rois.npy"),
            grad=np.load(folder / "grad.npy") if job["mode"] != "forward" else None,
            pooled_size=tuple(job["pooled_size"]),
            result_shape=tuple(job["result_shape"]),
            scales=job["scales"],
            options=dict(job["options"]),
            image=tuple(job["image"]),
            threads=job["threads"],
        )

    @property
    def data(self) -> np.ndarray:
        """The feature maps, where there is one level."""
        if len(self.maps) > 1:
            raise UnsupportedError("no several levels in one call")
        return self.maps[0]

    @property
    def spatial_scale(self) -> float:
        return self.scales[0]

    def only(self, **known: Any) -> Any:
        """That of the known operators which is asked for."""
        if self.operator not in known:
            raise UnsupportedError(f"no {self.operator}")
        return known[self.operator]

    def refuse_modes(self) -> None:
        """For peers whose operator takes none but the usual."""
        if "mode" in self.options:
            raise UnsupportedError(f"no mode {self.options['mode']}")

    def refuse_all_but_plain_float32(self) -> None:
        """For peers: their regions have the features' dtype, where half types would move the bins,
        and they would first copy channels-last memory.
        """
        if self.maps[0].dtype != np.float32:
            raise UnsupportedError(f"no {self.maps[0].dtype} features")
        if not self.maps[0].flags.c_contiguous:
            raise UnsupportedError("no channels-last features")


def importable() -> list[str]:
    """Those of ours and the peers whose library the running Python has."""
    names = (*OURS, *PEERS)
    return [name for name in names if importlib.util.find_spec(LIBRARIES.get(name, name))]
