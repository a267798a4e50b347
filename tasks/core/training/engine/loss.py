"""Log-probs of target tokens from hidden states, a few rows of logits at a time."""

import torch
from torch import Tensor
from torch.nn import functional

from tasks.core.training.engine.elementwise import score

CHUNK_BYTES = 2**29
"""Float32 logits held at a time."""


class _LogProbs(torch.autograd.Function):
    """The gradient to the hidden states is made beside the log-probs, for the head itself is
    frozen.
    """

    @staticmethod
    def forward(ctx, hidden, weight, targets, wanted):
        log_probs = torch.empty(len(hidden), dtype=torch.float32, device=hidden.device)
        slopes = torch.empty_like(hidden) if wanted else None
        for part in _parts(len(hidden), len(weight)):
            told, slope = score(_logits(hidden[part], weight), targets[part], weight.dtype)
            log_probs[part] = told
            if wanted:
                slopes[part] = slope @ weight
        ctx.save_for_backward(slopes)
        return log_probs

    @staticmethod
    def backward(ctx, gradient):
        (slopes,) = ctx.saved_tensors
        return slopes * gradient[:, None].to(slopes.dtype), None, None, None


def log_probs_of(hidden: Tensor, weight: Tensor, targets: Tensor) -> Tensor:
    """Float32 (n,) from hidden (n, width), the frozen head (vocabulary, width) and targets (n,)."""
    return _LogProbs.apply(hidden, weight, targets, torch.is_grad_enabled())


def chunk_rows(vocabulary: int) -> int:
    """Rows of logits computed at a time."""
    return max(128, CHUNK_BYTES // (4 * vocabulary) // 128 * 128)


def _parts(rows: int, vocabulary: int) -> list[slice]:
    size = chunk_rows(vocabulary)
    return [slice(first, first + size) for first in range(0, rows, size)]


def _logits(hidden: Tensor, weight: Tensor) -> Tensor:
    if (
        hidden.is_cuda and hidden.dtype == torch.bfloat16
    ):  # summed in float32 and never rounded to bf16
        return torch.mm(hidden, weight.T, out_dtype=torch.float32)
    return functional.linear(hidden, weight).float()
