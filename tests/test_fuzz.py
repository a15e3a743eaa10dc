"""A minute of what `make fuzz` does for longer: its corpus, and inputs that are nearly of it."""

import os
import random
import time

import pytest

from generated.fuzz import corpus, one_input

SECONDS = float(os.environ.get("ROIPOOL_FUZZ_SECONDS", "60"))


def changed(rng, known):
    """Two inputs joined, some bytes of which are others."""
    first, second = rng.choice(known), rng.choice(known)
    joined = bytearray(first[: rng.randint(0, len(first))] + second[rng.randint(0, len(second)) :])
    for _ in range(rng.randint(0, 4) if joined else 0):
        joined[rng.randrange(len(joined))] = rng.choice([0, 1, 255, rng.randrange(256)])
    return bytes(joined)


def test_inputs():
    began, known = time.monotonic(), corpus()
    rng, count = random.Random(), 0  # other calls each time
    for given in known:
        run(given)
    while time.monotonic() - began < SECONDS:
        run(changed(rng, known))
        count += 1
    print(f"{len(known)} inputs of the corpus, {count} others")
    assert known


def run(given):
    try:
        one_input(given)
    except Exception:
        pytest.fail(f"generated.fuzz.one_input(bytes.fromhex({given.hex()!r}))")
