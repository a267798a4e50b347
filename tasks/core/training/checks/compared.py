"""What a backend's proof hands to the checks: log-probs of the same answers, computed twice."""

from dataclasses import dataclass

import torch

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

    alone: torch.Tensor  # of every row by itself
    together: torch.Tensor  # of all rows packed or padded
    tokens: torch.Tensor  # trained ones of each answer
    dtype: torch.dtype  # that computed both
    rounding: Rounding | None = None  # of the engine, because it is not PEFT
