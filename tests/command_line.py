"""The command as its tests call it, and the files they give it."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cases import normal_maps
from roipool import command

RNG = np.random.default_rng(0)
MAPS = normal_maps(RNG, (2, 5, 9, 12))
ROWS = np.array(
    [
        [1, 4, 4, 99, 80],
        [0, 0, 0, 191, 143],
        [-1, 0, 0, 9, 9],
        [0, 30, 100, 20, 90],
        [1, 0, 0, 0, 0],
    ],
    np.float64,
)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The current folder, with maps.npy and rows.npy in it."""
    monkeypatch.chdir(tmp_path)
    np.save("maps.npy", MAPS)
    np.save("rows.npy", ROWS)


def files():
    return sorted(path.name for path in Path().iterdir())


def roipool_command(capsys, *arguments):
    status = command.run([str(a) for a in arguments])
    return status, *capsys.readouterr()


def photos(*names, size=(20, 30)):
    for name in names:
        Image.fromarray(RNG.integers(0, 256, (*size, 3), np.uint8)).save(name)
    return np.stack([np.asarray(Image.open(name).convert("RGB")) for name in names]).transpose(
        0, 3, 1, 2
    )


def coco(path, file_names, bboxes):
    images = [{"id": 10 + i, "file_name": name} for i, name in enumerate(file_names)]
    annotations = [{"id": 1, "image_id": 10 + i, "bbox": bbox} for i, bbox in bboxes]
    Path(path).write_text(json.dumps({"images": images, "annotations": annotations}))
