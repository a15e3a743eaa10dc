"""Who answers: one small module per library, which runs in that library's own Python.

A module has

    VERSION                    of the library
    prepare(operator, call)    makes the library's own arrays, and returns a function without
                               arguments that calls the operator and gives NumPy's values

and raises UnsupportedError of what the library has no way to say; so does any error of `prepare`.
"""

from collections.abc import Mapping
from typing import NamedTuple

# What a message may call an argument, by its own name in the library or a plain word for it.
OUR_NAMES = {
    "data": ("data",),
    "rois": ("rois", "boxes"),
    "pooled_size": ("pooled_size", "size"),
    "scale": ("spatial_scale", "scales"),
}
ROI_WORDS = ("rois", "roi", "boxes", "box", "bbox", "batch")


class Unit(NamedTuple):
    """What one process imports.

    Attributes:
        module: Its file here.
        environment: Of benchmarks.environments; "" is the running Python's.
        title: The library, in words.
        names: What its messages may call each argument.
        ours: Whether it is this library, or a door of it.
        lacks: Cases that its library rules out for all its operators, and why.
    """

    module: str
    environment: str
    title: str
    names: Mapping[str, tuple[str, ...]] = OUR_NAMES
    ours: bool = False
    lacks: Mapping[str, str] = {}


class Contender(NamedTuple):
    """One operator of a unit.

    Attributes:
        unit: The name of the unit.
        operator: By which its module knows it.
        like: The definition that it has in answers.py.
        looks: Whether it can look at rows; where it cannot, a wrong row is right as padding.
        scaled: Whether it takes a scale.
    """

    unit: str
    operator: str
    like: str
    looks: bool = True
    scaled: bool = True

    def __str__(self) -> str:
        return f"{self.unit} {self.operator}"


FORK = {"a large result after fork": "the library rules out fork once it has run"}
UNITS = {
    "numpy": Unit("roipool_numpy", "", "NumPy", ours=True),
    "torch": Unit("roipool_doors", "", "PyTorch", ours=True),
    "jax": Unit("roipool_doors", "", "JAX", ours=True, lacks=FORK),
    "jax.jit": Unit("roipool_doors", "", "jax.jit", ours=True, lacks=FORK),
    "dask": Unit("roipool_doors", "", "Dask", ours=True),
    "dask rows": Unit("roipool_doors", "", "Dask, lazy rows", ours=True),
    "array_api_strict": Unit("roipool_doors", "", "DLPack (array-api-strict)", ours=True),
    "mxnet door": Unit("roipool_doors", "mxnet", "MXNet arrays", ours=True),
    "mxnet": Unit(
        "mxnet_peer",
        "mxnet",
        "MXNet",
        {
            "data": ("data",),
            "rois": ROI_WORDS,
            "pooled_size": ("pooled_size",),
            "scale": ("spatial_scale",),
        },
    ),
    "torchvision": Unit(
        "torchvision_peer",
        "torchvision",
        "torchvision",
        {
            "data": ("input",),
            "rois": ROI_WORDS,
            "pooled_size": ("output_size", "pooled_height", "pooling height"),
            "scale": ("spatial_scale",),
        },
    ),
    "onnxruntime": Unit(
        "onnxruntime_peer",
        "onnxruntime",
        "ONNX Runtime",
        {
            "data": ("X",),
            "rois": ROI_WORDS,
            "pooled_size": ("pooled_shape", "output_height"),
            "scale": ("spatial_scale",),
        },
    ),
    "openvino": Unit(
        "openvino_peer",
        "openvino",
        "OpenVINO",
        {
            "data": ("feature map", "feat_maps", "input_et", "data"),
            "rois": ROI_WORDS,
            "pooled_size": ("output_roi", "out_roi", "output_size", "pooled"),
            "scale": ("spatial_scale", "spatial scale"),
        },
    ),
    "paddle": Unit(
        "paddle_peer",
        "paddle",
        "Paddle",
        {
            "data": ("x", "input"),
            "rois": ROI_WORDS,
            "pooled_size": ("output_size", "pooled_height"),
            "scale": ("spatial_scale", "spatial scale"),
        },
    ),
    "tensorflow": Unit(
        "tensorflow_peer",
        "tensorflow",
        "TensorFlow",
        {
            "data": ("image",),
            "rois": ROI_WORDS,
            "pooled_size": ("crop_size", "crop_height", "crop dimensions"),
            "scale": (),
        },
        lacks=FORK,
    ),
}
FAMILY = (
    *("roi_pool", "roi_pool avg", "roi_align", "roi_align max", "roi_align onnx_max"),
    *("ps_roi_pool", "ps_roi_pool torchvision", "ps_roi_align", "prroi_pool"),
    *("roi_align_rotated", "crop_and_resize", "multi_scale"),
)
DOORS = [name for name, unit in UNITS.items() if unit.ours and name != "numpy"]
CONTENDERS = [
    *(Contender("numpy", name, name, scaled=name != "crop_and_resize") for name in FAMILY),
    *(
        Contender(door, name, name, looks=door != "jax.jit")
        for door in DOORS
        for name in ("roi_pool", "roi_align")
    ),
    Contender("mxnet", "ROIPooling", "roi_pool"),
    Contender("mxnet", "ROIAlign", "roi_align"),
    Contender("torchvision", "roi_pool", "roi_pool"),
    Contender("torchvision", "roi_align", "roi_align"),
    Contender("torchvision", "ps_roi_pool", "ps_roi_pool torchvision"),
    Contender("torchvision", "ps_roi_align", "ps_roi_align"),
    Contender("onnxruntime", "MaxRoiPool", "roi_pool"),
    Contender("onnxruntime", "RoiAlign", "roi_align"),
    Contender("openvino", "ROIPooling", "roi_pool"),
    Contender("openvino", "ROIAlign", "roi_align"),
    Contender("paddle", "roi_pool", "roi_pool"),
    Contender("paddle", "roi_align", "roi_align"),
    Contender("tensorflow", "crop_and_resize", "crop_and_resize", scaled=False),
]
