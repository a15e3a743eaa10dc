"""The example at a small size, as its own process."""

import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("zarr", reason="Zarr is not installed")
pytest.importorskip("skimage", reason="scikit-image is not installed")
SCRIPT = Path(__file__).parent.parent / "examples" / "dask_zarr" / "pool_image.py"


def test_dask_zarr(tmp_path):
    command = [sys.executable, str(SCRIPT), "--side", "1500", "--regions", "300"]
    done = subprocess.run(
        [*command, "--folder", str(tmp_path)], capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    assert "300 regions of (1, 1, 1500, 1500) in 4 chunks" in done.stdout
    assert "100% Completed" in done.stdout
    assert "regions that differ from their own window's: 0" in done.stdout
    assert (tmp_path / "pooled.zarr").is_dir()
