"""What a trainer hands to the checks: log-probs of the same answers, computed in two ways."""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid

# trained tokens over which the noise of 16 bits (0.1 nats for a single token, SmolLM2) is a quarter
# of what check_packing allows
SETTLED = 512


@dataclass(frozen=True)
class Rounding:
    """How far a token's log-prob is off from float32's, in nats."""

    usual: float  # root mean square of PEFT on each row alone, rounded as the engine rounds
    off: float  # root mean square of the rows that the engine packed
    lean: float  # mean of the same rows


@dataclass(frozen=True)
class Compared:
    """Mean log-probs of a few answers, (answers,) each, in nats a token."""

    alone: Tensor  # of every row by itself
    together: Tensor  # of all rows packed or padded
    tokens: Tensor  # number of each answer's trained tokens
    dtype: torch.dtype  # the type in which both were computed
    rounding: Rounding | None = None  # the engine's alone, because its forward pass is not PEFT's


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
