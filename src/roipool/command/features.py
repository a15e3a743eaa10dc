"""DATA of the command: one array file, or images, as feature maps (N, C, H, W)."""

import warnings
import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from roipool.command.words import some

ARRAYS = (".npy", ".npz")
FORMATS = ("JPEG", "PNG")  # of others some would have a program run
UNREADABLE = (  # what NumPy, zipfile and zlib raise for a file that is none of theirs
    *(ValueError, EOFError, KeyError, OverflowError, RuntimeError, NotImplementedError),
    *(zipfile.BadZipFile, zlib.error),
)


class InputError(Exception):
    """What came, what was expected and the way out: one line for the user."""


class Features(NamedTuple):
    """Feature maps, and how to speak of them.

    Attributes:
        maps: (N, C, H, W); of a .npy file only what is pooled is ever read.
        source: The name to use in messages.
        photos: The images' file names, one per map; empty for an array.
    """

    maps: np.ndarray
    source: str
    photos: tuple[str, ...]

    @property
    def default_scale(self) -> float:
        """A photo's pixels are the pixels regions are given in; most backbones stride by 16."""
        return 1.0 if self.photos else 0.0625

    def name_of(self, image: int) -> str:
        """How one map is called in a title."""
        return self.photos[image] if self.photos else f"{self.source}, image {image}"


def read_features(paths: Sequence[Path]) -> Features:
    """DATA: one .npy or .npz array, or any number of images of one size."""
    arrays = [path for path in paths if path.suffix.lower() in ARRAYS]
    if arrays and len(paths) > 1:
        raise InputError(
            f"DATA names {len(paths)} files, among them the array {arrays[0]}; expected one array "
            "of shape (N, C, H, W), or images only"
        )
    if not arrays:
        return _photos(paths)
    maps = load_array(arrays[0], "data")
    if maps.ndim != 4:
        add_batch = (
            f"; add the batch axis: numpy.save('{arrays[0].stem}-4d.npy', array[None])"
            if maps.ndim == 3
            else ""
        )
        raise InputError(
            f"{arrays[0]} has shape {maps.shape}; expected feature maps (N, C, H, W){add_batch}"
        )
    return Features(maps, str(arrays[0]), ())


def refuse_missing(path: Path) -> None:
    """Raise unless `path` is a file."""
    if path.is_dir():
        raise InputError(f"{path} is a folder; expected a file")
    if not path.exists():
        raise InputError(f"{path} does not exist; the current folder is {Path.cwd()}")


def load_array(path: Path, key: str) -> np.ndarray:
    """The array of a .npy file, memory-mapped, or of a .npz file; never a pickle.

    Of several arrays in a .npz file the one named `key` is taken.
    """
    refuse_missing(path)
    try:
        if path.suffix.lower() == ".npz":
            array = _from_archive(path, key)
        else:
            with np.errstate(over="ignore"):  # sizes that no array has
                array = np.lib.format.open_memmap(path, mode="r")
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror or error}") from None
    except UNREADABLE as error:
        raise InputError(_why_unreadable(path, str(error))) from None
    if array.dtype.kind == "V":
        raise InputError(
            f"{path} has dtype {array.dtype}; expected numbers "
            "(.npy files cannot name bfloat16: save it as float32, which holds every value)"
        )
    return array


def _from_archive(path: Path, key: str) -> np.ndarray:
    with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
        if not isinstance(archive, np.lib.npyio.NpzFile):
            raise InputError(f"{path} is no .npz archive; if it is a single array, name it .npy")
        names = list(archive.files)
        if key not in names and len(names) != 1:
            held = ", ".join(some(len(names), names.__getitem__)) or "none"
            raise InputError(
                f"{path} holds {len(names)} arrays ({held}); expected one, or one named {key!r}"
            )
        array = archive[key if key in names else names[0]]
        if not isinstance(array, np.ndarray):
            raise InputError(f"{path} holds {names[0]!r}, which is no array; {_expected(path)}")
        return array


def _expected(path: Path) -> str:
    return f"expected an array written by numpy.{'savez' if path.suffix == '.npz' else 'save'}"


def _why_unreadable(path: Path, reason: str) -> str:
    expected = _expected(path)
    if "encrypted" in reason:
        return f"{path} is encrypted; decrypt it first"
    if "compression" in reason:
        return f"{path} is compressed in a way that Python does not know; {expected}"
    if "object" in reason.lower():
        return f"{path} holds Python objects, which are never unpickled; {expected} from numbers"
    if "mmap length" in reason:
        return f"{path} is cut short: it is smaller than its header says; write or copy it again"
    return f"{path} is no readable {path.suffix} file; {expected}"


def _photos(paths: Sequence[Path]) -> Features:
    pixels: list[np.ndarray] = []
    for path in paths:
        pixels.append(_photo(path))
        first, size = pixels[0].shape, pixels[-1].shape
        if size != first:
            raise InputError(
                f"{path} is {size[1]} x {size[0]} pixels, but {paths[0]} is {first[1]} x "
                f"{first[0]}; images pooled together must have one size: resize them, or call "
                "once per size"
            )
    # One image is used as it lies: a channels-first view of channels-last memory.
    maps = (np.stack(pixels) if len(pixels) > 1 else pixels[0][None]).transpose(0, 3, 1, 2)
    names = tuple(path.name for path in paths)
    source = str(paths[0]) if len(paths) == 1 else f"{len(paths)} images"
    return Features(maps, source, names)


def _photo(path: Path) -> np.ndarray:
    """Pixels (H, W, 3) uint8, as stored: a camera's rotation mark is not applied."""
    refuse_missing(path)
    image_module: Any = _pillow()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a large photo is no attack: the user named it
            with image_module.open(path, formats=FORMATS) as image:
                if image.mode[0] in "IF":
                    raise InputError(
                        f"{path} has pixels of mode {image.mode}; expected 8 bits per channel: "
                        "convert the image, or pass it as a .npy array (1, C, H, W)"
                    )
                return np.asarray(image.convert("RGB"))
    except image_module.UnidentifiedImageError:
        raise InputError(
            f"{path} is neither an array nor an image; expected .npy, .npz, .jpg or .png"
        ) from None
    except (OSError, ValueError, SyntaxError, image_module.DecompressionBombError) as error:
        raise InputError(f"{path} cannot be read as an image: {error}") from None


def _pillow() -> Any:
    try:
        from PIL import Image, UnidentifiedImageError  # noqa: F401
    except ImportError:
        raise InputError(needs("Pillow", "images")) from None
    return Image


def needs(package: str, what: str, extra: str = "cli") -> str:
    """The line that says which package is missing and how to get it."""
    return f"{what} need {package}, which is not installed: pip install 'roipool[{extra}]'"
