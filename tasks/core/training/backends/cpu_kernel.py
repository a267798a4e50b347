"""TRL's chunked log-prob kernel for machines without Triton.

TRL 1.15 has only a Triton one, with which it dies on a CPU. This one keeps the contract of
trl.kernels.ChunkedLogProbFunction, whose logits are never held whole. Of its metrics only "is the
target the likeliest token" is computed; entropy and mean logit, which nothing here reads, come back
as zeros.
"""

from typing import Any

import torch
import torch.nn.functional as functional
import trl.trainer.utils as trl_utils
from torch import Tensor

_TOKENS = 256  # rows of float32 logits held at a time: 256 x 49,152 x 4 bytes = 50 MB


class TorchLogProbs(torch.autograd.Function):
    """Log-probs of target tokens in float32, with the gradient to the hidden states.

    The head itself is frozen: d log p(target) / d hidden = (one_hot(target) - softmax(logits)) ·
    weight.
    """

    @staticmethod
    def forward(
        ctx: Any,
        hidden: Tensor,
        weight: Tensor,
        bias: Tensor | None,
        targets: Tensor,
        temperature: float,
        chunk_size: int,
        softcap: float | None,
        logit_scale: float,
        outputs: tuple[str, ...],
    ) -> tuple[Tensor, Tensor, None, Tensor, Tensor]:
        """Takes hidden (n, width), weight (vocabulary, width) and targets (n,).

        Returns TRL's five outputs: log-probs, entropy, None, mean logits and whether the target is
        the likeliest token, (n,) each.
        """
        assert softcap is None and not weight.requires_grad, (
            "neither soft-capped nor trained heads occur here"
        )
        scale = logit_scale / temperature
        totals = torch.empty(len(targets))
        log_probs = torch.empty(len(targets))
        is_top = torch.empty(len(targets), dtype=torch.bool)
        for part in torch.arange(len(targets)).split(_TOKENS):
            logits = functional.linear(hidden[part], weight, bias).float().mul_(scale)
            totals[part] = torch.logsumexp(logits, dim=-1)
            log_probs[part] = logits.gather(1, targets[part, None])[:, 0] - totals[part]
            is_top[part] = logits.argmax(-1) == targets[part]
        ctx.save_for_backward(hidden, weight, bias, targets, totals)
        ctx.scale = scale
        ctx.mark_non_differentiable(is_top)
        not_computed = torch.zeros(len(targets))
        return log_probs, not_computed, None, not_computed.clone(), is_top

    @staticmethod
    def backward(ctx: Any, grad: Tensor, *unused: Tensor | None) -> tuple[Tensor | None, ...]:
        """Returns the gradient to the hidden states; the other eight inputs have none."""
        hidden, weight, bias, targets, totals = ctx.saved_tensors
        grad_hidden = torch.empty_like(hidden)
        for part in torch.arange(len(targets)).split(_TOKENS):
            logits = functional.linear(hidden[part], weight, bias).float().mul_(ctx.scale)
            slope = logits.sub_(totals[part, None]).exp_().neg_()  # -softmax
            slope[torch.arange(len(part)), targets[part]] += 1
            slope.mul_(grad[part, None] * ctx.scale)
            grad_hidden[part] = slope.to(weight.dtype) @ weight
        return grad_hidden, *(None,) * 8


def use_on_cpu() -> None:
    """Puts the torch version in the place of TRL's kernel."""
    # the name is private and names another class, but the contract is the same
    trl_utils._ChunkedLogProbFunction = TorchLogProbs  # type: ignore[assignment, attr-defined]
