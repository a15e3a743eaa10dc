"""`ROIPooling` and `ROIAlign` as MXNet has them, and `convert`, for finished networks.

Importing this does not load MXNet: both take every array that `roipool.roi_pool` takes, so that a
port may keep the name when its arrays are another library's.

Values and gradients of ROIPooling are the same bit for bit on finite float32 and float64 features,
those of ROIAlign to rounding. The differences:

- Of arrays, a batch index of N or more, or one that is no whole number, raises IndexError or
  ValueError, and so does a coordinate that is NaN or infinite: MXNet takes an index of −0.9 or 1.5
  for that of an image, and otherwise gives zeros. A negative index marks a padding row of zeros:
  MXNet's ROIAlign leaves there what was in the memory before.
- Of symbols, which cannot raise while they run, all these rows are padding rows.
- ROIPooling: a bin of −inf gives −inf and one of NaN gives NaN: MXNet gives the dtype's lowest
  number. Integers can be pooled. Corners far outside the map are right: MXNet overflows 32-bit
  integers.
- ROIAlign: with `aligned`, a region without height or width gives zeros where `sample_ratio` is
  −1, and is mirrored where it is reversed and a ratio is given: MXNet ends the process. The regions
  have a gradient too: MXNet's is zero. A pixel of weight 0 is not read, and half types are summed
  in float32. In float64 `spatial_scale` is as it is given: MXNet rounds it to float32.
- Coordinates are computed in float32 even where features are float16, and regions may be of
  another dtype than the features: MXNet rounds them to float16, where no pixel above 2048 is exact.
- With grad_req "add" a gradient is summed, then added; MXNet adds its parts one by one, so the last
  bits may differ.
- On the CPU only.
"""

import json
from collections.abc import Mapping
from typing import Any, NamedTuple

from roipool import operators
from roipool.descriptions import OPERATORS


def ROIPooling(  # noqa: N802  the name in MXNet
    data: Any,
    rois: Any,
    pooled_size: tuple[int, int],
    spatial_scale: float,
    out: Any = None,
    name: str | None = None,
) -> Any:
    """`mx.nd.ROIPooling` and `mx.sym.ROIPooling`: see `roipool.roi_pool`; only nodes have a name.

    Example:
        >>> import numpy as np
        >>> from roipool.compat.mxnet import ROIPooling
        >>> x = np.arange(48, dtype=np.float32).reshape(1, 1, 8, 6)
        >>> ROIPooling(x, [[0, 0, 0, 4, 4]], (2, 2), 0.7)
        array([[[[ 7.,  9.],
                 [19., 21.]]]], dtype=float32)
    """
    if _is_named_node(data, out, name):
        return _node("roi_pool", name, data, rois, pooled_size, spatial_scale)
    return operators.roi_pool(data, rois, pooled_size, spatial_scale, out=out)


def ROIAlign(  # noqa: N802  the name in MXNet
    data: Any,
    rois: Any,
    pooled_size: tuple[int, int],
    spatial_scale: float,
    sample_ratio: int = -1,
    position_sensitive: bool = False,
    aligned: bool = False,
    out: Any = None,
    name: str | None = None,
) -> Any:
    """`mx.nd.contrib.ROIAlign` and `mx.sym.contrib.ROIAlign`: see `roipool.roi_align`.

    Only nodes have a name.

    Raises:
        NotImplementedError: `position_sensitive` is true.

    Example:
        >>> import numpy as np
        >>> from roipool.compat.mxnet import ROIAlign
        >>> x = np.arange(48, dtype=np.float32).reshape(1, 1, 8, 6)
        >>> ROIAlign(x, [[0, 1, 1, 4, 5]], (2, 2), 1.0)
        array([[[[13.75, 15.25],
                 [25.75, 27.25]]]], dtype=float32)
    """
    if position_sensitive:
        raise NotImplementedError(
            "position_sensitive is true; roipool has no such operator yet: use MXNet's there"
        )
    options: dict[str, Any] = {"sampling_ratio": sample_ratio, "aligned": aligned}
    if _is_named_node(data, out, name):
        return _node("roi_align", name, data, rois, pooled_size, spatial_scale, **options)
    return operators.roi_align(data, rois, pooled_size, spatial_scale, out=out, **options)


def _is_named_node(data: Any, out: Any, name: str | None) -> bool:
    return name is not None and out is None and hasattr(data, "list_arguments")  # a symbol


