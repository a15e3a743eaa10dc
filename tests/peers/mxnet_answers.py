"""MXNet's answers to the cases: `python mxnet_answers.py COUNT SEED OUT.npz`, in its own venv.

Writes for case i the arrays out_i (the pooled values) and grad_i (the gradient for data).
"""

import sys

import mxnet as mx
import numpy as np

from cases import cases


def answer(case):
    data, rois = mx.nd.array(case["data"], dtype=case["data"].dtype), case["rois"]
    data.attach_grad()
    with mx.autograd.record():
        out = mx.nd.ROIPooling(
            data,
            mx.nd.array(rois, dtype=rois.dtype),
            pooled_size=case["pooled_size"],
            spatial_scale=case["scale"],
        )
    out.backward(mx.nd.array(case["grad"], dtype=case["grad"].dtype))
    return out.asnumpy(), data.grad.asnumpy()


def main(count, seed, path):
    arrays = {}
    for i, case in enumerate(cases(int(count), int(seed))):
        arrays[f"out_{i}"], arrays[f"grad_{i}"] = answer(case)
    np.savez_compressed(path, **arrays)


if __name__ == "__main__":
    main(*sys.argv[1:])
