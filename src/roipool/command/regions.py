"""ROIS of the command: a .npy, .csv or COCO file as rows of an operator."""

import csv
import json
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple, TextIO

import numpy as np

from roipool.command.features import ARRAYS, Features, InputError, load_array, refuse_missing
from roipool.descriptions import CORNERS, Rows

INDEX = "batch_index"
NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?|[+-]?(inf|infinity|nan)", re.ASCII | re.I)


class Regions(NamedTuple):
    """Regions, and how to speak of them.

    Attributes:
        rows: (K, 5), or as many numbers as the operator's have, of any dtype: it says what is
            wrong with them.
        source: The name to use in messages.
        place: Where row k stands in the user's file, in words.
        skipped: How many annotations belong to images that are not pooled.
    """

    rows: np.ndarray
    source: str
    place: Callable[[int], str]
    skipped: int = 0


def columns_of(rows: Rows) -> tuple[str, ...]:
    """The numbers of a row by the names that files have for them."""
    return (INDEX, *(name.replace(" ", "_") for name in rows.columns))


def read_regions(path: Path, features: Features, of: Rows = CORNERS) -> Regions:
    """ROIS, by the ending of the file's name."""
    kind = path.suffix.lower()
    columns = columns_of(of)
    refuse_missing(path)
    if kind in ARRAYS:
        rows = np.asarray(load_array(path, of.name))
        if rows.ndim != 2 or rows.shape[1] != of.width:
            raise InputError(
                f"{path} has shape {rows.shape}; expected (K, {of.width}): rows of "
                f"{', '.join(columns)}"
            )
        if rows.dtype == np.float16:
            rows = rows.astype(np.float32)  # exact, and no sum of indices can round
        return Regions(rows, str(path), lambda k: f"{path}, row {k} (from 0)")
    if kind not in (".csv", ".json"):
        raise InputError(
            f"{path} is no file of regions; expected a .npy array (K, {of.width}), a .csv with the "
            f"header {','.join(columns)}{', or a COCO .json' * (of == CORNERS)}"
        )
    if kind == ".json" and of != CORNERS:
        raise InputError(
            f"{path} holds COCO's upright boxes in pixels; expected a .npy array (K, {of.width}) "
            f"or a .csv, of {', '.join(columns)}"
        )
    try:
        with path.open(encoding="utf-8-sig", newline="") as text:
            if kind == ".csv":
                return _from_csv(path, text, columns)
            return _from_coco(path, text, features)
    except UnicodeDecodeError as error:
        raise InputError(f"{path} is not UTF-8 text: byte {error.start} is none") from None
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror or error}") from None


def _from_csv(path: Path, text: TextIO, names: Sequence[str]) -> Regions:
    reader = csv.reader(text)
    rows: list[list[float]] = []
    lines: list[int] = []
    try:
        header = [name.strip().lower().replace(" ", "_") for name in next(reader, [])]
        columns = _columns(path, header, names)
        for cells in reader:
            if not any(cell.strip() for cell in cells):
                continue
            where = f"{path}, line {reader.line_num}"
            if len(cells) != len(header):
                raise InputError(f"{where} has {len(cells)} cells; the header has {len(header)}")
            rows.append([_number(cells, column, name, where) for name, column in columns])
            lines.append(reader.line_num)
    except csv.Error as error:
        raise InputError(f"{path}, line {reader.line_num} is no CSV: {error}") from None
    array = np.array(rows, np.float64).reshape(-1, len(names))
    return Regions(array, str(path), lambda k: f"{path}, line {lines[k]}")


def _columns(
    path: Path, header: Sequence[str], names: Sequence[str]
) -> list[tuple[str, int | None]]:
    """Where each column stands; a file without batch_index is all of image 0."""
    missing = [name for name in names[1:] if name not in header]
    twice = [name for name in names if header.count(name) > 1]
    if missing or twice:
        what = f"has no column {missing[0]}" if missing else f"has two columns {twice[0]}"
        raise InputError(
            f"{path} {what} in its first line, '{','.join(header)[:60]}'; expected a header such "
            f"as {','.join(names)}"
        )
    return [(name, header.index(name) if name in header else None) for name in names]


