"""TRL's chunked log-prob kernel for machines without Triton: TRL 1.15 knows only the Triton one and dies on a CPU.

Same contract as trl.kernels.ChunkedLogProbFunction: log-probs of the target tokens, with gradient; entropy, mean logit
and whether the target is the likeliest token, without.
"""

import torch
import torch.nn.functional as functional
import trl.trainer.utils as trl_utils
from torch.utils.checkpoint import checkpoint

_TOKENS = 256  # rows of float32 logits held at a time: 256 x 49,152 x 4 bytes = 50 MB


class TorchLogProbs:
    """Stands in for the autograd function: only `apply` is called."""

    @staticmethod
    def apply(hidden, weight, bias, targets, temperature, chunk_size, softcap, logit_scale, outputs):
        """hidden (n, width), weight (vocabulary, width), targets (n,) -> five tensors of (n,), float32 or None."""
        if not len(targets):
            empty = hidden.sum() * 0 + torch.zeros(0)
            return empty, empty.detach(), None, empty.detach(), empty.detach().bool()

        def chunk(rows: torch.Tensor, wanted: torch.Tensor) -> tuple[torch.Tensor, ...]:
            logits = functional.linear(rows, weight, bias).float() * logit_scale
            if softcap is not None:
                logits = softcap * torch.tanh(logits / softcap)
            logits = logits / temperature
            total = torch.logsumexp(logits, dim=-1)
            log_probs = logits.gather(1, wanted[:, None])[:, 0] - total
            with torch.no_grad():
                entropy = total - (torch.softmax(logits, dim=-1) * logits).sum(-1)
                top = logits.argmax(-1) == wanted
            return log_probs, entropy, logits.detach().mean(-1), top

        parts = [
            checkpoint(chunk, rows, wanted, use_reentrant=False)
            for rows, wanted in zip(hidden.split(_TOKENS), targets.split(_TOKENS), strict=True)
        ]
        log_probs, entropy, mean, top = (torch.cat(part) for part in zip(*parts, strict=True))
        return log_probs, entropy.detach(), None, mean.detach(), top


def use_on_cpu() -> None:
    """Puts the torch version in the kernel's place."""
    trl_utils._ChunkedLogProbFunction = TorchLogProbs
