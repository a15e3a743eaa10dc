"""A layer of a Dask graph, and the lazy array that is its result."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import dask.array as da
import numpy as np
from dask._task_spec import List, Task, TaskRef  # "dask.Task" in Dask's specification of graphs
from dask.base import tokenize
from dask.highlevelgraph import HighLevelGraph

from roipool.doors.dask.chunks import Sizes
from roipool.doors.dask.tasks import Join, add, combine, wait

AT_ONCE = 4  # parts that one task combines, as in Dask's own reductions


class Layer:
    """Tasks named after what they compute from, so that the same call has the same keys."""

    def __init__(self, what: str, *inputs: Any) -> None:
        self.name = f"{what.replace('_', '-')}-{tokenize(*inputs)}"
        self.tasks: dict[tuple[Any, ...], Task] = {}

    def put(self, place: tuple[Any, ...], function: Callable[..., Any], *args: Any) -> TaskRef:
        """Add one task: at numbers alone a block of the result, else a step named first."""
        step, *rest = place if isinstance(place[0], str) else ("", *place)
        key = (f"{step}-{self.name}".removeprefix("-"), *rest)
        self.tasks[key] = Task(key, function, *args)
        return TaskRef(key)

    def after(self, place: tuple[Any, ...], others: Sequence[TaskRef]) -> TaskRef:
        """What a task takes that is to run after all these; none of their results is moved."""
        done = [self.put(("done", *place, i), wait, other) for i, other in enumerate(others)]
        return self.put(("all-done", *place), wait, *done)

    def combined(
        self, place: tuple[Any, ...], parts: Mapping[int, TaskRef], count: int, join: Join
    ) -> list[TaskRef]:
        """Few enough parts for one task, each combined of a few others; they never all meet.

        Parts are known by their numbers among so many that there could be. Of sums these alone say
        which meet when, so that the bits of a region's do not depend on the regions beside it.
        """
        level = 0
        while (count if join is add else len(parts)) > AT_ONCE:
            groups: dict[int, list[TaskRef]] = {}
            for number, part in parts.items():
                groups.setdefault(number // AT_ONCE, []).append(part)
            parts = {
                number: self.put(("combine", *place, level, number), combine, List(*group), join)
                if len(group) > 1
                else group[0]
                for number, group in groups.items()
            }
            count, level = -(-count // AT_ONCE), level + 1
        return [*parts.values()]

    def array(self, sizes: Sequence[Sizes], dtype: Any, inputs: Sequence[da.Array]) -> da.Array:
        """The blocks of the result as one array."""
        graph = HighLevelGraph.from_collections(self.name, self.tasks, dependencies=inputs)
        return da.Array(graph, self.name, tuple(sizes), meta=empty(dtype, len(sizes)))


def empty(dtype: Any, axes: int = 4) -> np.ndarray:
    """What tells Dask the kind of a block without computing one."""
    return np.empty((0,) * axes, dtype)
