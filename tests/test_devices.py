"""Devices beside the CPU: their array text on tensors of the CPU, beside the core's kernels."""

import pytest

pytest.importorskip("torch")

from device_cases import DTYPES, WHOLE, check
from roipool.devices import text
from roipool.kernels import KERNELS


def test_every_kernel_is_there():
    assert text.KERNELS.keys() == KERNELS.keys()


@pytest.mark.parametrize("several", [False, True])
@pytest.mark.parametrize("last", [False, True])
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", text.KERNELS)
def test_as_the_core_has_it(name, dtype, last, several):
    check(text.KERNELS[name], name, dtype, last, several)


@pytest.mark.parametrize("dtype", WHOLE)
def test_whole_numbers(dtype):
    check(text.KERNELS["max"], "max", dtype, True, False)
