"""The elementwise parts of a decoder layer.

On a GPU each is one kernel, compiled or gpu_kernel.py's; on a CPU it is plain PyTorch.
"""

from collections.abc import Callable
from functools import cache
from importlib import import_module
from typing import Any, TypeVar

import torch
from torch import Tensor
from torch.nn import functional

_Result = TypeVar("_Result")


def norm(x: Tensor, weight: Tensor, eps: float) -> Tensor:
    """Returns the RMS norm of x over its last axis, summed in float32."""
    return _fused(_norm, x)(x, weight, eps)


def add_norm(x: Tensor, added: Tensor, weight: Tensor, eps: float) -> tuple[Tensor, Tensor]:
    """Returns x + added, and its RMS norm."""
    return _fused(_add_norm, x)(x, added, weight, eps)


def rotate(x: Tensor, cos: Tensor, sin: Tensor, heads: int) -> tuple[Tensor, Tensor]:
    """Turns queries (the first `heads` heads) and keys (the others) to their rotary positions.

    x is (tokens, all heads, width); cos and sin are (tokens, 1, width).
    """
    return _fused(_rotate, x)(x, cos, sin, heads)


def swiglu(both: Tensor) -> Tensor:
    """Returns silu(gate) * up of (tokens, [gate, up])."""
    return _fused(_swiglu, both)(both)


def swiglu_again(both: Tensor, gradient: Tensor) -> tuple[Tensor, Tensor]:
    """Returns silu(gate) * up once more, and the gradient to [gate, up].

    gradient: the one to silu(gate) * up; the first result may take its place.
    """
    if both.is_cuda:
        return import_module("tasks.core.training.engine.gpu_kernel").swiglu_again(both, gradient)
    return _swiglu_again(both, gradient)


def score(logits: Tensor, targets: Tensor, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """Returns the log-probs of the targets (float32), and their gradient to the logits in dtype.

    The gradient is one_hot(targets) - softmax(logits).
    """
    return _fused(_score, logits)(logits, targets, dtype)


def _fused(function: Callable[..., _Result], x: Tensor) -> Callable[..., _Result]:
    """Returns the function, as one kernel if x is on a GPU."""
    return _compiled(function) if x.is_cuda else function


@cache
def _compiled(function: Callable[..., Any]) -> Callable[..., Any]:
    return torch.compile(function)  # from the second pack on, for any number of tokens


def _norm(x: Tensor, weight: Tensor, eps: float) -> Tensor:
    wide = x.float()
    scale = torch.rsqrt(wide.pow(2).mean(-1, keepdim=True) + eps)
    return weight * (wide * scale).to(x.dtype)


def _add_norm(x: Tensor, added: Tensor, weight: Tensor, eps: float) -> tuple[Tensor, Tensor]:
    total = x + added
    return total, _norm(total, weight, eps)


def _rotate(x: Tensor, cos: Tensor, sin: Tensor, heads: int) -> tuple[Tensor, Tensor]:
    # turned separately: two views of one result would be put together once more
    queries = _turn(x[:, :heads], cos, sin)
    keys = _turn(x[:, heads:], cos, sin)
    return queries, keys


def _turn(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    first, second = x.chunk(2, dim=-1)
    return x * cos + torch.cat([-second, first], dim=-1) * sin


def _swiglu(both: Tensor) -> Tensor:
    gate, up = both.chunk(2, dim=-1)
    return functional.silu(gate) * up


def _swiglu_again(both: Tensor, gradient: Tensor) -> tuple[Tensor, Tensor]:
    gate, up = both.float().chunk(2, dim=-1)
    slope = gradient.float()
    sigmoid = torch.sigmoid(gate)
    silu = gate * sigmoid
    to_gate = slope * up * (sigmoid + silu * (1 - sigmoid))
    to_up = slope * silu
    to_both = torch.cat([to_gate.to(both.dtype), to_up.to(both.dtype)], dim=-1)
    return (silu * up).to(both.dtype), to_both


def _score(logits: Tensor, targets: Tensor, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    total = torch.logsumexp(logits, dim=-1, keepdim=True)
    columns = torch.arange(logits.shape[1], device=logits.device)
    one_hot = (columns[None] == targets[:, None]).float()
    log_probs = (logits.gather(1, targets[:, None]) - total)[:, 0]
    return log_probs, (one_hot - torch.exp(logits - total)).to(dtype)
