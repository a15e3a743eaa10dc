"""A finished Fast R-CNN of MXNet, converted: the same bits in every output and gradient, sooner.

    python examples/from_mxnet.py          with MXNet 1.9.1, NumPy 1.23.5 and roipool

Prints how many times as long MXNet's network takes, for a prediction and for a step of training,
and the same for the operator alone.
"""

import argparse
import time
from collections.abc import Callable
from typing import Any

import mxnet as mx
import numpy as np

from roipool.compat.mxnet import ROIPooling, convert

CLASSES = 21
STRIDE = 16


def fast_rcnn(channels: int) -> Any:
    """Convolutions down to a sixteenth, ROIPooling, two heads and their losses."""
    features = mx.sym.Variable("data")
    for i, (stride, filters) in enumerate(((4, 16), (2, 64), (2, channels))):
        features = mx.sym.Convolution(
            features,
            num_filter=filters,
            kernel=(3, 3),
            stride=(stride, stride),
            pad=(1, 1),
            name=f"conv{i}",
        )
        features = mx.sym.Activation(features, act_type="relu", name=f"relu{i}")
    pooled = mx.sym.ROIPooling(
        features, mx.sym.Variable("rois"), (7, 7), 1 / STRIDE, name="roi_pool5"
    )
    hidden = mx.sym.FullyConnected(pooled, num_hidden=64, name="fc6")
    hidden = mx.sym.Activation(hidden, act_type="relu", name="relu6")
    score = mx.sym.FullyConnected(hidden, num_hidden=CLASSES, name="cls_score")
    classes = mx.sym.SoftmaxOutput(score, mx.sym.Variable("label"), name="cls_prob")
    boxes = mx.sym.FullyConnected(hidden, num_hidden=4 * CLASSES, name="bbox_pred")
    away = boxes - mx.sym.Variable("bbox_target")
    loss = mx.sym.MakeLoss(mx.sym.smooth_l1(away, scalar=1.0), name="bbox_loss")
    return mx.sym.Group([classes, loss])


def regions(
    rng: np.random.Generator, count: int, images: int, height: int, width: int
) -> np.ndarray:
    """Of every size from 20 pixels to the image's."""
    size = np.exp(rng.uniform(np.log(20), np.log([width, height]), (count, 2)))
    corner = rng.uniform(0, [width, height] - size)
    index = rng.integers(0, images, (count, 1))
    rows: np.ndarray = np.concatenate([index, corner, corner + size - 1], axis=1)
    return rows


def bound(symbol: Any, rois: np.ndarray, **shapes: tuple[int, ...]) -> Any:
    """With the same random weights and inputs for every symbol of the same arguments."""
    rng = np.random.default_rng(0)
    executor = symbol.simple_bind(mx.cpu(), rois=rois.shape, **shapes)
    for name, array in executor.arg_dict.items():
        if name == "rois":
            array[:] = rois
        elif name == "label":
            array[:] = rng.integers(0, CLASSES, array.shape)
        else:
            array[:] = rng.standard_normal(array.shape) / 10
    return executor


def predict(executor: Any) -> None:
    """Forward, as no training follows."""
    for output in executor.forward(is_train=False):
        output.wait_to_read()


def train(executor: Any) -> None:
    """Forward and backward."""
    executor.forward(is_train=True)
    executor.backward()
    mx.nd.waitall()


def results(executor: Any) -> dict[str, np.ndarray]:
    """Outputs and gradients of one step."""
    train(executor)
    arrays = dict(executor.output_dict.items())
    arrays |= {f"gradient of {name}": grad for name, grad in executor.grad_dict.items()}
    return {name: array.asnumpy() for name, array in arrays.items()}


def ratio(call: Callable[[Any], None], mxnet: Any, ours: Any, rounds: int) -> float:
    """Of the shortest of several interleaved calls."""
    shortest = dict.fromkeys((mxnet, ours), float("inf"))
    for _ in range(rounds):
        for executor in shortest:
            start = time.perf_counter()
            call(executor)
            shortest[executor] = min(shortest[executor], time.perf_counter() - start)
    return shortest[mxnet] / shortest[ours]


def main() -> None:
    """Compares, then times."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--images", type=int, default=1)
    parser.add_argument("--size", type=int, nargs=2, default=(600, 1000))
    parser.add_argument("--regions", type=int, default=300)
    parser.add_argument("--channels", type=int, default=512)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    rois = regions(np.random.default_rng(1), options.regions, options.images, *options.size)

    network, data = fast_rcnn(options.channels), (options.images, 3, *options.size)
    mxnet, ours = (bound(symbol, rois, data=data) for symbol in (network, convert(network)))
    wanted, given = results(mxnet), results(ours)
    differing = [name for name in wanted if not np.array_equal(wanted[name], given[name])]
    print(f"{len(wanted) - len(differing)} of {len(wanted)} outputs and gradients: the same bits")
    if differing:
        raise SystemExit(f"others differ: {', '.join(differing)}")
    for name, call in (("prediction", predict), ("training step", train)):
        times = ratio(call, mxnet, ours, options.rounds)
        print(f"the network, {name}: MXNet takes {times:.2f} times as long")

    inputs = mx.sym.Variable("data"), mx.sym.Variable("rois"), (7, 7), 1 / STRIDE
    maps = (options.images, options.channels, *(-(-length // STRIDE) for length in options.size))
    mxnet, ours = (
        bound(pool(*inputs), rois, data=maps) for pool in (mx.sym.ROIPooling, ROIPooling)
    )
    times = ratio(predict, mxnet, ours, options.rounds)
    print(f"the operator: MXNet takes {times:.2f} times as long")


if __name__ == "__main__":
    main()
