"""How the arrays lie that all kernels take and give: channels last, others are turned; and which
of several arrays of maps a region belongs to.
"""

import torch
import triton
import triton.language as tl
from torch import Tensor

FUSED = {"enable_fp_fusion": True}  # said aloud: what Triton does unasked changes with 3.10
SIDE = 64  # of the tiles that are turned in shared memory


@triton.jit
def answers(n, first, images):
    """Whether a launch over an array of maps fills a region's results: one on its images, which n
    counts from the array's first; of padding rows, whose index is negative, the first array's.
    """
    return ((n >= 0) & (n < images)) | ((n + first < 0) & (first == 0))


@triton.jit
def turn(source, result, R, S, SIDE: tl.constexpr):
    """Matrices (R, S), one after the other, as (S, R)."""
    across = tl.cdiv(S, SIDE)
    r = tl.program_id(0) // across * SIDE + tl.arange(0, SIDE)
    s = tl.program_id(0) % across * SIDE + tl.arange(0, SIDE)
    first = tl.program_id(1).to(tl.int64) * R * S
    there = (r < R)[:, None] & (s < S)[None, :]
    at = first + r.to(tl.int64)[:, None] * S + s[None, :]
    tile = tl.load(source + at, mask=there)
    at = first + s.to(tl.int64)[:, None] * R + r[None, :]
    tl.store(result + at, tl.trans(tile), mask=(s < S)[:, None] & (r < R)[None, :])


def is_last(tensor: Tensor) -> bool:
    """Whether its channels lie last and without gaps."""
    return tensor.is_contiguous(memory_format=torch.channels_last)


def empty_like(tensor: Tensor) -> Tensor:
    """Of the same shape, with channels last."""
    return torch.empty_like(tensor, memory_format=torch.channels_last)


def as_last(tensor: Tensor) -> Tensor:
    """The tensor (N, C, H, W), its channels lying last."""
    if is_last(tensor):
        return tensor
    tensor = tensor.contiguous()
    result = empty_like(tensor)
    N, C, H, W = tensor.shape
    _turned(tensor, result, N, C, H * W)
    return result


def put_back(last: Tensor, result: Tensor) -> None:
    """Into a contiguous tensor what was made with channels last."""
    N, C, H, W = result.shape
    _turned(last, result, N, H * W, C)


def _turned(source: Tensor, result: Tensor, N: int, R: int, S: int) -> None:
    tiles = triton.cdiv(R, SIDE) * triton.cdiv(S, SIDE)
    for n in range(0, N, 65535):  # as many as a grid has along its second axis
        part = slice(n, n + 65535)
        turn[(tiles, min(N - n, 65535))](
            source[part], result[part], R, S, SIDE, num_warps=8, **FUSED
        )
