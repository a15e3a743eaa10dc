"""crop_and_resize: boxes [image, y1, x1, y2, x2] of a map whose last pixel's centre is 1."""

from roipool.reference.coordinates import round_half_away
from roipool.reference.samples import two_pixels
from roipool.reference.weighing import separable, weighted_sums, weighted_sums_backward

XY = [0, 2, 1, 4, 3]  # from the order of these boxes to that of regions, and back


def crop_bins(data, boxes, size, method):
    """The taps of every position; none where it lies beside the map."""

    def axis_taps(c1, c2, length, count, _, F):
        return [
            read(position, t, length, method, F)
            for position, t in positions(F(c1), F(c2), length, count, F)
        ]

    # A side of one pixel scales by 0, but its ends must be numbers all the same.
    sides = [max(length - 1, 1) for length in data.shape[2:]]
    return separable(data, boxes[:, XY], size, sides, axis_taps)


def positions(c1, c2, length, count, F):
    """Where each is, and how far from one end of the box to the other."""
    last = F(length - 1)
    if count == 1:
        return [((F(0.5) * (c1 + c2)) * last, 0.5)]
    step = ((c2 - c1) * last) / F(count - 1)
    found = [(c1 * last + F(p) * step, p / (count - 1)) for p in range(count - 1)]
    return [*found, (c2 * last, 1.0)]


def read(position, t, length, method, F):
    """The taps of one position along an axis."""
    if position < 0 or position > length - 1:
        return []
    if method == "nearest":
        return [(round_half_away(position), 1.0, 0, 0)]
    return [
        (pixel, weight, moves * (length - 1) * (1 - t), moves * (length - 1) * t)
        for pixel, weight, moves in two_pixels(position, length, F)
    ]


def crop_and_resize(data, boxes, size, method, extrapolation_value):
    """One position a bin, "bilinear" or "nearest"; beside the map the extrapolation value."""
    bins = crop_bins(data, boxes, size, method)
    out = weighted_sums(data, boxes, size, lambda box: bins(box[XY]))
    for k, box in enumerate(boxes):
        for i, j, taps in bins(box[XY]):
            if not list(taps):
                out[k, :, i, j] = extrapolation_value
    return out


def crop_and_resize_backward(grad, data, boxes, method):
    """The gradients of `crop_and_resize` for data and for boxes."""
    bins = crop_bins(data, boxes, grad.shape[2:], method)
    of_data, of_rois = weighted_sums_backward(grad, data, boxes[:, XY], bins)
    return of_data, of_rois[:, XY]
