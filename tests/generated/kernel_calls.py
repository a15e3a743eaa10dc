"""Any call of any kernel at the native entry: right, or wrong in one thing.

Features, weights and pooled values are small whole numbers, whose sums nothing rounds; max has
every odd number too.
"""

from dataclasses import dataclass

import numpy as np

from cases import DTYPES, FLOATS, odd_maps
from generated.faults import FAULTS
from generated.guarded import LAYOUTS, PLAIN, guarded_copy, laid
from generated.kernel_answers import OutsideError, answer, assert_answered
from roipool import _core
from roipool.kernels import KERNELS
from roipool.memory import bits

NAMES = list(KERNELS)
CHANNELS = [3, 1, 2, 16, 17, 33, 64, 5, 0]
MOST_MAPS, MOST_SIDE = 3, 12


@dataclass
class Call:
    """The arguments by name, in memory between closed pages; features are a list of maps.

    Attributes:
        wrong: What of it is, in a word; "" of a right call.
        times: How often its regions come, one after all others: many are pooled in other ways.
    """

    kernel: object
    dtype: np.dtype
    known: dict
    results: dict
    threads: int
    wrong: str = ""
    times: int = 1

    def run(self):
        if self.times == 1:
            return self._run(self.known, self.results)
        given = {arg.name: self._repeated(arg, self.known) for arg in self.kernel.inputs}
        every = {name: np.concatenate([a] * self.times) for name, a in self.results.items()}
        inside = self._run(given, every)
        for name, array in self.results.items():
            array[...] = every[name][: len(array)]
            assert every[name].tobytes() == array.tobytes() * self.times
        return inside

    def _repeated(self, arg, known):
        repeats = self.times if arg.axes[0] == "K" else 1
        return np.concatenate([known[arg.name]] * repeats) if repeats > 1 else known[arg.name]

    def _run(self, known, results):
        inputs, outputs = ([_as_bits(a) for a in arrays.values()] for arrays in (known, results))
        return _core.run(self.kernel.name, self.dtype.name, inputs, outputs, self.threads)


def _as_bits(array):
    return list(map(_as_bits, array)) if isinstance(array, list) else bits(array)


def any_call(choices, name=""):
    call = _right_call(choices, KERNELS[name or choices.of(NAMES)])
    if choices.seldom():
        call.wrong = choices.of(list(FAULTS))
        FAULTS[call.wrong](choices, call)
    elif call.kernel.name == "max":
        call.times = choices.of([1, 1, 30, 300])
    return call


def check(choices, name=""):
    """Run any call: it gives what its formula says, or is refused before anything is written."""
    call = any_call(choices, name)
    before = {name: _copied(array) for name, array in call.known.items()}
    unset = {name: _copied(array) for name, array in call.results.items()}
    try:
        inside = call.run()
    except ValueError:
        if not call.wrong:
            raise
        for name, array in call.results.items():
            assert_unchanged(array, unset[name])
        return
    for name, array in call.known.items():
        assert_unchanged(array, before[name])
    if call.wrong == "ranges" and "weigh" in call.kernel.name:
        return  # bins may share a weight now, that was one's own
    try:
        asked = {name: array for name, array in unset.items() if not _is_none(array)}
        expected = answer(call.kernel, _planes_known(call), asked)
    except OutsideError:
        assert not inside
        return
    assert inside
    for name, wanted in expected.items():
        assert_answered(call.results[name], wanted)


def _is_none(array):
    return isinstance(array, list) and not array


def _planes_known(call):
    """The inputs, and of what kind the maps are where they are the result."""
    return call.known if "data" in call.known else call.known | {"data": call.results["data"]}


def _copied(array):
    return list(map(_copied, array)) if isinstance(array, list) else array.copy()


def assert_unchanged(array, before):
    if isinstance(array, list):
        for now, then in zip(array, before, strict=True):
            assert_unchanged(now, then)
    else:
        assert array.tobytes() == before.tobytes()


