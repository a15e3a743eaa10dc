"""A door as the tests over all of them see it, and NumPy's own."""

import numpy as np

from cases import NAMES


class Door:
    """NumPy's, and what others have in common with it.

    Attributes:
        library: That it needs.
        dtypes: The names of those that features may have.
        looks: Whether rows can be looked at, so that wrong ones are errors, not padding.
        lists: Whether the boxes of each image may be arrays of the library.
        several: Whether it takes several arrays of feature maps.
        writes: Whether it fills the caller's memory.
        records: Whether the library takes derivatives.
        compiles: Whether each shape and dtype costs a compiler's time.
        kinds: Memory layouts, by their names in cases.py, that its arrays can have.
    """

    name = library = "numpy"
    dtypes = tuple(NAMES)
    looks = lists = several = writes = True
    records = compiles = False
    kinds = ("contiguous", "channels last", "width first", "strided", "one channel for all")

    def array(self, values):
        """An array of the library; a list of them of a list."""
        if isinstance(values, (list, tuple)):
            return [self.array(each) for each in values]
        return self.made(np.asarray(values))

    def made(self, values):
        return values

    def rois(self, rows):
        """Rows as this door takes them."""
        return self.array(rows)

    def laid(self, values):
        """An array of this very memory layout."""
        return values

    def call(self, function, *arguments, **options):
        return function(*arguments, **options)

    def numpy(self, result):
        """NumPy's arrays of the library's, of None, or of several of these."""
        if isinstance(result, (list, tuple)):
            return [self.numpy(each) for each in result]
        return None if result is None else self.read(result)

    def read(self, array):
        assert isinstance(array, np.ndarray)
        return array
