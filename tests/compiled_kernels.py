"""The kernels for GPUs, compiled for some where there is none: `python compiled_kernels.py` prints
what test_triton_compiled.py looks at. Triton runs in another process than its interpreter.
"""

import json
import os
import re
import subprocess
import tempfile
from pathlib import Path

if __name__ == "__main__":
    os.environ.pop("TRITON_INTERPRET", None)  # before Triton is imported

import triton
import triton.language as tl
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource

from roipool.devices import geometry, largest, layout, points, taps, tiles

TOOLS = Path(triton.__file__).parent / "backends" / "nvidia" / "bin"
FLOATS = {"fp16": tl.float32, "bf16": tl.float32, "fp32": tl.float32, "fp64": tl.float64}
WIDE = {"CHANNELS": 512, "INDEX": tl.int32}
TILE = {"ROWS": 2, "COLUMNS": 4, "LISTED": 64, "Y_SIDE": 8, "X_SIDE": 8}
FEATURES = ("data", "values", "pooled", "result", "source")
WEIGHTS = ("weight", "y_weight", "x_weight", "other_weight", "dense")


def variants():
    """Name, kernel, constants, and how many threads it has in warps."""
    for kind in ("fp16", "bf16", "fp32"):
        wide = FLOATS[kind]
        yield f"max-{kind}", largest.find, kind, {**WIDE, "FINDS": False, "WIDE": wide}
        yield f"max-argmax-{kind}", largest.find, kind, {**WIDE, "FINDS": True, "WIDE": wide}
        yield f"taps-read-{kind}", taps.read, kind, {**WIDE, "SUM": wide}
        yield f"points-read-{kind}", points.read, kind, {**WIDE, "SUM": wide}
        for how in ("max", "dense"):
            constants = {**TILE, "KIND": how, "SUM": wide, "CHANNELS": 256}
            yield f"{how}-add-{kind}", tiles.add, kind, constants
    yield "max-read", largest.read, "fp32", WIDE
    yield "taps-read-fp64", taps.read, "fp64", {**WIDE, "SUM": tl.float64}
    yield "taps-weigh", taps.weigh, "fp32", {**WIDE, "SUM": tl.float32, "CHANNELS": 256}
    yield (
        "points-weigh",
        points.weigh,
        "fp32",
        {"CHANNELS": 128, "INDEX": tl.int32, "SUM": tl.float32, "POINTS": 4},
    )
    yield (
        "taps-add",
        tiles.add,
        "fp32",
        {**TILE, "KIND": "taps", "SUM": tl.float32, "CHANNELS": 256},
    )
    yield (
        "points-add",
        tiles.add,
        "fp32",
        {**TILE, "KIND": "points", "SUM": tl.float32, "CHANNELS": 256},
    )
    yield "shortlist", tiles.shortlist, "fp32", {**TILE, "COUNTS": False}
    yield "turn", layout.turn, "fp32", {"SIDE": layout.SIDE}
    exact = {"MOST": 1e37, "F": tl.float32, "BLOCK": geometry.BLOCK}
    yield "bins", geometry.bins, "fp32", {**exact, "SUMS": tl.float32}
    for ratio in (0, 2):
        yield (
            f"taps-{ratio}",
            geometry.taps,
            "fp32",
            {**exact, "SUM": tl.float32, "RATIO": ratio, "ALIGNED": True, "NEAR": geometry.NEAR},
        )


VARIANTS = {name: rest for name, *rest in variants()}
EXACT = [
    name for name, (kernel, *_) in VARIANTS.items() if kernel in (geometry.bins, geometry.taps)
]


def type_of(name, kind):
    if name in FEATURES:
        return f"*{kind}"
    if name in WEIGHTS:
        return "*fp64" if kind == "fp64" else "*fp32"
    if name == "rois":
        return "*fp32"
    if name == "table":
        return "*fp64"
    return "*i64" if name == "stops" else "*i32"


NUMBERS = re.compile(
    r"^[A-Z]+$|_bin$|first|images|bins|step$|^of_|_slots|arrays|across|bands|rows|room"
)


POINTERS = ("y_bins", "x_bins", "other_weight", "other_taps", "other_pixel")


def source_of(kernel, kind, constants):
    """What the compiler takes, and how the kernel is launched."""
    signature, attributes = {}, {}
    for i, parameter in enumerate(kernel.params):
        name = parameter.name
        if parameter.is_constexpr:
            signature[name] = "constexpr"
            continue
        number = name not in POINTERS and NUMBERS.search(name)
        tile_count = kernel in (tiles.add, tiles.shortlist) and name == "tiles"
        signature[name] = "i32" if number or tile_count else type_of(name, kind)
        if signature[name].startswith("*") or name in ("C", "of_region", "of_bin"):
            attributes[(i,)] = [["tt.divisibility", 16]]
    if "of_channel" in signature:  # as of channels that lie last
        signature["of_channel"], constants = "constexpr", {**constants, "of_channel": 1}
    exact = kernel in (geometry.bins, geometry.taps)
    warps = 4 if exact else 8 if kernel is layout.turn else 1
    source = ASTSource(kernel, signature, constexprs=constants, attrs=attributes)
    return source, {"num_warps": warps, "enable_fp_fusion": not exact}


def for_nvidia(name, capability):
    """Of a variant's machine code the memory that a thread takes, and the instructions."""
    source, options = source_of(*VARIANTS[name])
    built = triton.compile(source, target=GPUTarget("cuda", capability, 32), options=options)
    with tempfile.NamedTemporaryFile(suffix=".cubin") as file:
        file.write(built.asm["cubin"])
        file.flush()
        used, code = (_told(how, file.name) for how in ("-res-usage", "-sass"))
    found = r"^\s+/\*[0-9a-f]{4,}\*/\s+(?:@!?U?P\d+ )?([A-Z0-9.]+)"
    return {
        "used": {name: int(n) for name, n in re.findall(r"(REG|STACK|LOCAL):(\d+)", used)},
        "instructions": re.findall(found, code, re.M),
        "arithmetic": sorted(set(re.findall(r"\b(?:div|fma)\.[a-z.0-9]+", built.asm["ptx"]))),
    }


def _told(how, file):
    call = [TOOLS / "cuobjdump", how, file]
    return subprocess.run(call, capture_output=True, text=True, check=True).stdout


def for_amd(name):
    """The same; memory as the assembler counts it."""
    source, options = source_of(*VARIANTS[name])
    target = GPUTarget("hip", "gfx942", 64)
    code = triton.compile(source, target=target, options=options).asm["amdgcn"]
    used = re.findall(r"\.(vgpr_spill_count|private_segment_fixed_size):\s*(\d+)", code)
    return {
        "used": {name: int(n) for name, n in used},
        "instructions": re.findall(r"^\s+([a-z]+_[a-z0-9_]+)", code, re.M),
    }


if __name__ == "__main__":
    print(
        json.dumps(
            {
                name: {
                    "sm_80": for_nvidia(name, 80),
                    "sm_90": for_nvidia(name, 90),
                    "gfx942": for_amd(name),
                }
                for name in VARIANTS
            }
        )
    )
