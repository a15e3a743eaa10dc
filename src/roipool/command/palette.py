"""The colours of bins: one text for the picture and the drawing in characters."""

# Told apart by colour-blind eyes (after Okabe and Ito, darkened to carry white text).
BIN_COLOURS = ("#0072B2", "#D55E00", "#00875F", "#A3338B", "#E69F00", "#56B4E9")
INK, FAINT = "#1a1a1a", "#777777"


def bin_colour(i: int, j: int, pooled_size: tuple[int, int]) -> str:
    """Bins that touch have different colours; up to six are all different."""
    rows, columns = pooled_size
    index = i * columns + j if rows * columns <= len(BIN_COLOURS) else 2 * i + j
    return BIN_COLOURS[index % len(BIN_COLOURS)]


def ink_on(colour: str) -> str:
    """The colour of text that can be read on another."""
    red, green, blue = (int(colour[i : i + 2], 16) for i in (1, 3, 5))
    return "white" if 0.299 * red + 0.587 * green + 0.114 * blue < 150 else INK
