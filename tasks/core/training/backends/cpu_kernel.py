"""TRL's chunked log-prob kernel for machines without Triton: TRL 1.15 knows only the Triton one and
dies on a CPU.

Same contract as trl.kernels.ChunkedLogProbFunction, whose logits are never held whole. Of its
metrics only "is the target the likeliest token" is computed; entropy and mean logit, which nothing
here reads, come back as zeros.
"""

import torch
import torch.nn.functional as functional
import trl.trainer.utils as trl_utils

_TOKENS = 256  # rows of float32 logits held at a time: 256 x 49,152 x 4 bytes = 50 MB


class TorchLogProbs(torch.autograd.Function):
    """Log-probs of target tokens, float32, with the gradient to the hidden states; the head itself
    is frozen.

    d log p(target) / d hidden = (one_hot(target) - softmax(logits)) · weight.
    """

    @staticmethod
    def forward(
        ctx, hidden, weight, bias, targets, temperature, chunk_size, softcap, logit_scale, outputs
    ):
        """hidden (n, width), weight (vocabulary, width), targets (n,) -> five tensors of (n,) or
        None.
        """
        assert softcap is None and not (weight.requires_grad), (
            "neither soft-capped nor trained heads occur here"
        )
        scale = logit_scale / temperature
        totals = torch.empty(len(targets))
        log_probs = torch.empty(len(targets))
        top = torch.empty(len(targets), dtype=torch.bool)
        for part in torch.arange(len(targets)).split(_TOKENS):
            logits = functional.linear(hidden[part], weight, bias).float().mul_(scale)
            totals[part] = torch.logsumexp(logits, dim=-1)
            log_probs[part] = logits.gather(1, targets[part, None])[:, 0] - totals[part]
            top[part] = logits.argmax(-1) == targets[part]
        ctx.save_for_backward(hidden, weight, bias, targets, totals)
        ctx.scale = scale
        ctx.mark_non_differentiable(top)
        nothing = torch.zeros(len(targets))
        return log_probs, nothing, None, nothing.clone(), top

    @staticmethod
    def backward(ctx, grad, *unused):
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
    """Puts the torch version in the kernel's place."""
    trl_utils._ChunkedLogProbFunction = TorchLogProbs
