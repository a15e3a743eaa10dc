"""The same error, in the same words, at every door; padding where values cannot be looked at."""

import re

import numpy as np
import pytest

from cases import nan
from defined import EACH, OPERATORS
from test_errors import ROWS, row

either = pytest.mark.parametrize("operator", EACH, ids=str)
DATA = np.zeros((2, 3, 8, 8), np.float32)
BOX = np.array([[0, 0, 0, 1, 1]], np.float32)
FORMS = r"expected an array \(K, 5\) of rows \[batch_index, x1, y1, x2, y2\], or a sequence"


@pytest.mark.parametrize(("values", "error", "message"), ROWS, ids=[str(r[0]) for r in ROWS])
@either
def test_rows(door, operator, values, error, message):
    data, rois = door.array(DATA + 1), door.rois(row(*values))
    if not door.looks:
        found = door.numpy(door.call(operator, data, rois, 2))
        assert not found[2].any()
        assert (found[:2] > 0).all()
        return
    with pytest.raises(error, match="^" + re.escape(message)):
        door.numpy(door.call(operator, data, rois, 2))


@pytest.mark.parametrize(("values", "error", "message"), ROWS, ids=[str(r[0]) for r in ROWS])
@either
def test_rows_backward(door, operator, values, error, message):
    if operator.finds and len(ROWS) > 7 and not message.startswith("rois[2] has"):
        return  # only the images matter
    grad, argmax = np.ones((3, 3, 2, 2), np.float32), np.zeros((3, 3, 2, 2), np.int32)
    given = door.array(grad), door.array(argmax), door.rois(row(*values)), DATA.shape
    if not door.looks:
        found = door.numpy(door.call(operator.backward, *given))
        assert found.sum() == pytest.approx(grad[:2].sum())
        return
    with pytest.raises(error, match="^" + re.escape(message)):
        door.numpy(door.call(operator.backward, *given))


@pytest.mark.parametrize(("values", "error", "message"), ROWS, ids=[str(r[0]) for r in ROWS])
@pytest.mark.parametrize("operator", OPERATORS[1:2], ids=str)
def test_rows_backward_rois(door, operator, values, error, message):
    grad = np.ones((3, 3, 2, 2), np.float32)
    given = door.array(grad), door.array(DATA), door.rois(row(*values))
    if not door.looks:
        assert not door.numpy(door.call(operator.backward_rois, *given))[2].any()
        return
    with pytest.raises(error, match="^" + re.escape(message)):
        door.numpy(door.call(operator.backward_rois, *given))


@either
@pytest.mark.parametrize("images", [0, 1])
def test_few_images(door, operator, images):
    held = ["no image", "one image (index 0)"][images]
    if not door.looks:
        pytest.skip("a wrong index is padding there")
    rois = door.rois(np.array([[images, 0, 0, 1, 1]], np.float32))
    with pytest.raises(IndexError, match=re.escape(f"batch index {images}, but data holds {held}")):
        door.numpy(door.call(operator, door.array(DATA[:images]), rois, 2))


def said(table):
    """What a case changes and is told, for the names of tests."""
    return [f"{next(iter(changed))}: {message[:30]}" for changed, _, message in table]


def named(dtype):
    """As any library spells it."""
    return rf"dtype (<class ')?(\w+\.)*{dtype}"


ARGUMENTS = [
    ({"data": DATA[0]}, ValueError, r"data has shape \(3, 8, 8\); expected feature maps \(N, C, H"),
    ({"data": DATA[None]}, ValueError, r"data has shape \(1, 2, 3, 8, 8\); expected feature maps"),
    ({"data": DATA + 1j}, TypeError, f"data has {named('complex64')}.*; expected one of float16, "),
    ({"data": DATA > 0}, TypeError, f"data has {named('bool')}.*; expected one of .* convert with"),
    ({"rois": np.zeros((3, 4))}, ValueError, r"rois has shape \(3, 4\); " + FORMS),
    ({"rois": np.zeros(5)}, ValueError, r"rois has shape \(5,\); " + FORMS),
    ({"rois": np.zeros((1, 2, 5))}, ValueError, r"rois has shape \(1, 2, 5\); " + FORMS),
    ({"rois": BOX > 0}, TypeError, f"rois has {named('bool')}.*; expected real numbers"),
    ({"rois": BOX + 1j}, TypeError, f"rois has {named('complex64')}.*; expected real numbers"),
    ({"rois": [BOX[:, 1:]]}, ValueError, "rois holds boxes for 1 images, but data holds 2; give"),
    ({"rois": [BOX[:, 1:], BOX]}, ValueError, r"rois\[1\] has shape \(1, 5\); " + FORMS),
    ({"rois": [BOX[:, 1:] > 0] * 2}, TypeError, rf"rois\[0\] has {named('bool')}.*; expected real"),
    ({"pooled_size": 0}, ValueError, "pooled_size is 0; each side must be at least 1"),
    ({"pooled_size": (3, -1)}, ValueError, r"pooled_size is \(3, -1\); each side must be at least"),
    ({"pooled_size": (1, 2, 3)}, TypeError, r"pooled_size is \(1, 2, 3\); expected two whole"),
    ({"pooled_size": 2.5}, TypeError, "pooled_size is 2.5; expected two whole numbers"),
    ({"pooled_size": None}, TypeError, "pooled_size is None; expected two whole numbers"),
    ({"scale": 0}, ValueError, "spatial_scale is 0; expected a finite positive number"),
    ({"scale": nan}, ValueError, "spatial_scale is nan; expected a finite positive"),
    ({"scale": 1e-300}, ValueError, "spatial_scale is 1e-300; expected a finite positive"),
    ({"scale": "1/16x"}, TypeError, "spatial_scale is '1/16x'; expected one number"),
    ({"scale": (1.0, 2.0, 3.0)}, ValueError, r"spatial_scale is \(1.0, 2.0, 3.0\); expected one n"),
    ({"scale": (1.0, -2.0)}, ValueError, r"spatial_scale is -2.0; expected a finite positive"),
    ({"sampling_ratio": 1.5}, TypeError, "sampling_ratio is 1.5; expected a whole number"),
    ({"sampling_ratio": 2000}, ValueError, "sampling_ratio is 2000; expected at most 1024, or 0"),
]


