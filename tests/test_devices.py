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


@pytest.mark.parametrize("name", text.KERNELS)
def test_chunks_of_one_region(name, monkeypatch):
    monkeypatch.setattr(text, "CHUNK", 1)
    check(text.KERNELS[name], name, "float32", False, True)


def test_how_large_a_chunk_is(monkeypatch):
    monkeypatch.setenv("ROIPOOL_CHUNK", "1000")
    assert text.chunk_elements() == 1000
    monkeypatch.setenv("ROIPOOL_CHUNK", "1k")
    with pytest.raises(ValueError, match="ROIPOOL_CHUNK is '1k'; expected how many elements"):
        text.chunk_elements()


@pytest.mark.parametrize("dtype", WHOLE)
def test_whole_numbers(dtype):
    check(text.KERNELS["max"], "max", dtype, True, False)
