"""One region explained: what becomes of its corners, what its bins read, and what they give.

Nothing is computed here that the operator does not use: steps come from `geometry`, values from the
operator. `picture` and `sketch` draw what this module finds.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from roipool import geometry, native
from roipool.command import sampling, winners
from roipool.command.chunked import Job, check
from roipool.command.explanation import Explanation, Pooled
from roipool.command.features import Features, InputError
from roipool.command.operators import DEFAULT, Chosen, choose
from roipool.command.regions import Regions
from roipool.doors import numpy as door

PHOTO_CHANNELS = ("red", "green", "blue")
MOST_BINS = 1024  # that anyone can tell apart
EXPLAINED: dict[str, Callable[[Pooled], Explanation]] = {
    "roi_pool": winners.explained,
    "roi_align": sampling.explained,
}


def explain(
    features: Features,
    roi: tuple[float, float, float, float, float],
    pooled_size: tuple[int, int],
    spatial_scale: float,
    channel: int = 0,
    chosen: Chosen | None = None,
    asked: tuple[int, int] | None = None,
) -> Explanation:
    """Pool one region of one channel, and keep what led there.

    By the default, unless another operator is `chosen`. Of all bins one may be `asked` for.
    """
    chosen = choose(DEFAULT) if chosen is None else chosen
    operator = chosen.operator
    row = np.array([roi], np.float64)
    regions = Regions(row, "--roi", lambda k: "--roi")
    job = Job(features, regions, pooled_size, spatial_scale, chosen)
    _refuse(job, channel, asked)
    check(job)
    image = int(roi[0])
    one = features.maps[image : image + 1, channel : channel + 1]
    taken = one.astype(job.dtypes[0], copy=False)
    row[0, 0] = 0
    call = chosen.call(pooled_size, spatial_scale)
    results = door.pool(operator, taken, row, call, bool(operator.saved), None)
    values, argmax = (*results, None)[:2] if operator.saved else (results, None)
    maps = geometry.maps_of([one.shape], call.scales)
    found, _ = native.structure(operator, row, maps, taken.dtype.name, call)
    position = None if argmax is None else argmax[0, 0]
    known = {**_map_of(features, image, channel), "operator": chosen.title, "asked": asked}
    known["values"] = values[0, 0]
    return EXPLAINED[operator.name](
        Pooled(row, maps, taken.dtype, found, chosen.options, position, spatial_scale, known)
    )


def _map_of(features: Features, image: int, channel: int) -> dict[str, Any]:
    photos, plane = features.photos, features.maps[image, channel]
    which = f"{PHOTO_CHANNELS[channel]} channel" if photos else f"channel {channel}"
    return {
        "plane": plane,
        "photo": features.maps[image].transpose(1, 2, 0) if photos else None,
        "source": f"{features.name_of(image)}, {which}",
    }


def _refuse(job: Job, channel: int, asked: tuple[int, int] | None) -> None:
    name, channels = job.chosen.operator.name, job.features.maps.shape[1]
    index, (rows, columns) = job.regions.rows[0, 0], job.pooled_size
    if name not in EXPLAINED:
        raise InputError(f"{name} cannot be explained yet; {' and '.join(EXPLAINED)} can")
    if not 0 <= channel < channels:
        raise InputError(
            f"--channel is {channel}, but {job.features.source} has {channels} channels "
            f"(0 to {channels - 1})"
        )
    if index < 0:
        raise InputError(
            f"--roi has the negative batch index {index:g}: a padding row, which pools nothing; "
            "give the image's index, counted from 0"
        )
    if rows * columns > MOST_BINS:
        raise InputError(
            f"--pooled-size is {job.pooled_size}, {rows * columns:,} bins; at most {MOST_BINS:,} "
            "can be shown: choose fewer"
        )
    if asked is not None and not (0 <= asked[0] < rows and 0 <= asked[1] < columns):
        raise InputError(
            f"--bin is {asked[0]} {asked[1]}, but bins are 0 0 to {rows - 1} {columns - 1}"
        )
