"""The numbers of --roi: how many there are is the operator's to say."""

from collections.abc import Sequence

from roipool.command.features import InputError
from roipool.command.operators import Chosen
from roipool.command.regions import columns_of
from roipool.command.words import plural

FLAG = "--roi"


def as_words(arguments: Sequence[str]) -> list[str]:
    """The arguments of a command, the numbers behind each --roi as one word."""
    words: list[str] = []
    numbers: list[str] | None = None
    for argument in [*arguments, ""]:
        if numbers is not None and _is_number(argument):
            numbers.append(argument)
            continue
        if numbers:
            words.append(" ".join(numbers))
        numbers = [] if argument == FLAG else None
        words.append(argument)
    return words[:-1]


def _is_number(word: str) -> bool:
    try:
        float(word)
    except ValueError:
        return False
    return True


def rows_of(words: Sequence[str], several: Sequence[Chosen]) -> list[list[float]]:
    """A region for each operator, of one word for all or one for each."""
    if len(words) not in (1, len(several)):
        raise InputError(
            f"--roi is given {len(words)} times for {plural(len(several), 'operator')}; expected "
            "one for all, or one for each in their order"
        )
    each = [*words] * (len(several) // len(words))
    return [_numbers(word, chosen) for word, chosen in zip(each, several, strict=True)]


def _numbers(word: str, chosen: Chosen) -> list[float]:
    if not all(map(_is_number, word.split())):
        columns = ", ".join(columns_of(chosen.operator.rows))
        raise InputError(f"--roi is {word!r}; expected numbers: {columns}")
    return [float(number) for number in word.split()]
