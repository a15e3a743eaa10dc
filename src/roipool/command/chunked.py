"""Pooling in chunks into .npy files: neither the features nor the result must fit in memory."""

import os
import re
import shutil
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from roipool.command.features import Features, InputError
from roipool.command.operators import Chosen, flag, joined
from roipool.command.outputs import resolved, size_in_words, whole_files
from roipool.command.regions import Regions, columns_of
from roipool.descriptions import OPERATORS, Operator, Rows
from roipool.doors import numpy as door
from roipool.rois import RowError

RESULT_BYTES = 32 << 20  # of one call's result: also how long Ctrl-C may have to wait
MAP_BYTES = 1 << 30  # of one call's features, or one channel's: the core may pack a quarter
COPIED_BYTES = 256 << 20  # the same, if their dtype must be changed
LANES = 64  # the most channels that the core packs side by side
LISTED = 1 << 20  # edges of bins, or pixels that they weigh, of the rows in one call


class Job(NamedTuple):
    """What is to be pooled, checked."""

    features: Features
    regions: Regions
    pooled_size: tuple[int, int]
    spatial_scale: float
    chosen: Chosen

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """The result's shape."""
        return len(self.regions.rows), self.channels, *self.pooled_size

    @property
    def channels(self) -> int:
        """Of the result; raises if there is no such number."""
        features, operator = self.features, self.chosen.operator
        channels = int(features.maps.shape[1])
        if not operator.position_sensitive:
            return channels
        try:
            size = self.chosen.call(self.pooled_size, self.spatial_scale).pooled_size
            return operator.channels(features.source, channels, size)
        except (TypeError, ValueError) as error:
            raise InputError(_in_the_users_words(str(error), self)) from None

    @property
    def planes(self) -> int:
        """Channels of the maps for each of the result: each bin may read one of its own."""
        bins = self.pooled_size[0] * self.pooled_size[1]
        return bins if self.chosen.operator.position_sensitive else 1

    @property
    def dtypes(self) -> tuple[np.dtype, np.dtype]:
        """The values' and the positions'. A photo's pixels become what the operator can take."""
        maps = self.features.maps
        wide = maps.shape[2] * maps.shape[3] >= 2**31
        taken = maps.dtype.name in self.chosen.operator.dtypes or not self.features.photos
        values = maps.dtype.newbyteorder("=") if taken else np.dtype(np.float32)
        return values, np.dtype(np.int64 if wide else np.int32)

    @property
    def rows_at_once(self) -> int:
        """As many as need no more memory than a call may take for what they become."""
        (rows, columns), (height, width) = self.pooled_size, map(int, self.features.maps.shape[2:])
        axes = {arg.axes for arg in self.chosen.operator.linear.inputs}
        if "S" in axes:
            listed = rows * columns + height * width
        elif "Y" in axes:
            listed = 2 * (rows + columns) + height + width
        else:
            listed = rows + columns
        if self.planes > 1:  # each bin has lists of its own
            listed *= max(rows, columns)
        return max(1, LISTED // max(listed, 1))


def check(job: Job) -> None:
    """Raise what the operator would, by the row's place in the user's file; read no feature."""
    no_channel = job.features.maps[:, :0].astype(job.dtypes[0])
    rows, start, operator = job.regions.rows, 0, job.chosen.operator
    try:
        call = job.chosen.call(job.pooled_size, job.spatial_scale)
        for start in range(0, max(len(rows), 1), job.rows_at_once):
            part = rows[start : start + job.rows_at_once]
            door.pool(operator, no_channel, part, call, False, None)
    except RowError as error:
        column = f", {columns_of(error.rows)[error.column]}" if error.column else ""
        place = job.regions.place(start + error.row)
        raise InputError(f"{place}{column} {_in_the_users_words(error.reason, job)}") from None
    except (TypeError, ValueError) as error:
        raise InputError(_in_the_users_words(str(error), job)) from None


def _in_the_users_words(reason: str, job: Job) -> str:
    """The library's arguments by the names that they have here."""
    words = {
        rf"\b{job.chosen.operator.rows.name}(?= has)": job.regions.source,
        r"\bdata(?= has| holds)": job.features.source,
        **{
            rf"\b{name}\b": flag(name)
            for name in ("pooled_size", "spatial_scale", *job.chosen.options)
        },
    }
    for word, own in words.items():
        reason = re.sub(word, own.replace("\\", r"\\"), reason)
    return reason


def pool_to_file(
    job: Job, paths: Sequence[Path], progress: Callable[[float], None] = lambda regions: None
) -> None:
    """Write the values, and to a second path the positions; all of a file or none of it.

    `progress` is told how many regions each step has added.
    """
    check_room(job, paths)
    check(job)
    with whole_files(paths, job.shape, job.dtypes[: len(paths)]) as targets:
        for region, channels in _pool_into(job, targets):
            progress(region * channels / max(job.channels, 1))


def _pool_into(job: Job, targets: Sequence[np.ndarray]) -> Iterator[tuple[int, int]]:
    maps, rows, planes = job.features.maps, job.regions.rows, job.planes
    plane = maps.shape[2] * maps.shape[3] * maps.itemsize
    bins = job.pooled_size[0] * job.pooled_size[1] * sum(t.itemsize for t in targets)
    copied = job.dtypes[0] != maps.dtype
    room = COPIED_BYTES if copied else MAP_BYTES
    most = max(room // max(plane, 1), planes)
    most -= most % LANES if most > LANES else 0
    step = max(1, min(most // planes, RESULT_BYTES // bins, job.channels))
    count = min(max(1, RESULT_BYTES // (bins * step)), job.rows_at_once)
    operator, positions = job.chosen.operator, len(targets) > 1
    call = job.chosen.call(job.pooled_size, job.spatial_scale)
    at_once = max(1, room // max(plane * maps.shape[1], 1))
    for images, listed in _by_images(rows, at_once, 1 + _down(operator.rows)):
        for channel in range(0, job.channels, step):
            read = slice(channel * planes, (channel + step) * planes)
            part = maps[images, read].astype(job.dtypes[0], copy=False)
            for start in range(0, len(listed), count):
                chosen = listed[start : start + count]
                local = rows[chosen]
                local[:, 0] -= np.where(local[:, 0] >= 0, images.start, 0).astype(local.dtype)
                results = door.pool(operator, part, local, call, positions, None)
                for target, result in zip(
                    targets, results if positions else (results,), strict=True
                ):
                    target[chosen, channel : channel + step] = result
                yield len(chosen), part.shape[1] // planes


def _down(rows: Rows) -> int:
    """Which number of a row tells best how far down a region lies."""
    return next((i for i, name in enumerate(rows.columns) if "y" in name), 0)


def _by_images(rows: np.ndarray, at_once: int, down: int) -> Iterator[tuple[slice, np.ndarray]]:
    """Runs of up to `at_once` images, and the rows in them from top to bottom.

    Rows near each other are pooled together, so that a large map is read in bands. Padding rows
    come with the first run.
    """
    order = np.lexsort((rows[:, down], rows[:, 0]))
    image = np.maximum(rows[order, 0], 0).astype(np.int64)
    begin = 0
    while begin < len(order):
        first = int(image[begin])
        end = int(np.searchsorted(image, first + at_once))
        yield slice(first, first + at_once), order[begin:end]
        begin = end


def refuse_positions(chosen: Chosen) -> None:
    """Raise if the operator finds none."""
    if not _finds_pixels(chosen.operator):
        finding = [name for name, each in OPERATORS.items() if _finds_pixels(each)]
        raise InputError(
            f"{chosen.operator.name} has no winning pixels, whose positions --argmax would write; "
            f"leave it out, or choose --operator {joined(finding, 'or')}"
        )


def _finds_pixels(operator: Operator) -> bool:
    return any(arg.dtype == "position" for arg in operator.forward.results)


def check_room(job: Job, paths: Sequence[Path]) -> None:
    """Raise unless every path can be written and the disk has room; touch nothing."""
    values = int(np.prod(job.shape, dtype=object))
    needed = sum(values * dtype.itemsize for _, dtype in zip(paths, job.dtypes, strict=False))
    for path in paths:
        folder = resolved(path).parent
        if path.is_dir():
            raise InputError(f"{path} is a folder; expected the name of a .npy file to write")
        if path.suffix.lower() != ".npy":
            raise InputError(f"the result is one .npy array; name it {path.stem or path}.npy")
        if not folder.is_dir():
            raise InputError(f"there is no folder {path.parent} to write {path.name} in; make it")
        if not os.access(folder, os.W_OK):
            raise InputError(f"the folder {path.parent} is not writable; choose another for {path}")
        free = shutil.disk_usage(folder).free
        if needed > free:
            raise InputError(
                f"{path} needs {size_in_words(needed)} for shape {job.shape}, but only "
                f"{size_in_words(free)} are free there; write elsewhere, or pool fewer regions"
            )


def summary(job: Job, paths: Sequence[Path]) -> str:
    """What was done, in one line."""
    maps, values = job.features.maps, job.dtypes[0]
    written = f"{paths[0]} {job.shape} {values}, {size_in_words(paths[0].stat().st_size)}"
    also = f"; positions: {paths[1]}" if len(paths) > 1 else ""
    count = len(job.regions.rows)
    regions = f"{count:,} region{'s' * (count != 1)}"
    left = f", {job.regions.skipped:,} of other images left out" if job.regions.skipped else ""
    scaled = job.chosen.operator.rows.scaled
    scale = f" at spatial scale {job.spatial_scale:g}" if scaled else ""
    return (
        f"{job.features.source} {maps.shape} {maps.dtype}, {job.chosen.title} of {regions}"
        f"{scale}{left} -> {written}{also}"
    )
