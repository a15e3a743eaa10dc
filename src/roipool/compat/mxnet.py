"""`ROIPooling` as MXNet has it, and `convert`, which puts roipool into a finished network.

Importing this does not load MXNet: `ROIPooling` takes every array that `roipool.roi_pool` takes, so
that a port may keep the name when its arrays are another library's.

Values and gradients are the same bit for bit on finite float32 and float64 features. The
differences:

- Of arrays, a batch index of N or more, or one that is no whole number, raises IndexError or
  ValueError, and so does a coordinate that is NaN or infinite: MXNet takes an index of −0.9 or 1.5
  for that of an image, and otherwise gives zeros. A negative index marks a padding row of zeros.
- Of symbols, which cannot raise while they run, all these rows are padding rows.
- A bin of −inf gives −inf and one of NaN gives NaN: MXNet gives the dtype's lowest number.
- Coordinates are computed in float32 even where features are float16, and regions may be of
  another dtype than the features: MXNet rounds them to float16, where no pixel above 2048 is exact.
- Integers can be pooled. Corners far outside the map are right: MXNet overflows 32-bit integers.
- With grad_req "add" a gradient is summed, then added; MXNet adds its parts one by one, so the last
  bits may differ.
- On the CPU only.
"""

import json
from typing import Any

from roipool import checks, ops


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
    if name is not None and out is None and hasattr(data, "list_arguments"):  # a symbol
        from roipool.doors.mxnet.graph import node

        size, scale = checks.pooled_size(pooled_size), checks.spatial_scale(spatial_scale)
        return node(data, rois, size, scale, name=name)
    return ops.roi_pool(data, rois, pooled_size, spatial_scale, out=out)


def convert(symbol: Any) -> Any:
    """A copy of a symbol in which every ROIPooling is roipool's; all else is as it was.

    Names, attributes, arguments, auxiliary states and outputs stay, so that the parameters of the
    network fit as they are. In the place of each ROIPooling stand three nodes, the last under its
    name: around the operator, named `_pool`, two that copy protect it from arrays that MXNet 1.9.1
    frees too early. The copy can be saved, and loaded by processes that have imported
    `roipool.doors.mxnet`.

        symbol, arg_params, aux_params = mx.model.load_checkpoint("fast_rcnn", 0)
        symbol = convert(symbol)

    Args:
        symbol: A symbol, or a group of them.

    Returns:
        A symbol of the same kind.
    """
    import mxnet as mx

    from roipool.doors.mxnet.graph import OPERATOR, PROTECTION

    graph = json.loads(symbol.tojson(remove_amp_cast=False))
    _replace_nodes(graph, OPERATOR, *PROTECTION)
    converted = mx.sym.load_json(json.dumps(graph))
    return converted.as_np_ndarray() if isinstance(symbol, mx.sym.np._Symbol) else converted


def _replace_nodes(
    graph: dict[str, Any], operator: str, protector: str, axes: dict[str, str]
) -> None:
    """In place: each ROIPooling becomes three nodes, and what comes behind is counted anew."""
    nodes: list[dict[str, Any]] = []
    place: list[int] = []  # of each old node among the new

    def moved(entries: list[list[int]]) -> list[list[int]]:
        return [[place[i], *output] for i, *output in entries]

    for node in graph["nodes"]:
        for subgraph in node.get("subgraphs", ()):  # the bodies of loops and branches
            _replace_nodes(subgraph, operator, protector, axes)
        inputs = moved(node["inputs"])
        if node["op"] == "ROIPooling":
            name, attributes = node["name"], node["attrs"]
            kept = {
                k: v for k, v in attributes.items() if k not in ("pooled_size", "spatial_scale")
            }
            protection = {"op": protector, "attrs": kept | axes}
            plain, pool = [len(nodes), 0, 0], [len(nodes) + 1, 0, 0]
            nodes += [
                {"name": f"{name}_plain", "inputs": inputs[:1], **protection},
                {
                    "name": f"{name}_pool",
                    "inputs": [plain, *inputs[1:]],
                    "op": "Custom",
                    "attrs": attributes | {"op_type": operator},
                },
                {"name": name, "inputs": [pool], **protection},
            ]
        else:
            nodes.append(node | {"inputs": inputs})
        place.append(len(nodes) - 1)
    graph |= {
        "nodes": nodes,
        "arg_nodes": [place[i] for i in graph["arg_nodes"]],
        "heads": moved(graph["heads"]),
    }
    graph.pop("node_row_ptr", None)  # MXNet counts for itself
