"""The numbers that coordinates are computed in, and the rows that are regions."""

import math

import numpy as np


def float_type(data_dtype, rois_dtype):
    """F: what coordinates are computed in, whatever the feature dtype is."""
    both = data_dtype == np.float64 and rois_dtype == np.float64
    return np.float64 if both else np.float32


def round_half_away(value):
    """Round as C does; returns an unbounded integer."""
    whole = math.floor(abs(value))
    whole += 2 * abs(float(value)) - 2 * whole >= 1  # exact: a float's fraction never rounds
    return -whole if value < 0 else whole


def to_float(n, F):
    """Round the integer n to the nearest F, ties to even, once."""
    near = F(float(n))
    nearby = [np.nextafter(near, F(-np.inf)), near, np.nextafter(near, F(np.inf))]
    bits = {np.float32: np.int32, np.float64: np.int64}[F]
    return min(nearby, key=lambda f: (abs(int(f) - n), int(f.view(bits)) % 2))


def per_axis(scale):
    """The scales along y and along x: one number for both, or a pair."""
    return tuple(scale) if np.ndim(scale) else (scale, scale)


def is_region(roi, images, spatial_scale, F, s=None):
    """Whether a row is a region; any other row gives zeros and argmax −1.

    The scale `s` is rounded through float32 unless given.
    """
    if s is None:
        s = np.float32(spatial_scale)
    s_y, s_x = (F(of_axis) for of_axis in per_axis(s))
    index, *coordinates = roi[:5]
    if not (index >= 0 and index < images and index == math.floor(index)):
        return False
    limit = np.finfo(F).max / 8  # a product beyond counts as infinite
    with np.errstate(over="ignore", invalid="ignore"):
        scaled = [F(c) * s for c, s in zip(coordinates, (s_x, s_y) * 2, strict=True)]
    return all(abs(c) <= limit for c in scaled)
