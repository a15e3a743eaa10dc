"""The kernels of the core as data: all that a door must know to call one and to differentiate it.

A kernel reduces over structures (see geometry) and never sees a region. Those that are linear
are the partial derivatives of a multilinear form:

    max        Σ pooled · data[argmax]
    taps       Σ pooled · (y_weight ⊗ x_weight) data[pixel]
    samples    Σ pooled · (y_weight ⊗ x_weight)[argmax] data[pixel]
    points     Σ pooled · weight data[pixel]

Each gives one factor of its form from all the others: max_read and max_add; taps_read, taps_add,
taps_weigh_y and taps_weigh_x, beside taps_weigh, which gives both weights; and so of samples. There
taps come in pairs, the two pixels of a sample along an axis, and argmax is the sample of each bin
that is the largest: its number along y times those along x, plus its number along x. So the
derivative of any of them with respect to any factor is another of the same form, and the tangent of
any of them is the sum of its calls with one factor exchanged for its tangent: both modes, of any
order, by one rule.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple


class Arg(NamedTuple):
    """An array. Its axes have a letter each, and equal letters are equal sizes.

    N images of C channels, H rows and W columns; K regions of h by w bins; Y and X taps along y
    and x of all bins; a tap belongs to one bin of one region, and is none where its pixel lies
    outside the map. Feature maps, NCHW, may come as a list of arrays whose images are counted
    through: then N, H and W are those of each array.

    Attributes:
        name: As in the kernel's formula.
        axes: The letters.
        dtype: That of the features ("data"), that of their sums ("sum": float64 for float64, else
            float32), "int32", or what holds a position in a plane ("position").
        along: The axis that its whole numbers count along, if any: they grow where calls are joined
            along it. Two of them are where a bin begins and, no earlier, ends; an image below 0 is
            none.
    """

    name: str
    axes: str
    dtype: str = "data"
    along: str = ""


class Kernel(NamedTuple):
    """What goes in, what comes out, and which kernels are its derivatives.

    Attributes:
        name: That of the native kernel.
        inputs: In the order of a call.
        results: Those behind the first need not be asked for.
        linear: From each input that the result is linear in to the kernel that gives it: the
            transpose. That takes the result's cotangent in the result's place.
        tangent: Of a kernel that is not linear: the kernel that takes the tangent of an input in
            its place, given the other inputs and the results, of each that it is linear in.
    """

    name: str
    inputs: tuple[Arg, ...]
    results: tuple[Arg, ...]
    linear: Mapping[str, str] = {}
    tangent: str = ""

    @property
    def lists(self) -> set[str]:
        """The axes of the lists that all bins share."""
        return {arg.along for arg in self.inputs} - {"", "N", "H", "W"}

    def arguments(self, known: Mapping[str, Any]) -> list[Any]:
        """What of all that is known by name goes in, in order."""
        return [known[arg.name] for arg in self.inputs]


DATA = Arg("data", "NCHW")
POOLED = Arg("pooled", "KChw")
IMAGE = Arg("image", "K", "int32", along="N")
ARGMAX = Arg("argmax", "KChw", "position")
BINS = (Arg("y_bins", "Kh2", "int32", along="H"), Arg("x_bins", "Kw2", "int32", along="W"))
Y_WEIGHT, X_WEIGHT = Arg("y_weight", "Y", "sum"), Arg("x_weight", "X", "sum")
SAMPLE = Arg("argmax", "KChw", "int32")  # among the samples that are listed of a bin
WEIGHT = Arg("weight", "S", "sum")
POINTS = (  # of each bin: from where to where in the list of all points' pixels and weights
    Arg("points", "Khw2", "int32", along="S"),
    Arg("y_pixel", "S", "int32"),
    Arg("x_pixel", "S", "int32"),
)
TAPS = (  # of each bin: from where to where in the list of all taps' pixels and weights
    Arg("y_taps", "Kh2", "int32", along="Y"),
    Arg("y_pixel", "Y", "int32"),
    Arg("x_taps", "Kw2", "int32", along="X"),
    Arg("x_pixel", "X", "int32"),
)


def _partial_derivatives(structure: Sequence[Arg], gives: Mapping[str, Arg]) -> list[Kernel]:
    """The kernels of one multilinear form, by name, and the factor that each gives."""
    kernel_of = {factor.name: name for name, factor in gives.items()}
    kernels = []
    for name, given in gives.items():
        others = [factor for factor in gives.values() if factor is not given]
        linear = {factor.name: kernel_of[factor.name] for factor in others}
        kernels.append(Kernel(name, (*others, *structure), (given,), linear))
    return kernels


KERNELS = {
    kernel.name: kernel
    for kernel in (
        Kernel("max", (DATA, IMAGE, *BINS), (POOLED, ARGMAX), tangent="max_read"),
        *_partial_derivatives((IMAGE, ARGMAX), {"max_read": POOLED, "max_add": DATA}),
        *_partial_derivatives(
            (IMAGE, *TAPS),
            {
                "taps_read": POOLED,
                "taps_add": DATA,
                "taps_weigh_y": Y_WEIGHT,
                "taps_weigh_x": X_WEIGHT,
            },
        ),
        Kernel(
            "taps_weigh",
            (POOLED, DATA, Y_WEIGHT, X_WEIGHT, IMAGE, *TAPS),
            (Y_WEIGHT, X_WEIGHT),
        ),
        Kernel(
            "samples_max",
            (DATA, Y_WEIGHT, X_WEIGHT, IMAGE, *TAPS),
            (POOLED, SAMPLE),
            tangent="samples_read",
        ),
        *_partial_derivatives(
            (IMAGE, SAMPLE, *TAPS),
            {
                "samples_read": POOLED,
                "samples_add": DATA,
                "samples_weigh_y": Y_WEIGHT,
                "samples_weigh_x": X_WEIGHT,
            },
        ),
        Kernel(
            "samples_weigh",
            (POOLED, DATA, Y_WEIGHT, X_WEIGHT, IMAGE, SAMPLE, *TAPS),
            (Y_WEIGHT, X_WEIGHT),
        ),
        *_partial_derivatives(
            (IMAGE, *POINTS),
            {"points_read": POOLED, "points_add": DATA, "points_weigh": WEIGHT},
        ),
    )
}
