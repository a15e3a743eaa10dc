"""Calls of geometry's texts and of their native twins, and rows that tell them apart."""

import itertools

import numpy as np

from cases import assert_same_bits, odd_boxes, random_boxes
from roipool import geometry, twins

SHAPES = {
    "one array": ([(2, 1, 13, 17)], [(0.25, 0.25)]),
    "two scales": ([(3, 1, 9, 60)], [(0.5, 1 / 16)]),
    "several": ([(1, 1, 13, 17), (2, 1, 7, 9), (1, 1, 4, 5)], [(0.25, 0.3), (0.125, 0.1), (1, 1)]),
    "empty": ([(2, 1, 0, 5), (1, 1, 4, 0)], [(1, 1), (1, 1)]),
    "one pixel": ([(1, 1, 1, 1), (1, 1, 1, 9)], [(1, 1), (0.3, 0.3)]),
}
# Of each twin and its text: options, by their names.
ALIGN = [{"sampling_ratio": r, "aligned": a} for r in (0, 1, 2, 3, 7) for a in (False, True)]
SAMPLED = [(0, False, False), (0, True, True), (1, True, False), (3, False, True)]
CASES = [
    *[("align_taps", options) for options in ALIGN],
    *[("align_taps", options | {"each": True}) for options in ALIGN[1:6:4]],
    *[
        ("align_samples", {"sampling_ratio": ratio, "aligned": aligned, "singly": singly})
        for ratio, aligned, singly in SAMPLED
    ],
    ("average_taps", {}),
    ("position_sensitive_taps", {"convention": "rfcn"}),
    ("position_sensitive_taps", {"convention": "torchvision"}),
    ("integral_taps", {}),
    *[
        ("crop_taps", {"method": method, "tensorflow": tensorflow})
        for method in ("bilinear", "nearest")
        for tensorflow in (False, True)
    ],
]
ONE_OF_EACH = [CASES[[name for name, _ in CASES].index(name)] for name in dict(CASES)]
STILL = {"average_taps", "position_sensitive_taps"}  # whose weights do not move


def of_text(name, rois, maps, size, dtype, options):
    """What the text gives: taps, and slopes where they move."""
    with np.errstate(all="ignore"):
        found = getattr(geometry, name)(np, rois, maps, size, dtype, **options)
    return (found, None) if name in STILL else found


def listed(name, found, slopes, moving=False):
    """What weighs of what a text gives, or where `moving` moves; of samples all."""
    parts, places = {"image": found.image}, []
    for axis in "yx":
        weight, pixel = (getattr(found, f"{axis}_{part}") for part in ("weight", "pixel"))
        kept = np.full(len(weight), name == "align_samples") | (weight != 0)
        if moving and slopes:
            kept |= getattr(slopes, axis).any(1)
        place, parts[f"{axis}_taps"] = chosen(getattr(found, f"{axis}_taps"), found.image, kept)
        parts |= {f"{axis}_weight": weight[place], f"{axis}_pixel": pixel[place]}
        places.append(place)
    if moving and slopes:
        slopes = geometry.Slopes(*(each[at] for each, at in zip(slopes, places, strict=True)))
    return geometry.Taps(**parts), slopes if moving else None


def chosen(taps, image, kept):
    """The places of what is kept of all regions' bins, and where each bin's begin and end there."""
    steps = np.zeros(len(kept) + 1, int)
    for side, step in ((0, 1), (1, -1)):
        np.add.at(steps, taps[image >= 0, :, side], step)
    kept = kept & (np.cumsum(steps)[:-1] > 0)
    before = np.concatenate([[0], np.cumsum(kept)]).astype(np.int32)
    return np.flatnonzero(kept), before[taps]


def of_twin(name, rois, maps, size, dtype, options, **how):
    more = dict(options)
    fixed = {key: more.pop(key) for key in ("each", "singly") if key in more}
    if name == "crop_taps":
        more = {"method": more["method"], "value": 0.0, "tensorflow": more["tensorflow"]}
    return twins.TWINS[name](rois, maps, size, dtype, *more.values(), **fixed, **how)


def assert_as_text(name, rois, maps, size, dtype, options):
    text = of_text(name, rois, maps, size, dtype, options)
    for moving in (False, True):
        wanted, slopes = listed(name, *text, moving)
        (found, moved), known = of_twin(name, rois, maps, size, dtype, options, moving=moving)
        assert known == (wanted.image >= 0).all()
        assert_same(found, wanted)
        assert_same(moved or (), slopes or ())


def assert_same(found, expected):
    for one, other in zip(found, expected, strict=True):
        assert_same_bits(one, other)


def corners(maps, dtype, count=100):
    """Random boxes on every array of maps, one of each odd kind, ends on and beside borders."""
    rng = np.random.default_rng(2)
    images = sum(maps.images)
    found = [
        random_boxes(rng, count, images, height or 4, width or 4, scale[0])
        for height, width, scale in zip(maps.heights, maps.widths, maps.scales, strict=True)
    ]
    found += [odd_boxes(max(maps.heights), max(maps.widths))]
    edges = np.array([-1.0, 0.0, 0.5, 1.0, 3.5, 13.0, 17.0, 17.5, 60.0])
    ends = np.array([*itertools.product(edges[:5], edges[:4], edges[2:], edges[3:])][::5])
    found += [np.insert(ends / maps.scales[0][0], 0, 0, axis=1)]
    rois = np.concatenate(found).astype(dtype)
    rois[::50, 0] = rng.choice([-1, images, 0.5, np.nan], len(rois[::50]))
    odd = np.arange(7, len(rois), 50)
    rois[odd, rng.integers(1, 5, len(odd))] = rng.choice([np.nan, np.inf, -np.inf], len(odd))
    return rois


def far_corners(dtype, count=150):
    """Ends of every magnitude, in either order or ascending."""
    rng = np.random.default_rng(4)
    size = 10 ** rng.uniform(0, 37, (count, 4))
    ends = rng.choice([-1, 1], size.shape) * size
    ends[::2] = np.sort(ends[::2].reshape(-1, 2, 2), axis=1).reshape(-1, 4)
    return np.concatenate([np.zeros((count, 1)), ends], axis=1).astype(dtype)


def boxes_of(name, rois, maps):
    """Rows of corners as the text takes them, of sizes that suit it."""
    if name != "crop_taps":
        return rois
    sides = np.array([maps.heights[0], maps.widths[0]] * 2) - 1
    scaled = rois[:, [0, 2, 1, 4, 3]]
    scaled[:, 1:] *= maps.scales[0][0] / np.maximum(sides, 1)
    return scaled.astype(rois.dtype)
