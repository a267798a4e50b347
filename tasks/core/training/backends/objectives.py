"""What the engine's trainer minimizes, for SFT and for DPO.

An objective says how the log-probs of a pack become losses, and what their mean is taken over.
engine.py packs the rows, computes the log-probs and takes the steps, whichever objective it has.
"""

from collections.abc import Sequence
from typing import Protocol

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid

from tasks.core.training.engine.pack import Pack
from tasks.core.training.engine.packing import send_to
from tasks.core.training.rows.records import Pair, Row


class Objective(Protocol):
    """What the engine's trainer needs to know of a method."""

    def losses(self, rows: list[Row], pack: Pack, log_probs: Tensor) -> Tensor:
        """Returns the summed loss of each row of a pack, (rows,)."""

    def terms(self, rows: list[Row]) -> int:
        """Returns over how many terms the mean of these rows' losses is taken."""

    def terms_of_each(self, pack: Pack) -> Tensor:
        """Returns the same of each row of a pack, (rows,)."""


class SFT:
    """The mean over the trained tokens."""

    def losses(self, rows: list[Row], pack: Pack, log_probs: Tensor) -> Tensor:
        """Returns each row's cross entropy in nats, summed over its trained tokens."""
        return -pack.sums(log_probs)

    def terms(self, rows: list[Row]) -> int:
        """Returns the number of trained tokens."""
        return sum(row.targets for row in rows)

    def terms_of_each(self, pack: Pack) -> Tensor:
        """Returns each row's number of trained tokens."""
        return pack.counts()


class DPO:
    """The mean over the pairs, each of which knows the log-probs of its reference."""

    def __init__(self, beta: float):
        self.beta = beta
        self._margins: list[Tensor] = []

    def losses(self, rows: list[Row], pack: Pack, log_probs: Tensor) -> Tensor:
        """Returns each pair's loss in nats, and keeps the margins of pairs that are trained."""
        reference = reference_log_probs(rows, log_probs.device)
        rewards = self.beta * (pack.sums(log_probs).view(-1, 2) - reference)
        margins = rewards[:, 0] - rewards[:, 1]
        if torch.is_grad_enabled():
            self._margins.append(margins.detach())
        return -logsigmoid(margins)

    def terms(self, rows: list[Row]) -> int:
        """Returns the number of pairs."""
        return len(rows)

    def terms_of_each(self, pack: Pack) -> Tensor:
        """Returns 1 for each pair."""
        return torch.ones(pack.answers // 2, device=pack.ids.device)

    def take_margins(self) -> list[Tensor]:
        """Returns the margins kept since the last call, a tensor for each pack, and forgets them.

        A pair's margin is the reward of its chosen answer less that of the rejected one.
        """
        margins = self._margins
        self._margins = []
        return margins


def reference_log_probs(pairs: Sequence[Row], device: torch.device) -> Tensor:
    """Returns the reference's log-probs in nats an answer, (pairs, 2): chosen, rejected."""
    log_probs = []
    for pair in pairs:
        assert isinstance(pair, Pair) and pair.reference is not None
        log_probs.append((pair.reference.chosen, pair.reference.rejected))
    return send_to(device, log_probs, torch.float32)
