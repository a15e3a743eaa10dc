"""One region explained: what becomes of its ends, what its bins read, and what they give.

Nothing is computed here that the operator does not use: steps come from `geometry`, values from the
operator. `picture` and `sketch` draw what `explanations` find.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from roipool import geometry, native
from roipool.command.chunked import Job, check
from roipool.command.explanation import Explanation, Planes, Pooled
from roipool.command.explanations import EXPLAINED
from roipool.command.features import Features, InputError
from roipool.command.operators import DEFAULT, Chosen, choose, joined
from roipool.command.regions import Regions, columns_of
from roipool.command.words import plain
from roipool.doors import numpy as door

PHOTO_CHANNELS = ("red", "green", "blue")
MOST_BINS = 1024  # that anyone can tell apart


def explain(
    features: Features,
    roi: Sequence[float],
    pooled_size: tuple[int, int],
    spatial_scale: float,
    channel: int = 0,
    chosen: Chosen | None = None,
    asked: tuple[int, int] | None = None,
) -> Explanation:
    """Pool one region into one channel, and keep what led there.

    By the default, unless another operator is `chosen`. Of all bins one may be `asked` for.
    """
    chosen = choose(DEFAULT) if chosen is None else chosen
    operator = chosen.operator
    row = _row(roi, chosen)
    job = Job(
        features, Regions(row, "--roi", lambda k: "--roi"), pooled_size, spatial_scale, chosen
    )
    _refuse(job, channel, asked)
    check(job)
    image = int(row[0, 0])
    read = np.arange(channel * job.planes, (channel + 1) * job.planes)
    one = features.maps[image : image + 1, read[0] : read[-1] + 1]
    taken = one.astype(job.dtypes[0], copy=False)
    row[0, 0] = 0
    call = chosen.call(pooled_size, spatial_scale)
    results = door.pool(operator, taken, row, call, bool(operator.saved), None)
    values, argmax = (*results, None)[:2] if operator.saved else (results, None)
    maps = geometry.maps_of([one.shape], call.scales)
    found, _ = native.structure(operator, row, maps, taken.dtype.name, call)
    known = {**_map_of(job, image, read, asked), "operator": chosen.title, "asked": asked}
    known["values"] = values[0, 0]
    position = None if argmax is None else argmax[0, 0]
    scale = spatial_scale if operator.rows.scaled else None
    return EXPLAINED[operator.name](
        Pooled(row, maps, taken.dtype, found, chosen.options, position, scale, known)
    )


def _row(roi: Sequence[float], chosen: Chosen) -> np.ndarray:
    rows = chosen.operator.rows
    if len(roi) != rows.width:
        raise InputError(
            f"--roi has {len(roi)} numbers, but {chosen.operator.name} takes {rows.width}: "
            f"{', '.join(columns_of(rows))}"
        )
    return np.array([roi], np.float64)


def _map_of(
    job: Job, image: int, read: np.ndarray, asked: tuple[int, int] | None
) -> dict[str, Any]:
    """What is drawn beneath a region: a channel, or of each bin one."""
    features, size = job.features, job.pooled_size
    planes, first = None, read[0]
    if job.chosen.operator.position_sensitive:
        channel = read.reshape(size)
        maps = features.maps[image, read[0] : read[-1] + 1]
        planes = Planes(channel, maps.reshape(*size, *maps.shape[1:]))
        first = channel[asked or (0, 0)]
    photos = features.photos and planes is None
    which = f"{PHOTO_CHANNELS[first]} channel" if features.photos else f"channel {first}"
    if planes is not None and asked is None:
        which = f"channels {read[0]} to {read[-1]}"
    return {
        "plane": features.maps[image, first],
        "planes": planes,
        "photo": features.maps[image].transpose(1, 2, 0) if photos else None,
        "source": plain(f"{features.name_of(image)}, {which}"),
    }


def _refuse(job: Job, channel: int, asked: tuple[int, int] | None) -> None:
    name = job.chosen.operator.name
    index, (rows, columns) = job.regions.rows[0, 0], job.pooled_size
    if name not in EXPLAINED:
        raise InputError(f"{name} cannot be explained yet; {joined([*EXPLAINED], 'and')} can")
    if not 0 <= channel < job.channels:
        raise InputError(
            f"--channel is {channel}, but {_having(job)} {job.channels} channels "
            f"(0 to {job.channels - 1})"
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


def _having(job: Job) -> str:
    if job.planes == 1:
        return f"{job.features.source} has"
    return f"the result of {job.features.source} has"