@pytest.mark.parametrize(("changed", "error", "message"), ARGUMENTS, ids=said(ARGUMENTS))
@either
def test_arguments(door, operator, changed, error, message):
    given = {"data": DATA, "rois": BOX, "pooled_size": 2, "scale": 1.0} | changed
    if "sampling_ratio" in given:
        if operator.finds:
            return
        operator = type(operator)(operator.name)  # whose options are not yet given
    if isinstance(given["rois"], list) and not door.lists:
        pytest.skip(f"{door.name} takes boxes of each image from NumPy")
    try:
        given |= {"data": door.array(given["data"]), "rois": door.rois(given["rois"])}
    except (KeyError, TypeError, ValueError):
        pytest.skip(f"{door.name} has no such array")
    with pytest.raises(error, match="^" + message):
        door.call(operator, *given.values()) if len(given) == 4 else door.call(
            operator, *list(given.values())[:4], sampling_ratio=given["sampling_ratio"]
        )


@pytest.mark.parametrize("operator", EACH[1:], ids=str)
def test_integers_are_not_averaged(door, operator):
    data, rois = door.array(DATA.astype(np.int32)), door.rois(BOX)
    wanted = f"^data has {named('int32')}.*; expected one of float16, bfloat16, float32, float64: "
    with pytest.raises(TypeError, match=wanted):
        door.call(operator, data, rois, 2)


@either
def test_maps_that_are_unlike(door, operator):
    if not door.several:
        pytest.skip(f"{door.name} takes one array of maps")
    for other, told in ((DATA[:, :2], "float32 and 2 channels"), (DATA.astype(np.int32), "int32")):
        if other.dtype == np.int32 and not operator.finds:
            continue
        maps = door.array([DATA, other])
        with pytest.raises(ValueError, match=rf"^data\[1\] has dtype (\w+\.)*{told}"):
            door.call(operator, maps, door.rois(BOX), 2)
    with pytest.raises(ValueError, match=r"one for each of the 2 arrays in data"):
        door.call(operator, door.array([DATA, DATA]), door.rois(BOX), 2, (1.0, 1.0, 1.0))


BACKWARD = [
    ({"grad": np.zeros((1, 3, 2, 2), np.int32)}, TypeError, "grad has dtype .*int32.*; a gradient"),
    ({"grad": DATA[0, :, :2, :2]}, ValueError, r"grad has shape \(3, 2, 2\); expected "),
    ({"grad": DATA[:1, :2, :2, :2]}, ValueError, r"grad has shape \(1, 2, 2, 2\); expected \(1, 3"),
    ({"rois": np.zeros((2, 5), np.float32)}, ValueError, r"grad has shape .*; expected \(2, 3, h"),
    ({"data_shape": (2, 3, 8)}, ValueError, r"data_shape is \(2, 3, 8\); expected \(N, C, H, W\)"),
    ({"data_shape": (2, 3, 8, -1)}, ValueError, r"data_shape is \(2, 3, 8, -1\); expected \(N"),
    ({"data_shape": 8}, TypeError, r"data_shape is 8; expected \(N, C, H, W\)"),
]
POSITIONS = [
    ({"argmax": np.zeros((1, 3, 1, 2), np.int32)}, ValueError, r"argmax has shape \(1, 3, 1, 2\)"),
    ({"argmax": DATA[:1, :, :2, :2]}, ValueError, "argmax has shape .*float32.*; expected"),
]


@pytest.mark.parametrize(
    ("changed", "error", "message"), BACKWARD + POSITIONS, ids=said(BACKWARD + POSITIONS)
)
@either
def test_arguments_backward(door, operator, changed, error, message):
    if "argmax" in changed and not operator.finds:
        return
    grad = DATA[:1, :, :2, :2]
    given = {"grad": grad, "argmax": grad.astype(np.int32), "rois": BOX, "data_shape": DATA.shape}
    given |= changed
    arrays = door.array(given["grad"]), door.array(given["argmax"]), door.rois(given["rois"])
    with pytest.raises(error, match="^" + message):
        door.call(operator.backward, *arrays, given["data_shape"])


@pytest.mark.parametrize("position", [64, -2, 2**31 - 1])
def test_positions_outside_the_map(door, position):
    grad, argmax = np.ones((1, 3, 2, 2), np.float32), np.full((1, 3, 2, 2), position, np.int32)
    given = door.array(grad), door.array(argmax), door.rois(BOX), DATA.shape
    if not door.looks:
        assert not door.numpy(door.call(EACH[0].backward, *given)).any()
        return
    with pytest.raises(IndexError, match=r"^argmax holds positions outside the map .* -1 to 63"):
        door.numpy(door.call(EACH[0].backward, *given))