def _number(cells: Sequence[str], column: int | None, name: str, where: str) -> float:
    if column is None:
        return 0.0
    cell = cells[column].strip()
    if not NUMBER.fullmatch(cell):  # float would take 1_0 too
        raise InputError(f"{where}, column {name}: {cell[:60]!r} is no number")
    return float(cell)


def _from_coco(path: Path, text: TextIO, features: Features) -> Regions:
    try:
        content: Any = json.load(text)
    except json.JSONDecodeError as error:
        raise InputError(
            f"{path}, line {error.lineno}, column {error.colno} is no JSON: {error.msg}"
        ) from None
    except ValueError as error:  # a number of thousands of digits
        raise InputError(f"{path} is no COCO file: {str(error).partition(':')[0]}") from None
    except RecursionError:
        raise InputError(f"{path} is nested too deeply for a COCO file") from None
    images = content.get("images") if isinstance(content, dict) else None
    annotations = content.get("annotations") if isinstance(content, dict) else None
    if not isinstance(images, list) or not isinstance(annotations, list):
        raise InputError(
            f"{path} is no COCO annotation file; expected an object with the lists 'images' and "
            "'annotations'"
        )
    index_of = _image_indices(path, images, features)
    rows: list[list[float]] = []
    places: list[str] = []
    for i, annotation in enumerate(annotations):
        where = f"{path}, annotations[{i}]"
        index = _image_of(annotation, index_of, where)
        if index is not None:
            rows.append([index, *_corners(annotation, where)])
            places.append(where)
    array = np.array(rows, np.float64).reshape(-1, 5)
    return Regions(array, str(path), lambda k: places[k], len(annotations) - len(rows))


def _image_indices(path: Path, images: list[Any], features: Features) -> dict[Any, int | None]:
    """From an image's id to its batch index; None for an image that is not pooled."""
    for i, image in enumerate(images):
        if not isinstance(image, dict) or not isinstance(image.get("id"), (int, str)):
            raise InputError(f"{path}, images[{i}] has no 'id'; expected a number or a text")
    if not features.photos:
        count = len(features.maps)
        if len(images) != count:
            raise InputError(
                f"{path} lists {len(images)} images, but {features.source} holds {count}; for an "
                "array the order of 'images' is the batch index, so the two must be as many"
            )
        return {image["id"]: i for i, image in enumerate(images)}
    named = {name: i for i, name in enumerate(features.photos)}
    if len(named) < len(features.photos):
        raise InputError(
            "two of the images in DATA have one file name; COCO regions find their image by it: "
            "rename one, or call once per image"
        )
    index_of = {i["id"]: named.get(Path(str(i.get("file_name"))).name) for i in images}
    for name, index in named.items():
        if index not in index_of.values():
            raise InputError(
                f"{path} does not list the image {name}; COCO regions find their image by "
                "'file_name', folders aside"
            )
    return index_of


def _image_of(annotation: Any, index_of: dict[Any, int | None], where: str) -> int | None:
    image_id = annotation.get("image_id") if isinstance(annotation, dict) else None
    if not isinstance(image_id, (int, str)) or image_id not in index_of:
        raise InputError(f"{where} has image_id {image_id!r}, which 'images' does not list")
    return index_of[image_id]


def _corners(annotation: Any, where: str) -> tuple[float, float, float, float]:
    """COCO's x, y, width, height as corners that both belong to the region."""
    bbox = annotation.get("bbox")
    try:
        if not isinstance(bbox, list) or any(type(value) not in (int, float) for value in bbox):
            raise TypeError
        x, y, width, height = map(float, bbox)
    except (TypeError, ValueError, OverflowError):
        raise InputError(
            f"{where} has bbox {bbox!r:.60}; expected four numbers [x, y, width, height]"
        ) from None
    return x, y, x + width - 1, y + height - 1
