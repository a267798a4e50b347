"""What a trainer hands to the checks: log-probs of the same answers, computed in two ways."""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid

# trained tokens over which 16 bits' noise (0.1 nats a single one, SmolLM2) is a quarter of what
# check_packing allows
SETTLED = 512


@dataclass(frozen=True)
class Rounding:
    """How far a token's log-prob is off from float32's, in nats."""

    usual: float  # of PEFT on each row alone, rounded where the engine rounds; root mean square
    off: float  # of the rows packed by the engine; root mean square
    lean: float  # of the same; mean


@dataclass(frozen=True)
class Compared:
    """Mean log-probs of a few answers, (answers,) each, in nats a token."""

    alone: Tensor  # of every row by itself
    together: Tensor  # of all rows packed or padded
    tokens: Tensor  # trained ones of each answer
    dtype: torch.dtype  # that computed both
    rounding: Rounding | None = None  # of the engine, because it is not PEFT


@dataclass(frozen=True)
class ReferenceGap:
    """How far a policy is from DPO's reference, on a few pairs."""

    loss: float  # mean over the pairs
    reward: float  # the largest absolute one
    log_prob: float  # the largest absolute difference, in nats an answer


def reference_gap(policy: Tensor, reference: Tensor, beta: float) -> ReferenceGap:
    """Compares the log-probs of some pairs, in nats an answer, (pairs, 2): chosen, rejected."""
    gaps = policy - reference
    loss = -logsigmoid(beta * (gaps[:, 0] - gaps[:, 1])).mean()
    largest = gaps.abs().max().item()
    return ReferenceGap(loss.item(), beta * largest, largest)