def _right_call(choices, kernel):
    whole = kernel.name in ("max", "max_read")
    dtype = np.dtype(choices.of(DTYPES if whole else FLOATS))
    sums = np.float64 if dtype == np.float64 else np.float32
    sizes = {
        "C": choices.of(CHANNELS),
        "K": choices.number(0, 5),
        "h": choices.number(1, 4),
        "w": choices.number(1, 4),
        "2": 2,
    }
    maps = [
        (choices.number(0, 2), sizes["C"], *(choices.number(0, MOST_SIDE) for _ in "HW"))
        for _ in range(choices.number(1, MOST_MAPS))
    ]
    sides = [shape[2:] for shape in maps for _ in range(shape[0])]
    images = [choices.number(-1, len(sides) - 1) for _ in range(sizes["K"])]
    structure = Structure(choices, sizes, [sides[n] if n >= 0 else (0, 0) for n in images])
    rng = np.random.default_rng(choices.number(0, 65535))
    at_end = choices.number(0, 1)

    def made(arg):
        if arg.axes == "NCHW":
            ways, odd = PLAIN if arg in kernel.results else list(LAYOUTS), kernel.name == "max"
            return [features(choices, rng, shape, dtype, ways, odd) for shape in maps]
        shape = structure.shape_of(arg)
        if arg.dtype == "data":
            return features(choices, rng, shape, dtype, PLAIN)
        if arg.dtype == "sum":
            return guarded_copy(rng.integers(-2, 3, shape).astype(sums), at_end)
        if arg.along == "N":
            return guarded_copy(np.array(images, np.int32), at_end)
        return guarded_copy(structure.whole_numbers(arg, rng), at_end)

    def result(arg):
        like = made(arg)
        for array in like if isinstance(like, list) else [like]:
            array.view(f"i{array.itemsize}")[...] = -1  # NaN, where there is one
        return like

    known = {arg.name: made(arg) for arg in kernel.inputs}
    asked = kernel.results[: choices.number(1, len(kernel.results))] if whole else kernel.results
    results = {arg.name: result(arg) for arg in asked}
    return Call(kernel, dtype, known, results, choices.of([1, 2, 5, 0]))


class Structure:
    """Which bins a call's regions have, in which pixels, and lists of what lies in them.

    Of lists, bins lie one behind the other, with gaps that are no bin's.
    """

    def __init__(self, choices, sizes, sides):
        self.choices, self.sizes, self.sides = choices, dict(sizes), sides
        self.ranges = {}

    def shape_of(self, arg):
        for letter in arg.axes:
            if letter not in self.sizes:
                self._list_along(letter)
        return tuple(self.sizes[letter] for letter in arg.axes)

    def _list_along(self, letter):
        axes = {"Y": "Kh", "X": "Kw", "S": "Khw"}[letter]
        shape = [self.sizes[axis] for axis in axes]
        count = np.prod(shape, dtype=int)
        inside = 2 * np.array([self.choices.number(0, 3) for _ in range(count)], int)
        gaps = np.array([self.choices.seldom() for _ in range(count)], int)
        ends = np.cumsum(inside + gaps)
        self.ranges[letter] = np.stack([ends - inside, ends], -1).reshape(*shape, 2)
        self.sizes[letter] = int(ends[-1]) if count else 0

    def whole_numbers(self, arg, rng):
        """Of 32 bits, or now and then positions of 64."""
        if arg.along in ("H", "W"):
            found = self._bins(arg.along)
        elif arg.along:
            self.shape_of(arg)
            if arg.along not in self.sizes:
                self._list_along(arg.along)
            found = self.ranges[arg.along]
        elif arg.name.endswith("_pixel"):
            found = rng.integers(-1, MOST_SIDE, self.shape_of(arg))
        else:
            return self._argmax(arg, rng)
        return np.asarray(found, np.int32)

    def _bins(self, letter):
        found = np.zeros((self.sizes["K"], self.sizes["h" if letter == "H" else "w"], 2), int)
        for k, bins in enumerate(found):
            side = self.sides[k]["HW".index(letter)]
            for each in bins:
                each[0] = self.choices.number(0, side)
                each[1] = self.choices.number(int(each[0]), side)
        return found

    def _argmax(self, arg, rng):
        shape = self.shape_of(arg)
        share = rng.random(shape)
        of = np.zeros(shape, int)
        if arg.dtype == "position":
            of += np.array([h * w for h, w in self.sides], int).reshape(-1, 1, 1, 1)
        else:
            self.shape_of(arg)
            for letter in "YX":
                if letter not in self.sizes:
                    self._list_along(letter)
            y, x = (np.diff(self.ranges[letter], axis=-1)[..., 0] // 2 for letter in "YX")
            of += (y[:, :, None] * x[:, None])[:, None]
        wide = arg.dtype == "position" and self.choices.seldom()
        return np.floor(share * (of + 1) - 1).astype(np.int64 if wide else np.int32)


def features(choices, rng, shape, dtype, layouts, odd=False):
    """Maps or pooled values, which lie in memory in one of these ways."""
    if odd:
        values = odd_maps(rng, shape, dtype)
    else:
        values = rng.integers(0 if dtype.kind == "u" else -3, 4, shape).astype(dtype)
    return laid(values, choices.of(layouts), choices.number(0, 1))
