"""Pools regions of an image in a Zarr store with Dask: neither image nor result in memory."""

import argparse
import resource
import sys
import time
from pathlib import Path
from typing import Any

import dask.array as da
import numpy as np
import skimage.data
import zarr
from dask.diagnostics import ProgressBar

import roipool

TILE = 1024
POOLED_SIZE = 7
CHECKED = 100


def write_image(store: Path, side: int) -> None:
    """Tile a photograph over a square plane, chunk by chunk."""
    photograph = skimage.data.camera()

    def tile(block_info: Any) -> np.ndarray:
        (top, bottom), (left, right) = block_info[None]["array-location"]
        rows = np.arange(top, bottom) % photograph.shape[0]
        columns = np.arange(left, right) % photograph.shape[1]
        found: np.ndarray = photograph[np.ix_(rows, columns)]
        return found

    chunks = da.core.normalize_chunks(TILE, (side, side))
    image = da.map_blocks(tile, chunks=chunks, dtype=np.uint8, meta=np.empty((0, 0), np.uint8))
    image.to_zarr(store, overwrite=True)


def random_regions(side: int, count: int) -> np.ndarray:
    """Rows [0, x1, y1, x2, y2] of 16 to 512 whole pixels a side, anywhere in the plane."""
    rng = np.random.default_rng(0)
    size = np.floor(2 ** rng.uniform(4, 9, (count, 2)))
    corner = np.floor(rng.uniform(0, np.maximum(side - size, 1)))
    return np.hstack([np.zeros((count, 1)), corner, corner + size - 1]).astype(np.float32)


def pool(source: Path, target: Path, rows: np.ndarray) -> None:
    """Pool the regions of one store into another."""
    features = da.from_zarr(source)[None, None]  # (N, C, H, W)
    pooled = roipool.roi_pool(features, rows, POOLED_SIZE)
    print(f"{len(rows):,} regions of {features.shape} in {features.npartitions} chunks:")
    print(f"  {pooled.shape} in {pooled.npartitions}, by {len(pooled.dask):,} tasks")
    with ProgressBar():
        pooled.to_zarr(target, overwrite=True)


def check(source: Path, target: Path, rows: np.ndarray) -> int:
    """How many of some regions come out otherwise when pooled from their own window."""
    image: Any = zarr.open_array(source, mode="r")
    pooled = zarr.open_array(target, mode="r")
    wrong = 0
    for k in range(0, len(rows), max(1, len(rows) // CHECKED)):
        left, top, right, bottom = rows[k, 1:].astype(int)
        window = image[top : bottom + 2, left : right + 2]  # a last bin may reach one pixel past
        box = [[0, 0, 0, right - left, bottom - top]]
        alone = roipool.roi_pool(window[None, None], box, POOLED_SIZE)
        wrong += not np.array_equal(alone[0], pooled[k])
    return wrong


def main() -> None:
    """Write the image, pool it, check some regions, and tell time and memory."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--side", type=int, default=20_000, help="pixels of the plane's side")
    parser.add_argument("--regions", type=int, default=100_000)
    parser.add_argument("--folder", type=Path, default=Path("build/dask_zarr"))
    given = parser.parse_args()
    source, target = given.folder / "image.zarr", given.folder / "pooled.zarr"

    write_image(source, given.side)
    rows = random_regions(given.side, given.regions)
    before, start = peak_megabytes(), time.perf_counter()
    pool(source, target, rows)
    seconds = time.perf_counter() - start
    print(f"{seconds:.1f} s; at most {peak_megabytes():.0f} MB in memory ({before:.0f} before),")
    print(f"for a plane of {given.side**2 / 1e6:,.0f} MB")
    wrong = check(source, target, rows)
    print(f"regions that differ from their own window's: {wrong}")
    sys.exit(wrong > 0)


def peak_megabytes() -> float:
    """The most memory this process has had so far."""
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6


if __name__ == "__main__":
    main()