def _node(
    operator: str, name: str | None, data: Any, rois: Any, size: Any, scale: Any, **more: Any
) -> Any:
    from roipool.doors.mxnet.graph import node

    found = OPERATORS[operator]
    return node(found, data, rois, found.call(size, scale, None, **more), name=name)


class _Incumbent(NamedTuple):
    """An operator of MXNet's that has one here.

    Attributes:
        operator: The name of that here.
        options: From the name of each option there to its name here and its default there.
        refused: The option there that must be false.
    """

    operator: str
    options: Mapping[str, tuple[str, str]] = {}
    refused: str = ""

    def split(self, attributes: Mapping[str, str]) -> tuple[dict[str, str], dict[str, str]] | None:
        """What a node there says, in the words of here, and what else is noted at it.

        None of a node that is not offered here.
        """
        noted = dict(attributes)
        if noted.pop(self.refused, "False").lower() not in ("false", "0"):
            return None
        said = {name: noted.pop(name) for name in ("pooled_size", "spatial_scale")}
        for name, (here, default) in self.options.items():
            said[here] = noted.pop(name, default)
        return said, noted


# By the name of the operator in MXNet's graphs.
_INCUMBENTS = {
    "ROIPooling": _Incumbent("roi_pool"),
    "_contrib_ROIAlign": _Incumbent(
        "roi_align",
        {"sample_ratio": ("sampling_ratio", "-1"), "aligned": ("aligned", "False")},
        refused="position_sensitive",
    ),
}


def convert(symbol: Any) -> Any:
    """A copy of a symbol in which every ROIPooling and ROIAlign is roipool's; else as it was.

    Names, attributes, arguments, auxiliary states and outputs stay, so that the parameters of the
    network fit as they are. In the place of each such node stand three, the last under its name:
    around the operator, named `_pool`, two that copy protect it from arrays that MXNet 1.9.1
    frees too early. The copy can be saved, and loaded by processes that have imported
    `roipool.doors.mxnet`.

    A ROIAlign that is `position_sensitive` is left as it is: roipool has no such operator yet.

        symbol, arg_params, aux_params = mx.model.load_checkpoint("fast_rcnn", 0)
        symbol = convert(symbol)

    Args:
        symbol: A symbol, or a group of them.

    Returns:
        A symbol of the same kind.
    """
    import mxnet as mx

    graph = json.loads(symbol.tojson(remove_amp_cast=False))
    _replace_nodes(graph)
    converted = mx.sym.load_json(json.dumps(graph))
    return converted.as_np_ndarray() if isinstance(symbol, mx.sym.np._Symbol) else converted


def _replace_nodes(graph: dict[str, Any]) -> None:
    """In place: each of the incumbents becomes three, and what comes behind is counted anew."""
    nodes: list[dict[str, Any]] = []
    place: list[int] = []  # of each old node among the new

    def moved(entries: list[list[int]]) -> list[list[int]]:
        return [[place[i], *output] for i, *output in entries]

    for node in graph["nodes"]:
        for subgraph in node.get("subgraphs", ()):  # the bodies of loops and branches
            _replace_nodes(subgraph)
        nodes += _ours(node | {"inputs": moved(node["inputs"])}, len(nodes))
        place.append(len(nodes) - 1)
    graph |= {
        "nodes": nodes,
        "arg_nodes": [place[i] for i in graph["arg_nodes"]],
        "heads": moved(graph["heads"]),
    }
    graph.pop("node_row_ptr", None)  # MXNet counts for itself


def _ours(node: dict[str, Any], place: int) -> list[dict[str, Any]]:
    """What stands for a node from that place on: itself, or roipool's operator, protected."""
    from roipool.doors.mxnet.attributes import naming
    from roipool.doors.mxnet.graph import OPERATOR, PROTECTION

    incumbent = _INCUMBENTS.get(node["op"])
    parts = incumbent and incumbent.split(node["attrs"])
    if not incumbent or not parts:
        return [node]
    (said, noted), (protector, axes) = parts, PROTECTION
    name, (data, *others) = node["name"], node["inputs"]
    protection = {"op": protector, "attrs": noted | axes}
    attributes = noted | said | naming(incumbent.operator) | {"op_type": OPERATOR}
    plain, pool = [place, 0, 0], [place + 1, 0, 0]
    return [
        {"name": f"{name}_plain", "inputs": [data], **protection},
        {"name": f"{name}_pool", "inputs": [plain, *others], "op": "Custom", "attrs": attributes},
        {"name": name, "inputs": [pool], **protection},
    ]
