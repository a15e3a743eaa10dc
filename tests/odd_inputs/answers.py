"""The right answer to a case: the values of roipool.reference, or that it is an error."""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from odd_inputs.calls import Call, rows_of
from odd_inputs.cases import ERROR, INTEGERS, ROW, SIZES, Case
from roipool import reference

# A pyramid of two levels: both are met by the ordinary regions.
LEVELS, CANONICAL_SIZE, CANONICAL_LEVEL = (2, 3), 25, 3


class Definition(NamedTuple):
    """The loops of an operator.

    Attributes:
        loops: Values of a call and its rows.
        form: Of the rows: see `rows_of`.
        largest: Whether it is the maximum over pixels, which takes every dtype.
    """

    loops: Callable[[Call, np.ndarray], np.ndarray]
    form: str = "corners"
    largest: bool = False


def _by(name: str, *how: Any, sampled: bool = False, first: bool = False) -> Any:
    """Loops by their name in the reference; of several results the first."""

    def loops(call: Call, rows: np.ndarray) -> np.ndarray:
        ratio = (call.sampling_ratio,) if sampled else ()
        given = call.data, rows, call.pooled_size, call.scale
        found = getattr(reference, name)(*given, *ratio, *how)
        return found[0] if first else found

    return loops


def _crop(call: Call, rows: np.ndarray) -> np.ndarray:
    return reference.crop_and_resize(call.data, rows, call.pooled_size, "bilinear", 0.0)


def _multi_scale(call: Call, rows: np.ndarray) -> np.ndarray:
    level = np.array(reference.assign_levels(rows, LEVELS, CANONICAL_SIZE, CANONICAL_LEVEL), int)
    values = [
        reference.roi_align(
            data, rows, call.pooled_size, call.scale / 2**i, call.sampling_ratio, True
        )
        for i, data in enumerate(levels_of(call.data))
    ]
    return np.where((level == LEVELS[0])[:, None, None, None], *values)


def levels_of(data: np.ndarray) -> list[np.ndarray]:
    """The maps, and those of half their sides."""
    return [data, data[..., ::2, ::2]]


DEFINITIONS = {
    "roi_pool": Definition(_by("roi_pool", first=True), largest=True),
    "roi_pool avg": Definition(_by("roi_pool_average")),
    "roi_align": Definition(_by("roi_align", True, sampled=True)),
    "roi_align max": Definition(_by("roi_align_max", True, False, sampled=True, first=True)),
    "roi_align onnx_max": Definition(_by("roi_align_max", True, True, sampled=True, first=True)),
    "ps_roi_pool": Definition(_by("ps_roi_pool", "rfcn")),
    "ps_roi_pool torchvision": Definition(_by("ps_roi_pool", "torchvision")),
    "ps_roi_align": Definition(_by("ps_roi_align", sampled=True)),
    "prroi_pool": Definition(_by("prroi_pool")),
    "roi_align_rotated": Definition(_by("roi_align_rotated", True, False, sampled=True), "turned"),
    "crop_and_resize": Definition(_crop, "shares"),
    "multi_scale": Definition(_multi_scale),
}


def is_error(
    case: Case, operator: str, looks: bool = True, averages_integers: bool = False
) -> bool:
    """Whether an error is right, of who can look at rows, and of who averages integers."""
    known = DEFINITIONS[operator]
    if case.right == INTEGERS:
        return not (known.largest or averages_integers)
    by_row = case.right == ROW or (case.right == SIZES and known.form == "turned")
    return case.right == ERROR or (by_row and looks)


@functools.cache
def values(case_name: str, operator: str) -> np.ndarray:
    """Those of the definition, in which a row that is no region gives zeros."""
    from odd_inputs.cases import BY_NAME

    return _computed(operator, BY_NAME[case_name].small_call())


def _computed(operator: str, call: Call) -> np.ndarray:
    loops, form, largest = DEFINITIONS[operator]
    if call.data.dtype.kind in "iu" and not largest:
        call = Call(**{**vars(call), "data": call.data.astype(np.float32)})
    with np.errstate(all="ignore"):
        return loops(call, call.reform(rows_of(form, call)))


def other_values(case: Case, operator: str) -> np.ndarray | None:
    """Those of another convention that somebody may follow in this case."""
    if case.other == "strings are numbers":
        return _computed(operator, Call())
    if case.other == "end of the list":
        known = values(case.name, operator)
        rest = np.flatnonzero(case.call().rois[:, 0] < 0)[0]
        return np.where(np.arange(len(known))[:, None, None, None] < rest, known, 0)
    if case.other == "NaN is the largest" and DEFINITIONS[operator].largest:
        call = case.call()
        data = np.where(np.isnan(call.data), np.inf, call.data)
        found = _computed(operator, Call(**{**vars(call), "data": data}))
        return np.where(np.isinf(found), np.nan, found)
    return None
