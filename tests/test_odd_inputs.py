"""The rules by which `make odd-inputs` judges, and this library's answers to its cases."""

import numpy as np
import pytest

from odd_inputs import answers
from odd_inputs.cases import BY_NAME, CASES, ORDINARY
from odd_inputs.contenders import CONTENDERS
from odd_inputs.contenders.roipool_numpy import prepare
from odd_inputs.outcomes import Report, difference, is_clear, is_met, outcome, told

LARGE = ("maps of 3.2·10⁹ values", "a large result after fork")  # too slow here
BY_LABEL = {str(contender): contender for contender in CONTENDERS}
NUMPY = BY_LABEL["numpy roi_pool"]


def asked(contender, case):
    """A report as a child makes it, of a call in this process."""
    run = prepare(contender.operator, case.call())
    try:
        return Report(stage="answered", values=run())
    except Exception as error:
        return Report(stage="error", kind=type(error).__name__, message=str(error))


@pytest.mark.parametrize("name", ["roi_pool", "roi_align", "roi_align_rotated"])
def test_this_library_does_what_is_right(name):
    contender = BY_LABEL[f"numpy {name}"]
    words = {}
    for case in [ORDINARY, *(case for case in CASES if case.name not in LARGE)]:
        found = outcome(contender, case, asked(contender, case))
        assert is_met(contender, case, found.word), (case.name, found)
        words[found.word] = words.get(found.word, 0) + 1
    assert words.keys() == {"right", "clear error"}
    assert min(words.values()) > 15


def test_every_case_is_odd_in_its_own_way():
    assert len({case.name for case in CASES}) == len(CASES) == 45
    assert {contender.like for contender in CONTENDERS} == {*answers.DEFINITIONS}


def test_values_beside_the_definition():
    case = BY_NAME["index −1"]
    values = answers.values(case.name, "roi_pool")
    assert not values[1].any()
    assert values[2].any()
    ended = values.copy()
    ended[2:] = 0
    for given, word in [
        (values, "right"),
        (values.astype(np.float64), "right"),
        (values + np.float32(1e-6), "right"),
        (values + np.float32(1e-2), "silent"),
        (values[:2], "silent"),
        (np.full_like(values, np.nan), "silent"),
        (ended, "other rule"),
    ]:
        found = outcome(NUMPY, case, Report(stage="answered", values=given))
        assert found.word == word, found


def test_a_nan_that_wins_is_another_rule():
    case = BY_NAME["a NaN in the maps"]
    won = answers.other_values(case, "roi_pool")
    assert np.isnan(won).any()
    assert not np.isnan(answers.values(case.name, "roi_pool")).any()
    assert outcome(NUMPY, case, Report(stage="answered", values=won)).word == "other rule"


def test_infinities_are_compared():
    inf = np.float32([np.inf])
    assert not difference(inf, inf)
    assert difference(-inf, inf)
    assert difference(np.float32([1]), inf)


@pytest.mark.parametrize(
    ("report", "word"),
    [
        (Report(stage="error", message="rois[1] has batch index 2"), "clear error"),
        (Report(stage="error", message="tensor sizes do not match"), "unclear error"),
        (Report(stage="answered", values=np.zeros((3, 8, 2, 2))), "silent"),
        (Report(stage="calling", signal="SIGSEGV", status=-11), "crash"),
        (Report(stage="calling", status=255), "crash"),
        (Report(), "crash"),
        (Report(stage="calling", ended="time", signal="SIGKILL"), "hang"),
        (Report(stage="calling", ended="memory", signal="SIGKILL"), "memory"),
        (Report(stage="making arrays", ended="memory", signal="SIGKILL"), "–"),
        (Report(stage="unsupported", message="no such array"), "–"),
    ],
)
def test_words(report, word):
    assert outcome(NUMPY, BY_NAME["index N"], report).word == word
    assert is_met(NUMPY, BY_NAME["index N"], word) == (word in ("clear error", "–"))


def test_a_message_is_clear_by_its_words():
    assert is_clear("Check failed: roi_batch_id >= 0", ("roi",), ())
    assert is_clear("expected Rois, not this", ("rois",), ())
    assert is_clear("got dtype complex64", (), ("complex64",))
    assert not is_clear("the heroic proisaic", ("roi", "rois"), ())
    assert not is_clear("", ("rois",), ("nan",))
    assert not is_clear("finance", (), ("nan",))


def test_places_do_not_count():
    said = told(
        "File x\nroi_pool.cc:42 RoiPool<T>::Compute MaxRoiPool_3 failed\nStack trace:\n rois"
    )
    assert "failed" in said
    assert not is_clear(said, ("roi", "rois", "pool"), ())
    assert is_clear(told("roi_pool.cc:42 rois is 3"), ("rois",), ())


def test_who_cannot_look_pads():
    jitted, case = BY_LABEL["jax.jit roi_pool"], BY_NAME["index N"]
    values = answers.values(case.name, "roi_pool")
    assert not values[1].any()
    found = outcome(jitted, case, Report(stage="answered", values=values))
    assert is_met(jitted, case, found.word)
    looking = jitted._replace(looks=True)
    word = outcome(looking, case, Report(stage="answered", values=values)).word
    assert word == "silent"
    assert not is_met(looking, case, word)
