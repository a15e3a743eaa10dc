"""An operator of known parts, described after the doors are loaded: each must take it."""

from contextlib import contextmanager

from roipool import geometry
from roipool.descriptions import OPERATORS, Operator, Option, described


def _taps(xp, rois, extent, size, dtype, aligned, **more):
    how = {"sampling_ratio": 1, "aligned": aligned}
    return geometry.align_taps(xp, rois, extent, size, dtype, **how, **more)


@contextmanager
def centre():
    """One sample in the middle of each bin: roi_align with a sampling_ratio of 1."""
    known = OPERATORS["roi_align"]
    node = known.onnx._replace(
        attributes=lambda call: known.onnx.attributes(call._replace(more=(1, *call.more))),
        fails_reversed=lambda call: False,
    )
    options = (Option("aligned", "bool", bool),)
    try:
        yield described(
            Operator(
                "centre",
                "taps_read",
                _taps,
                known.dtypes,
                options=options,
                moves=known.moves,
                onnx=node,
            )
        )
    finally:
        del OPERATORS["centre"]
