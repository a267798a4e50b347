"""The elementwise parts of a decoder layer: one kernel each on a GPU, compiled or gpu_kernel.py's;
plain PyTorch elsewhere.
"""

from collections.abc import Callable
from functools import cache
from importlib import import_module

import torch
from torch import Tensor
from torch.nn import functional


def norm(x: Tensor, weight: Tensor, eps: float) -> Tensor:
    """RMS norm over the last axis, summed in float32."""
    return _run(_norm, x, weight, eps)


def add_norm(x: Tensor, more: Tensor, weight: Tensor, eps: float) -> tuple[Tensor, Tensor]:
    """x + more, and its RMS norm."""
    return _run(_add_norm, x, more, weight, eps)


def rotate(x: Tensor, cos: Tensor, sin: Tensor, heads: int) -> tuple[Tensor, Tensor]:
    """Queries (the first `heads` heads) and keys (the others) at their rotary positions.

    x (tokens, all heads, width); cos and sin (tokens, 1, width).
    """
    return _run(_rotate, x, cos, sin, heads)


def swiglu(both: Tensor) -> Tensor:
    """silu(gate) * up of (tokens, [gate, up])."""
    return _run(_swiglu, both)


def swiglu_again(both: Tensor, gradient: Tensor) -> tuple[Tensor, Tensor]:
    """silu(gate) * up once more, perhaps in the gradient's place, and the gradient to [gate, up]
    from the one to it.
    """
    if both.is_cuda:
        return import_module("tasks.core.training.engine.gpu_kernel").swiglu_again(both, gradient)
    return _swiglu_again(both, gradient)


def score(logits: Tensor, targets: Tensor, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """Log-probs of the targets (float32), and their gradient to the logits in dtype: one_hot -
    softmax.
    """
    return _run(_score, logits, targets, dtype)


def _run(function: Callable, x: Tensor, *arguments):
    return (_compiled(function) if x.is_cuda else function)(x, *arguments)


@cache
def _compiled(function: Callable) -> Callable:
    return torch.compile(function)  # the number of tokens turns dynamic at the second pack


def _norm(x: Tensor, weight: Tensor, eps: float) -> Tensor:
    wide = x.float()
    return weight * (wide * torch.rsqrt(wide.pow(2).mean(-1, keepdim=True) + eps)).to(x.dtype)


def _add_norm(x: Tensor, more: Tensor, weight: Tensor, eps: float) -> tuple[Tensor, Tensor]:
    total = x + more
    return total, _norm(total, weight, eps)


def _rotate(x: Tensor, cos: Tensor, sin: Tensor, heads: int) -> tuple[Tensor, Tensor]:
    return _turn(x[:, :heads], cos, sin), _turn(
        x[:, heads:], cos, sin
    )  # two views of one would be put together anew


def _turn(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    first, second = x.chunk(2, dim=-1)
    return x * cos + torch.cat([-second, first], dim=-1) * sin


def _swiglu(both: Tensor) -> Tensor:
    gate, up = both.chunk(2, dim=-1)
    return functional.silu(gate) * up


def _swiglu_again(both: Tensor, gradient: Tensor) -> tuple[Tensor, Tensor]:
    gate, up = both.float().chunk(2, dim=-1)
    gradient, sigmoid = gradient.float(), torch.sigmoid(gate)
    silu = gate * sigmoid
    to_gate, to_up = gradient * up * (sigmoid + silu * (1 - sigmoid)), gradient * silu
    return (silu * up).to(both.dtype), torch.cat(
        [to_gate.to(both.dtype), to_up.to(both.dtype)], dim=-1
    )


def _score(logits: Tensor, targets: Tensor, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    total = torch.logsumexp(logits, dim=-1, keepdim=True)
    here = torch.arange(logits.shape[1], device=logits.device)[None] == targets[:, None]
    log_probs = (logits.gather(1, targets[:, None]) - total)[:, 0]
    return log_probs, (here.float() - torch.exp(logits - total)).to(dtype)
