"""A peer's answers to the cases of roi_align: `python align_answers.py PEER COUNT SEED OUT.npz`.

Writes for case i out_i, the pooled values, and grad_i, the gradient for data, of those that have
one; peers of float32 alone answer in that.
"""

import sys

import numpy as np

from align_cases import align_cases


def torchvision():
    import torch
    from torchvision.ops import roi_align

    def answer(case):
        data = torch.from_numpy(case["data"]).requires_grad_()
        rois, how = torch.from_numpy(case["rois"]), (case["sampling_ratio"], case["aligned"])
        out = roi_align(data, rois, case["pooled_size"], case["scale"], *how)
        out.backward(torch.from_numpy(case["grad"]))
        return out.detach().numpy(), data.grad.numpy()

    return answer


def mxnet():
    np.bool = bool  # MXNet 1.9.1 asks for it
    import mxnet as mx

    def answer(case):
        data, rois = (mx.nd.array(case[name], dtype=case[name].dtype) for name in ("data", "rois"))
        data.attach_grad()
        with mx.autograd.record():
            out = mx.nd.contrib.ROIAlign(
                data,
                rois,
                case["pooled_size"],
                case["scale"],
                sample_ratio=case["sampling_ratio"] or -1,
                aligned=case["aligned"],
            )
        out.backward(mx.nd.array(case["grad"], dtype=case["grad"].dtype))
        return out.asnumpy(), data.grad.asnumpy()

    return answer


def run_onnx(inputs, attributes, opset=16):
    """What ONNX Runtime gives for RoiAlign, of inputs by name."""
    import onnxruntime as ort
    from onnx import TensorProto, helper

    node = helper.make_node("RoiAlign", list(inputs), ["out"], **attributes)
    known = [
        helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(array.dtype), None)
        for name, array in inputs.items()
    ]
    out = helper.make_tensor_value_info("out", TensorProto.FLOAT, None)
    graph = helper.make_graph([node], "pool", known, [out])
    opsets = [helper.make_opsetid("", opset)]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=8)
    session = ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return session.run(None, inputs)


def onnxruntime(opset=16):
    def answer(case):
        modes = {True: "half_pixel", False: "output_half_pixel"}
        if opset < 16 and case["aligned"]:
            return ()
        inputs = {
            "data": case["data"].astype(np.float32),
            "boxes": np.ascontiguousarray(case["rois"][:, 1:], np.float32),
            "images": case["rois"][:, 0].astype(np.int64),
        }
        height, width = case["pooled_size"]
        attributes = {
            "output_height": height,
            "output_width": width,
            "sampling_ratio": case["sampling_ratio"],
            "spatial_scale": case["scale"],
        }
        if opset >= 16:
            attributes["coordinate_transformation_mode"] = modes[case["aligned"]]
        return run_onnx(inputs, attributes, opset)

    return answer


def onnxruntime10():
    return onnxruntime(10)


def run_openvino(node, *arrays):
    """What a node gives, made of parameters."""
    sys.modules["openvino_telemetry"] = None  # else importing it reports home, in a thread
    import openvino as ov
    from openvino import opset13

    inputs = [opset13.parameter(array.shape, array.dtype) for array in arrays]
    properties = {"INFERENCE_PRECISION_HINT": "f32"}  # else it may round to bfloat16
    model = ov.compile_model(ov.Model([node(*inputs)], inputs), "CPU", properties)
    return model(list(arrays))[0].copy()


def openvino():
    def answer(case):
        def node(*inputs):
            from openvino import opset13

            return opset13.roi_align(
                *inputs,
                *case["pooled_size"],
                case["sampling_ratio"],
                case["scale"],
                "avg",
                "half_pixel_for_nn" if case["aligned"] else "asymmetric",
            )

        data = case["data"].astype(np.float32)
        boxes = np.ascontiguousarray(case["rois"][:, 1:], np.float32)
        return (run_openvino(node, data, boxes, case["rois"][:, 0].astype(np.int32)),)

    return answer


def main(peer, count, seed, path):
    arrays, answer = {}, globals()[peer]()
    for i, case in enumerate(align_cases(peer, int(count), int(seed))):
        found = answer(case) if len(case["rois"]) else ()
        arrays.update({f"{name}_{i}": part for name, part in zip(("out", "grad"), found)})  # noqa: B905
    np.savez_compressed(path, **arrays)


if __name__ == "__main__":
    main(*sys.argv[1:])
