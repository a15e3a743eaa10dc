"""Calls that hypothesis makes up, of every kernel and of every operator at every door."""

import os

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from family import EVERY, is_ragged
from generated import kernel_calls, operator_calls
from generated.choices import Drawn

TIMES = int(os.environ.get("ROIPOOL_EXAMPLES", "1"))  # as many as are usual


def generated(examples):
    """So many calls, each made of choices."""
    slow = [HealthCheck.too_slow, HealthCheck.data_too_large]
    return settings(max_examples=examples * TIMES, deadline=None, suppress_health_check=slow)


@pytest.mark.parametrize("name", kernel_calls.NAMES)
@generated(30)
@given(st.data())
def test_kernels(name, data):
    kernel_calls.check(Drawn(data.draw), name)


@pytest.mark.parametrize("member", EVERY, ids=str)
@generated(12)
@given(st.data())
def test_operators(door, member, data):
    if not door.looks and is_ragged(member):
        pytest.skip("its structure has no size before its regions are known")
    operator_calls.check(Drawn(data.draw), door, member)
