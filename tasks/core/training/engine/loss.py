"""Log-probs of target tokens from hidden states, a few rows of logits at a time."""

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from tasks.core.training.engine.elementwise import score

CHUNK_BYTES = 2**29
"""Float32 logits held at a time."""


class _LogProbs(torch.autograd.Function):
    """Log-probs, and with them the gradient to the hidden states.

    Both are computed at once, because the head is frozen.
    """

    @staticmethod
    def forward(
        ctx: Any, hidden: Tensor, weight: Tensor, targets: Tensor, wants_gradient: bool
    ) -> Tensor:
        log_probs = torch.empty(len(hidden), dtype=torch.float32, device=hidden.device)
        slopes = torch.empty_like(hidden) if wants_gradient else None
        for part in _chunks(len(hidden), len(weight)):
            # the logits have no name: a variable would hold them while the next ones are computed
            of_part, to_logits = score(_logits(hidden[part], weight), targets[part], weight.dtype)
            log_probs[part] = of_part
            if slopes is not None:
                slopes[part] = to_logits @ weight
        ctx.save_for_backward(slopes)
        return log_probs

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None, None]:
        (slopes,) = ctx.saved_tensors
        return slopes * gradient[:, None].to(slopes.dtype), None, None, None


def log_probs_of(hidden: Tensor, weight: Tensor, targets: Tensor) -> Tensor:
    """Returns the log-probs of the targets, float32 (n,).

    Takes hidden states (n, width), the frozen head (vocabulary, width) and the targets (n,).
    """
    return _LogProbs.apply(hidden, weight, targets, torch.is_grad_enabled())


def chunk_rows(vocabulary: int) -> int:
    """Returns how many rows of logits are computed at a time."""
    return max(128, CHUNK_BYTES // (4 * vocabulary) // 128 * 128)


def _chunks(rows: int, vocabulary: int) -> list[slice]:
    size = chunk_rows(vocabulary)
    return [slice(first, first + size) for first in range(0, rows, size)]


def _logits(hidden: Tensor, weight: Tensor) -> Tensor:
    if hidden.is_cuda and hidden.dtype == torch.bfloat16:
        # summed in float32 and never rounded to bf16
        return torch.mm(hidden, weight.T, out_dtype=torch.float32)
    return functional.linear(hidden, weight).float()
