"""The page of the tables, docs/odd-inputs.md."""

from collections import Counter
from collections.abc import Iterable, Mapping

from odd_inputs import outcomes
from odd_inputs.cases import CASES, ERROR, INTEGERS, ROW, SIZES, VALUES
from odd_inputs.contenders import UNITS, Contender
from odd_inputs.outcomes import WORDS, Outcome

Results = Mapping[Contender, Mapping[str, Outcome]]

RIGHT = {
    VALUES: "values",
    ERROR: "error",
    ROW: "error, or padding",
    SIZES: "values",
    INTEGERS: "values, or error",
}
SHORT = {outcomes.CLEAR: "clear", outcomes.UNCLEAR: "unclear", outcomes.OTHER: "other"}

HEAD = """# Odd inputs

What this library and its peers do with {cases} odd inputs. A run of `make odd-inputs` wrote this
page; it fails unless this library does what is right in every case.

Each case is an ordinary call, of three regions in two images, that is odd in one thing:
[tests/odd_inputs/cases.py](../tests/odd_inputs/cases.py) has them. Each is called in a process of
its own, with {seconds:g} seconds and {gib} GiB of resident memory. Maps lie between other maps, and
new memory is filled, so that what reads beside the maps, or returns memory unwritten, gives no
zeros by luck. What is right [semantics.md](semantics.md) says: values, or an error where an input
has no meaning.

| word | what happened |
| --- | --- |
| right | those values, to 1e-4 of each or of 1, of half precision to 2e-3 |
| clear | an error that names the odd argument, or shows the odd value, dtype or shape |
| unclear | an error that does neither |
| other | the values of another rule, named below |
| silent | other values, or values where an error is right, without an error |
| crash | the process ended without an error of Python's |
| hang | no answer in time |
| memory | the memory was used up |
| – | the library has no way to say the call, or no array that holds it: not counted as anything |

Messages are judged by their words alone: the argument's name in that library, whole or between
underscores, for regions also "roi", "box" or "batch"; or the odd value. Names of files, nodes and
operators do not count. Where values are right, a clear error counts as clear: it refuses in words.

Some of what is right is this project's choice. A region of image −1 is padding here, and by
the documentation of MXNet's ROIAlign; to OpenVINO's ROIPooling it is the end of the list, which
counts as other. A NaN never wins a maximum here; where it always wins, that counts as other, and so
do strings that are read as numbers. A scale of 0 or less, a corner that is no finite number, an
image that is not there: here each is an error, so that whoever answers is silent, even where it
means to. Such a row is an error where rows can be looked at, and padding in what is compiled.
Integer maps have a maximum, and no mean here, though a peer may have one; a box that is given by
its size and has a negative one is an error. What lies beside an array, or in memory that was not
written, differs from run to run: where it is read, silent may become crash or other.
"""


def page(results: Results, versions: Mapping[str, str], seconds: float, gib: int) -> str:
    """All of it."""
    ours = [contender for contender in results if UNITS[contender.unit].ours]
    peers = [contender for contender in results if contender not in ours]
    in_numpy = [contender for contender in ours if contender.unit == "numpy"]
    doors = [contender for contender in ours if contender.unit != "numpy"]
    parts = [
        HEAD.format(cases=len(CASES), seconds=seconds, gib=gib),
        "## Peers\n\n" + summary(results, peers, versions),
        by_case(results, peers, right=True),
        "## This library\n\nThe operators, of NumPy's arrays, then two of them at the other doors; "
        "each as is right in every case.\n\n" + summary(results, ours, {}),
        by_case(results, in_numpy),
        by_case(results, doors),
    ]
    return "\n".join(parts)


def title(contender: Contender) -> str:
    return f"{UNITS[contender.unit].title} {contender.operator}"


def line(cells: Iterable[object]) -> str:
    return "| " + " | ".join(map(str, cells)) + " |"


def summary(results: Results, which: list[Contender], versions: Mapping[str, str]) -> str:
    """How often each word was said of each."""
    counts = [Counter(outcome.word for outcome in results[each].values()) for each in which]
    words = [word for word in WORDS if word == outcomes.RIGHT or any(c[word] for c in counts)]
    rows = [line(["", *words]), line(["---", *["---:"] * len(words)])]
    for contender, count in zip(which, counts, strict=True):
        version = versions.get(contender.unit, "").partition("+")[0]  # of whatever build
        name = f"{title(contender)} ({version})" if version else title(contender)
        rows.append(line([name, *(count[word] for word in words)]))
    return "\n".join(rows) + "\n"


def by_case(results: Results, which: list[Contender], right: bool = False) -> str:
    """The word for each, case by case."""
    heads = ["", *(["right is"] if right else []), *map(title, which)]
    rows = [line(heads), line(["---"] * len(heads))]
    for case in CASES:
        words = [results[each][case.name].word for each in which]
        said = [RIGHT[case.right]] if right else []
        rows.append(line([case.name, *said, *(SHORT.get(word, word) for word in words)]))
    return "\n".join(rows) + "\n"
