"""The demonstration: two known answers, then a photograph, and what to try next."""

import importlib.util
import shlex
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

import roipool
from roipool.command.explain import explain
from roipool.command.features import InputError, needs, read_features
from roipool.command.palette import BIN_COLOURS, FAINT, INK
from roipool.command.picture import figure_of, save_picture
from roipool.command.regions import columns_of
from roipool.descriptions import CORNERS

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# MXNet's documentation of ROIPooling: one map, one region, two scales.
ANSWERS = {1.0: [[14, 16], [26, 28]], 0.7: [[7, 9], [19, 21]]}
PHOTO = {
    "face": (178, 60, 272, 182),
    "helmet": (278, 342, 500, 511),
    "shuttle": (354, 2, 460, 284),
    "mission patch": (134, 348, 207, 423),
    "badge": (278, 338, 330, 378),
    "flag": (0, 0, 94, 300),
}


def demo(folder: Path) -> bool:
    """Print and write everything; False if a known answer came out wrong."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"the folder {folder} cannot be made: {error.strerror}") from None
    right = _known_answers(folder)
    _photograph(folder)
    print(_next_steps(folder))
    return right


def _known_answers(folder: Path) -> bool:
    maps = np.arange(48, dtype=np.float32).reshape(1, 1, 8, 6)
    rois = np.array([[0, 0, 0, 4, 4]], np.float32)
    np.save(folder / "map.npy", maps)
    np.save(folder / "region.npy", rois)
    print("The two examples of MXNet's documentation: an 8 x 6 map of 0 to 47, region 0 0 4 4")
    all_right = True
    for scale, answer in ANSWERS.items():
        values = roipool.roi_pool(maps, rois, (2, 2), scale)[0, 0]
        right = bool(np.array_equal(values, answer))
        all_right &= right
        verdict = "as documented" if right else f"WRONG: expected {answer}"
        for row, note in zip(values, (f"spatial scale {scale:g}, {verdict}", ""), strict=True):
            print(("    " + " ".join(f"{value:3.0f}" for value in row) + f"    {note}").rstrip())
    return all_right


def _photograph(folder: Path) -> None:
    photo = folder / "astronaut.png"
    try:
        shutil.copyfile(shipped_photo(), photo)
        lines = [",".join((*columns_of(CORNERS), "name"))]
        lines += [",".join(map(str, (0, *box, name))) for name, box in PHOTO.items()]
        (folder / "boxes.csv").write_text("\n".join(lines) + "\n")
    except OSError as error:
        raise InputError(f"{folder} cannot be written to: {error.strerror}") from None
    features = read_features([photo])
    rows = np.array([(0, *box) for box in PHOTO.values()], np.float64)
    values = roipool.roi_pool(features.maps, rows, (14, 14))
    mosaic = folder / "regions.png"
    _mosaic(features.maps[0].transpose(1, 2, 0), values).savefig(mosaic, dpi=130)
    save_picture(explain(features, (0, *PHOTO["face"]), (7, 7), 1.0), folder / "face.png")
    save_picture(
        explain(read_features([folder / "map.npy"]), (0, 0, 0, 4, 4), (2, 2), 0.7),
        folder / "why.png",
    )
    print(f"\nA photograph, {len(PHOTO)} regions of different sizes, each pooled to 14 x 14:")
    for picture, shows in (
        (mosaic, "the regions, and what is left of each"),
        (folder / "face.png", "one of them, bin by bin"),
        (folder / "why.png", "why spatial scale 0.7 gives 7, 9, 19, 21"),
    ):
        print(f"    {picture!s:<{len(str(mosaic))}}  {shows}")


def shipped_photo() -> Path:
    """The astronaut (NASA, public domain) that scikit-image ships; nothing is downloaded."""
    package = importlib.util.find_spec("skimage")
    if package is None or not package.submodule_search_locations:
        raise InputError(needs("scikit-image", "the demo's photographs", "demo"))
    return Path(package.submodule_search_locations[0]) / "data" / "astronaut.png"


def _mosaic(photo: np.ndarray, values: np.ndarray) -> "Figure":
    """The photo with its regions, and beside it each pooled to the same size."""
    figure = figure_of(9.2, 4.9)
    axes = figure.add_axes((0.02, 0.03, 0.48, 0.9))
    axes.imshow(photo)
    axes.set_axis_off()
    axes.set_title(f"{len(values)} regions of one photograph", size=11, loc="left", color=INK)
    for k, (name, (x1, y1, x2, y2)) in enumerate(PHOTO.items()):
        colour = BIN_COLOURS[k]
        x, y = [x1, x2, x2, x1, x1], [y1, y1, y2, y2, y1]
        axes.plot(x, y, color="white", lw=4)
        axes.plot(x, y, color=colour, lw=2.2)
        small = figure.add_axes((0.535 + 0.155 * (k % 3), 0.58 - 0.46 * (k // 3), 0.145, 0.31))
        small.imshow(values[k].transpose(1, 2, 0), interpolation="nearest")
        small.set(xticks=[], yticks=[])
        small.set_xlabel(f"{name}\n{x2 - x1 + 1} × {y2 - y1 + 1} pixels", size=9, color=FAINT)
        for spine in small.spines.values():
            spine.set(color=colour, lw=2.5)
    rows, columns = values.shape[2:]
    title = f"pooled to {rows} × {columns}: the largest of each colour in a bin"
    figure.text(0.535, 0.945, title, size=11, color=INK)
    return figure


def _next_steps(folder: Path) -> str:
    def name(file: str) -> str:
        return shlex.quote(str(folder / file))

    x, photo = name("map.npy"), name("astronaut.png")
    second = "--pooled-size 2 2 --spatial-scale 0.7"
    return f"""
Try next:
    roipool explain {x} --roi 0 0 0 4 4 --spatial-scale 0.7
    roipool explain {photo} --roi 0 134 348 207 423 --pooled-size 5 5 -o {name("patch.png")}
    roipool pool {x} {name("region.npy")} -o {name("four.npy")} {second}
    roipool pool {photo} {name("boxes.csv")} -o {name("pooled.npy")}
    roipool info"""
