"""roi_align_rotated: mean of samples over rows [image, cx, cy, w, h, angle in radians]."""

import math
from typing import NamedTuple

import numpy as np

from roipool.reference.coordinates import float_type, is_region, per_axis
from roipool.reference.samples import between, two_pixels
from roipool.reference.weighing import weighted_sums, weighted_sums_backward


class Side(NamedTuple):
    """A region's height or width on the map, and how it moves with the row's."""

    size: np.floating
    slope: float


class Box(NamedTuple):
    """A region on the map; `turn` is how the angle of `cos` and `sin` moves with the row's."""

    cy: np.floating
    cx: np.floating
    h: Side
    w: Side
    cos: np.floating
    sin: np.floating
    turn: int
    s_y: np.floating
    s_x: np.floating


def box_of(roi, scales, aligned, clockwise, F):
    """Scaled; without `aligned` a side is a pixel long at least."""

    def side(length, s):
        size = F(length) * s
        return Side(F(1), 0.0) if not aligned and size < 1 else Side(size, float(s))

    _, cx, cy, w, h, angle = roi
    s_y, s_x = scales
    offset = F(0.5 if aligned else 0)
    turn = -1 if clockwise else 1
    return Box(
        cy=F(cy) * s_y - offset,
        cx=F(cx) * s_x - offset,
        h=side(h, s_y),
        w=side(w, s_x),
        cos=F(math.cos(F(angle))),
        sin=F(turn * math.sin(F(angle))),
        turn=turn,
        s_y=s_y,
        s_x=s_x,
    )


def bounds(box, height, width, F):
    """Between which offsets along h and along w a sample may lie on the map, with room for its
    roundings; and how close to each other two are whose positions only rounding tells apart.
    """
    ys = [corner - float(box.cy) for corner in (-1, height)]
    xs = [corner - float(box.cx) for corner in (-1, width)]
    cos, sin = float(box.cos), float(box.sin)
    of_h = [y * cos + x * sin for y in ys for x in xs]
    of_w = [x * cos - y * sin for y in ys for x in xs]
    rounding = float(np.finfo(F).eps) * (max(map(abs, of_h + of_w)) + height + width + 2)
    along = [(min(ends) - 16 * rounding, max(ends) + 16 * rounding) for ends in (of_h, of_w)]
    return along, rounding / 32


@np.errstate(over="ignore")  # the far samples of a huge region are infinitely far
def samples_along(size, count, sampling_ratio, ends, apart, F):
    """The bins of one side: of each, of its samples between the ends, the offsets from the centre,
    as parts of the side too, and the shares of the samples that they stand for.
    """
    step = size / F(count)
    samples = sampling_ratio if sampling_ratio > 0 else math.ceil(step)

    def offset(p, i):
        return (-size / F(2) + F(p) * step) + ((F(i) + F(0.5)) * step) / F(samples)

    bins = []
    for p in range(count):
        found = list(between(lambda i, p=p: offset(p, i), samples, *ends, apart))
        offsets = np.array([offset(p, i) for i, _ in found], F)
        parts = [(p + (i + times / 2) / samples) / count - 0.5 for i, times in found]
        bins.append((offsets, parts, [times / samples for _, times in found]))
    return bins


def turned(box, along_h, along_w, height, width, F):
    """The taps of one bin, sample by sample."""
    (yy, h_parts, h_shares), (xx, w_parts, w_shares) = along_h, along_w
    yy, xx = yy[:, None], xx[None]
    y = (yy * box.cos - xx * box.sin) + box.cy
    x = (yy * box.sin + xx * box.cos) + box.cx
    for m, n in np.argwhere((y >= -1) & (y <= height) & (x >= -1) & (x <= width)):
        moves = position_slopes(box, float(yy[m, 0]), float(xx[0, n]), h_parts[m], w_parts[n])
        share = h_shares[m] * w_shares[n]
        for row, of_row, down in two_pixels(y[m, n], height, F):
            for col, of_col, right in two_pixels(x[m, n], width, F):
                by_y, by_x = share * down * of_col, share * of_row * right
                slopes = [by_y * of_y + by_x * of_x for of_y, of_x in moves]
                yield row, col, share * of_row * of_col, slopes


def position_slopes(box, yy, xx, h_part, w_part):
    """How a sample's y and x move with cx, cy, w, h and the angle."""
    cos, sin = float(box.cos), float(box.sin)
    along_h, along_w = box.h.slope * h_part, box.w.slope * w_part
    return (
        (0.0, float(box.s_x)),
        (float(box.s_y), 0.0),
        (-sin * along_w, cos * along_w),
        (cos * along_h, sin * along_h),
        (-box.turn * (yy * sin + xx * cos), box.turn * (yy * cos - xx * sin)),
    )


def rotated_bins(data, rois, pooled_size, spatial_scale, sampling_ratio, aligned, clockwise):
    """The taps of every bin; a row of a negative width or height, or no angle, is no region."""
    F = float_type(data.dtype, rois.dtype)
    scales = tuple(F(s) for s in per_axis(spatial_scale))
    height, width = data.shape[2:]

    def bins(roi):
        known = is_region(roi, len(data), spatial_scale, F, scales) and np.isfinite(F(roi[5]))
        if not known or min(roi[3:5]) < 0 or 0 in (height, width):
            return
        box = box_of(roi, scales, aligned, clockwise, F)
        (along_h, along_w), apart = bounds(box, height, width, F)
        ys = samples_along(box.h.size, pooled_size[0], sampling_ratio, along_h, apart, F)
        xs = samples_along(box.w.size, pooled_size[1], sampling_ratio, along_w, apart, F)
        for i, j in np.ndindex(*pooled_size):
            yield i, j, turned(box, ys[i], xs[j], height, width, F)

    return bins


def roi_align_rotated(data, rois, pooled_size, spatial_scale, sampling_ratio, aligned, clockwise):
    """Mean of each bin's samples; a positive angle turns a region counter-clockwise on the screen,
    or with `clockwise` the other way.
    """
    how = spatial_scale, sampling_ratio, aligned, clockwise
    return weighted_sums(data, rois, pooled_size, rotated_bins(data, rois, pooled_size, *how))


def roi_align_rotated_backward(grad, data, rois, spatial_scale, sampling_ratio, aligned, clockwise):
    """The gradients of `roi_align_rotated` for data and for rois."""
    how = spatial_scale, sampling_ratio, aligned, clockwise
    return weighted_sums_backward(grad, data, rois, rotated_bins(data, rois, grad.shape[2:], *how))
