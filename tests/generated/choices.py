"""Where a test's choices come from; a first option is the plainest, and a small number too."""

from collections.abc import Sequence


class Choices:
    """Those that bytes make, as a fuzzer or a file gives them: where they end, the plainest."""

    def __init__(self, given: bytes):
        self.given, self.at = given, 0

    def number(self, low: int, high: int) -> int:
        """A whole number, ends inclusive."""
        span = high - low + 1
        size = (span.bit_length() + 7) // 8
        taken = self.given[self.at : self.at + size]
        self.at += size
        return low + int.from_bytes(taken, "little") % span

    def of(self, options: Sequence):
        return options[self.number(0, len(options) - 1)]

    def seldom(self) -> bool:
        return self.number(0, 7) == 7


class Drawn(Choices):
    """Those of hypothesis, which makes what fails as plain as it can."""

    def __init__(self, draw):
        self.draw = draw

    def number(self, low, high):
        from hypothesis import strategies as st

        return self.draw(st.integers(low, high))
