"""Images without regions cost next to nothing, and are no other's."""

import json
import sys

import numpy as np
import pytest

from cases import assert_same_bits
from family import FAMILY
from kernel_runs import output_of

IMAGES = 300_000
MEMORY = """if True:
    import json, sys, numpy as np, roipool
    from process_memory import forget_most_resident, most_resident, resident

    images = int(sys.argv[1])
    data = np.zeros((images, 1, 2, 2), np.float32)
    rois = np.array([[images - 1, 0, 0, 1, 1]], np.float32)
    grad, argmax = np.ones((1, 1, 1, 1), np.float32), np.zeros((1, 1, 1, 1), np.int32)
    calls = {
        "roi_pool": lambda data, rois: roipool.roi_pool(data, rois, 1),
        "roi_pool_backward": lambda data, rois: (
            roipool.roi_pool_backward(grad, argmax, rois, data.shape)
        ),
        "roi_align": lambda data, rois: roipool.roi_align(data, rois, 1),
        "roi_align_backward": lambda data, rois: (
            roipool.roi_align_backward(grad, rois, data.shape)
        ),
        "ps_roi_pool": lambda data, rois: roipool.ps_roi_pool(data, rois, 1),
        "ps_roi_pool_backward": lambda data, rois: (
            roipool.ps_roi_pool_backward(grad, rois, data.shape)
        ),
    }
    found = {}
    for name, call in calls.items():
        call(data[:2], rois * 0)
        before = forget_most_resident(), resident()
        result = call(data, rois)
        found[name] = (most_resident() - before[1] - result.nbytes) / images
    print(json.dumps(found))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="/proc tells what is resident on Linux alone")
def test_memory():
    """Of each a few numbers; plans and views, which took 360 to 560 bytes, if it has regions."""
    told = json.loads(output_of(["-c", MEMORY, str(IMAGES)]))
    assert all(extra < 128 for extra in told.values()), told


@pytest.mark.parametrize("member", FAMILY, ids=str)
def test_some_images_have_regions(member):
    """Values and gradients are those of the images that have some, the other gradients 0."""
    rng = np.random.default_rng(1)
    few = member.maps(rng.standard_normal((2, 2, 9, 8)).astype(np.float32), (2, 2))
    many = np.full((6, *few.shape[1:]), np.nan, np.float32)
    many[[1, 4]] = few
    corners = np.array([[1, 1, 1, 6, 7], [-1, 0, 0, 3, 3], [0, 2, 0, 7, 5.5]], np.float32)
    rois = member.rows(corners, few.shape, 1.0)
    moved = rois.copy()
    moved[:, 0] = [4, -1, 1]
    expected = member(few, rois, (2, 2))
    assert_same_bits(member(many, moved, (2, 2)), expected)
    argmax = {}
    if member.saves:
        _, found = member(few, rois, (2, 2), return_argmax=True)
        argmax = {"argmax": found}
    grad = rng.standard_normal(expected.shape).astype(np.float32)
    found = member.backward(grad, moved, many.shape, 1.0, **argmax)
    assert_same_bits(found[[1, 4]], member.backward(grad, rois, few.shape, 1.0, **argmax))
    assert not found[[0, 2, 3, 5]].any()
