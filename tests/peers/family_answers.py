"""A peer's answers: `python family_answers.py PEER COUNT OUT.npz` writes name_i for case i."""

import os
import sys

import numpy as np
from align_answers import run_onnx, run_openvino
from family_cases import SCALE, SIZE, cases


def torchvision():
    import torch
    from torchvision import ops

    def answer(case):
        rois = torch.from_numpy(case["rois"])
        given = {}
        for name, how in (("ps_roi_pool", ()), ("ps_roi_align", (case["ratio"],))):
            data = torch.from_numpy(case["data"]).requires_grad_()
            values = getattr(ops, name)(data, rois, SIZE, SCALE, *how)
            values.backward(torch.from_numpy(case["grad"]))
            given |= {name: values.detach().numpy(), f"{name}_backward": data.grad.numpy()}
        return given

    return answer


def mxnet():
    np.bool = bool  # MXNet 1.9.1 asks for it
    import mxnet as mx

    def answer(case):
        data = mx.nd.array(case["data"])
        degrees = case["turned"] * np.float32([1, 1, 1, 1, 1, 180 / np.pi])
        turned = mx.nd.contrib.RROIAlign(
            data, mx.nd.array(degrees), SIZE, SCALE, sampling_ratio=case["ratio"]
        )
        average = mx.nd.contrib.PSROIPooling(
            data, mx.nd.array(case["rois"]), spatial_scale=SCALE, output_dim=2, pooled_size=SIZE[0]
        )
        return {"rotated_unaligned": turned.asnumpy(), "ps_roi_pool_rfcn": average.asnumpy()}

    return answer


def onnxruntime():
    def answer(case):
        inputs = {
            "data": case["data"],
            "boxes": np.ascontiguousarray(case["rois"][:, 1:]),
            "images": case["rois"][:, 0].astype(np.int64),
        }
        attributes = {
            "mode": "max",
            "output_height": SIZE[0],
            "output_width": SIZE[1],
            "sampling_ratio": case["ratio"],
            "spatial_scale": SCALE,
        }
        return {"onnx_max": run_onnx(inputs, attributes)[0]}

    return answer


def openvino():
    def answer(case):
        data, images = case["data"], case["rois"][:, 0].astype(np.int32)
        boxes, turned = (np.ascontiguousarray(case[name][:, 1:]) for name in ("rois", "turned"))
        ratio = case["ratio"]

        def rotated(*given):
            from openvino import opset15

            return opset15.roi_align_rotated(*given, *SIZE, ratio, SCALE, clockwise_mode=False)

        def average(data, rois):
            from openvino import opset13

            return opset13.psroi_pooling(data, rois, 2, SIZE[0], SCALE, 1, 1, "average")

        def largest(*given):
            from openvino import opset13

            return opset13.roi_align(*given, *SIZE, ratio, SCALE, "max", "half_pixel_for_nn")

        return {
            "rotated": run_openvino(rotated, data, turned, images),
            "ps_roi_pool_rfcn": run_openvino(average, data, case["rois"]),
            "never_negative": run_openvino(largest, -1 - np.abs(data), boxes, images),
        }

    return answer


def paddle():
    import paddle
    from paddle.vision.ops import psroi_pool

    def answer(case):
        # It wants the regions of each image behind each other, and how many each has.
        image = case["rois"][:, 0].astype(np.int64)
        order = np.argsort(image, kind="stable")
        boxes = paddle.to_tensor(case["rois"][order, 1:])
        counts = paddle.to_tensor(np.bincount(image, minlength=2).astype(np.int32))
        data = paddle.to_tensor(case["data"], stop_gradient=False)
        values = psroi_pool(data, boxes, counts, SIZE, SCALE)
        values.backward(paddle.to_tensor(case["grad"][order]))
        back = np.argsort(order)
        return {
            "ps_roi_pool_rfcn": values.numpy()[back],
            "ps_roi_pool_rfcn_backward": data.grad.numpy(),
        }

    return answer


def tensorflow():
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(1)  # more lose parts of gradients

    def answer(case):
        data = tf.constant(case["data"].transpose(0, 2, 3, 1))
        boxes, images = case["boxes"][:, 1:], case["boxes"][:, 0].astype(np.int32)
        given = {}
        for method in ("bilinear", "nearest"):
            crops = tf.image.crop_and_resize(data, boxes, images, SIZE, method)
            given[f"crop_{method}"] = crops.numpy().transpose(0, 3, 1, 2)
        return given

    return answer


if __name__ == "__main__":
    peer, count, out = sys.argv[1:]
    answer = globals()[peer]()
    found = {}
    for i, case in enumerate(cases(int(count))):
        found |= {f"{name}_{i}": array for name, array in answer(case).items()}
    np.savez(out, **found)
