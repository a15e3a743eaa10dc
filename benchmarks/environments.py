"""The peers' own Pythons: `python -m benchmarks.environments [NAME ...]` makes them, once.

    .cache/mxnet-1.9.1
    .cache/peers/torchvision    5 GB: it needs the registry's own build of PyTorch
    .cache/peers/openvino, .cache/peers/onnxruntime
    .cache/peers/tensorflow     2 GB: tests of its name for crop_and_resize run there
    .cache/peers/paddle         for tests alone

Benchmarks and tests find them there; what is not there they leave out and say so.
"""

import shutil
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[1]


class Environment(NamedTuple):
    """Where a virtual environment lies, what is in it, and the Python it needs, if one alone."""

    folder: str
    packages: tuple[str, ...]
    python: str = ""

    @property
    def home(self) -> Path:
        return ROOT / ".cache" / self.folder

    @property
    def executable(self) -> Path:
        return self.home / "bin" / "python"

    @property
    def made(self) -> bool:
        installed = self.home / "installed"
        return installed.exists() and installed.read_text() == " ".join(self.packages)


ENVIRONMENTS = {
    # The last pair that works together; the rest is for the tests that run there.
    "mxnet": Environment(
        "mxnet-1.9.1", ("numpy==1.23.5", "mxnet==1.9.1", "ml_dtypes", "pytest"), "python3.11"
    ),
    # === takes no build for the CPU alone, beside which torchvision does not import.
    "torchvision": Environment(
        "peers/torchvision", ("torch===2.13.0", "torchvision===0.28.0", "numpy")
    ),
    "openvino": Environment("peers/openvino", ("openvino==2026.4.1", "numpy")),
    "onnxruntime": Environment("peers/onnxruntime", ("onnxruntime>=1.18", "onnx>=1.16", "numpy")),
    "tensorflow": Environment("peers/tensorflow", ("tensorflow-cpu==2.21.0", "numpy")),
    "paddle": Environment("peers/paddle", ("paddlepaddle==3.3.1", "setuptools", "numpy")),
}


def python_of(name: str) -> Path | None:
    """The Python of a peer's environment, if it was made."""
    environment = ENVIRONMENTS.get(name)
    return environment.executable if environment and environment.made else None


def link_package(folder: Path) -> None:
    """Put roipool and its core into a folder, from which a peer's Python can import it too."""
    import roipool
    from roipool import _core

    (folder / "roipool").mkdir()
    for path in {*Path(roipool.__file__).parent.iterdir(), Path(_core.__file__)}:
        (folder / "roipool" / path.name).symlink_to(path)


def make(name: str) -> None:
    """Make an environment anew, unless it is there."""
    environment = ENVIRONMENTS[name]
    if environment.made:
        return
    base = shutil.which(environment.python) if environment.python else sys.executable
    if f"python{sys.version_info[0]}.{sys.version_info[1]}" == environment.python:
        base = sys.executable
    if base is None:
        raise FileNotFoundError(f"{name} needs {environment.python}, which is not installed")
    shutil.rmtree(environment.home, ignore_errors=True)
    subprocess.run([base, "-m", "venv", environment.home], check=True)
    pip = [environment.executable, "-m", "pip", "install", "--quiet", *environment.packages]
    subprocess.run(pip, check=True)
    (environment.home / "installed").write_text(" ".join(environment.packages))


def main(names: list[str]) -> None:
    """Make those named, or all; go on where one cannot be had, and fail at the end."""
    failed = []
    for name in names or ENVIRONMENTS:
        try:
            make(name)
        except (OSError, subprocess.CalledProcessError) as error:
            failed.append(f"{name}: {error}")
    if failed:
        sys.exit("\n".join(failed))


if __name__ == "__main__":
    main(sys.argv[1:])
