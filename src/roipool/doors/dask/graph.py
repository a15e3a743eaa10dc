"""A layer of a Dask graph, and the lazy array that is its result."""

from collections.abc import Callable, Sequence
from typing import Any

import dask.array as da
import numpy as np
from dask._task_spec import Task, TaskRef  # "dask.Task" in Dask's specification of graphs
from dask.base import tokenize
from dask.highlevelgraph import HighLevelGraph

from roipool.doors.dask.chunks import Sizes
from roipool.doors.dask.tasks import wait


class Layer:
    """Tasks named after what they compute from, so that the same call has the same keys."""

    def __init__(self, what: str, *inputs: Any) -> None:
        self.name = f"{what}-{tokenize(*inputs)}"
        self.tasks: dict[tuple[Any, ...], Task] = {}

    def put(self, place: tuple[Any, ...], function: Callable[..., Any], *args: Any) -> TaskRef:
        """Add one task: at four numbers a block of the result, else a step named first."""
        step, *rest = place if isinstance(place[0], str) else ("", *place)
        key = (f"{step}-{self.name}".removeprefix("-"), *rest)
        self.tasks[key] = Task(key, function, *args)
        return TaskRef(key)

    def after(self, place: tuple[Any, ...], others: Sequence[TaskRef]) -> TaskRef:
        """What a task takes that is to run after all these; none of their results is moved."""
        done = [self.put(("done", *place, i), wait, other) for i, other in enumerate(others)]
        return self.put(("all-done", *place), wait, *done)

    def array(self, sizes: Sequence[Sizes], dtype: Any, inputs: Sequence[da.Array]) -> da.Array:
        """The blocks of the result as one array."""
        graph = HighLevelGraph.from_collections(self.name, self.tasks, dependencies=inputs)
        return da.Array(graph, self.name, tuple(sizes), meta=empty(dtype))


def empty(dtype: Any) -> np.ndarray:
    """What tells Dask the kind of a block without computing one."""
    return np.empty((0, 0, 0, 0), dtype)
