"""The kernels for GPUs, compiled for three of them where there is none; what is looked at is
machine code: registers, loads, divisions, and that nothing is added by atomics.
"""

import functools
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("torch")
pytest.importorskip("triton")

from compiled_kernels import EXACT, VARIANTS

SCRIPT = Path(__file__).parent / "compiled_kernels.py"
# Of a thread: half of what a multiprocessor has for 1,024 of them, or twice that where sums of a
# tile are held in registers.
REGISTERS, HELD = 128, 255


@functools.cache
def all_compiled():
    call = [sys.executable, "-W", "ignore", SCRIPT]
    return json.loads(subprocess.run(call, stdout=subprocess.PIPE, check=True).stdout)


def compiled(name, target):
    return all_compiled()[name][target]


@pytest.mark.parametrize("target", ["sm_80", "sm_90"])
@pytest.mark.parametrize("name", VARIANTS)
def test_what_a_thread_holds_is_in_registers(name, target):
    code = compiled(name, target)
    assert code["used"]["STACK"] == code["used"]["LOCAL"] == 0
    assert not [each for each in code["instructions"] if each.startswith(("LDL", "STL"))]
    assert code["used"]["REG"] <= (HELD if "add" in name or "fp64" in name else REGISTERS)


@pytest.mark.parametrize("name", VARIANTS)
def test_for_amd_too(name):
    used = compiled(name, "gfx942")["used"]
    assert used == {"vgpr_spill_count": 0, "private_segment_fixed_size": 0}


@pytest.mark.parametrize("name", VARIANTS)
def test_nothing_is_added_by_atomics(name):
    atomic = re.compile(r"ATOM|RED\.|REDG|.*_atomic_")
    for target in ("sm_80", "sm_90", "gfx942"):
        assert not [each for each in compiled(name, target)["instructions"] if atomic.match(each)]


@pytest.mark.parametrize("name", [name for name in VARIANTS if re.search("read|^max|add-", name)])
def test_channels_are_read_sixteen_bytes_at_a_time(name):
    assert any(re.match(r"LDG.*\.128", each) for each in compiled(name, "sm_90")["instructions"])


@pytest.mark.parametrize("name", EXACT)
def test_geometry_rounds_as_the_text_does(name):
    arithmetic = compiled(name, "sm_90")["arithmetic"]
    assert "div.rn.f32" in arithmetic
    assert not [each for each in arithmetic if each.startswith(("div.full", "fma.rn.f32"))]
