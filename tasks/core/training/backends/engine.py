"""The engine's two trainers: SFT over conversations, and DPO over pairs."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from peft import PeftModel
from torch import Tensor, nn
from torch.nn.functional import logsigmoid
from transformers import PreTrainedTokenizerFast

from tasks.core.settings.tree import Stage3
from tasks.core.training.backends.engine_base import EngineTrainer, engine_config
from tasks.core.training.backends.run import StageRun
from tasks.core.training.checks.compared import ReferenceGap, reference_gap
from tasks.core.training.engine.pack import Pack
from tasks.core.training.engine.packing import packs, sent_to
from tasks.core.training.hardware import ranks
from tasks.core.training.rows.records import Pair, Reference, Row
from tasks.core.training.rows.selection import Rows


class EngineSFT(EngineTrainer):
    """SFT: the mean over the trained tokens."""

    def losses(self, rows: list[Row], pack: Pack, log_probs: Tensor) -> Tensor:
        """Returns each row's cross entropy in nats, summed over its trained tokens."""
        return -pack.sums(log_probs)

    def terms(self, rows: list[Row]) -> int:
        """Returns the trained tokens."""
        return sum(row.targets for row in rows)

    def terms_of_each(self, pack: Pack) -> Tensor:
        """Returns each row's trained tokens."""
        return pack.counts()

    def use_reference(self, start: Path | None) -> None:
        """Does nothing: SFT has no reference."""

    def gap_to_reference(self) -> None:
        """Returns None: SFT has no reference."""
        return None


class EngineDPO(EngineTrainer):
    """DPO: the mean over the pairs.

    Its reference is the log-probs of the policy's own weights, before any of them moved.
    """

    def __init__(self, policy: PeftModel, run: StageRun, rows: Rows, **named: Any):
        super().__init__(policy, run, rows, **named)
        schedule = run.settings.schedule
        assert isinstance(schedule, Stage3)
        self.beta = schedule.beta
        self._effective_batch = schedule.effective_batch
        self._margins: list[Tensor] = []  # of this process's pairs in this step
        # of each step since the last log line: sum of margins, positive ones, pairs
        self._rewards: list[Tensor] = []

    def losses(self, rows: list[Row], pack: Pack, log_probs: Tensor) -> Tensor:
        """Returns each pair's loss."""
        rewards = self.beta * (pack.sums(log_probs).view(-1, 2) - self._reference(rows))
        margins = rewards[:, 0] - rewards[:, 1]
        if torch.is_grad_enabled():
            self._margins.append(margins.detach())
        return -logsigmoid(margins)

    def terms(self, rows: list[Row]) -> int:
        """Returns the pairs."""
        return len(rows)

    def terms_of_each(self, pack: Pack) -> Tensor:
        """Returns 1 for each pair."""
        return torch.ones(pack.answers // 2, device=self.engine.device)

    def training_step(
        self, model: nn.Module, inputs: dict[str, Any], num_items_in_batch: Any = None
    ) -> Tensor:
        """Trains an optimizer step, and keeps what its pairs' rewards were."""
        loss = super().training_step(model, inputs, num_items_in_batch)
        margins = torch.cat([torch.zeros(0, device=self.engine.device), *self._margins])
        self._margins.clear()
        sums = [margins.sum(), (margins > 0).float().sum(), torch.ones_like(margins).sum()]
        # here and not in log(): with a time limit the first process alone writes one more line
        self._rewards.append(ranks.add_up(torch.stack(sums)))
        return loss

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        """Adds the pairs' mean margin, and the share of pairs with a positive one, to a loss."""
        if "loss" in logs:
            margins, positive, pairs = torch.stack(self._rewards).sum(dim=0).tolist()
            logs["rewards/margins"] = margins / pairs
            logs["rewards/accuracies"] = positive / pairs
            self._rewards.clear()
        super().log(logs, start_time)

    def row_loss(self, index: int) -> Tensor:
        """Returns the loss of one training pair, with its graph."""
        loss = super().row_loss(index)
        self._margins.clear()  # they are no step's
        return loss

    @torch.no_grad()
    def use_reference(self, start: Path | None) -> None:
        """Gives every pair the log-probs of the policy as it stands, in nats an answer.

        It has the adapter in `start`, or a new one, which changes nothing of the base.
        """
        self.policy.eval()
        self.train_dataset = self._with_reference(self._training_rows)
        self._held_out = self._with_reference(self._held_out)

    @torch.no_grad()
    def gap_to_reference(self) -> ReferenceGap:
        """Returns how far the present policy is from its reference on the first pack's pairs."""
        self.policy.eval()
        self.engine.refresh()
        rows = self._training_rows[: self._effective_batch]
        first = next(packs(rows, self.plan.tokens, self.engine.device))
        present = first.pack.sums(self.engine.log_probs(first.pack)).view(-1, 2)
        reference = self._reference([rows[index] for index in first.rows])
        return reference_gap(present, reference, self.beta)

    def _with_reference(self, pairs: list[Row]) -> list[Row]:
        log_probs = torch.zeros(len(pairs), 2, device=self.engine.device)
        for packed in self._dealt_packs(pairs):
            of_pack = packed.pack.sums(self.engine.log_probs(packed.pack))
            log_probs[packed.rows] = of_pack.view(-1, 2)
        with_reference: list[Row] = []
        for pair, of_pair in zip(pairs, ranks.add_up(log_probs).tolist(), strict=True):
            assert isinstance(pair, Pair)
            with_reference.append(replace(pair, reference=Reference(*of_pair)))
        return with_reference

    def _reference(self, pairs: Sequence[Row]) -> Tensor:
        """The reference's log-probs, (pairs, 2): chosen, rejected."""
        log_probs = []
        for pair in pairs:
            assert isinstance(pair, Pair) and pair.reference is not None
            log_probs.append((pair.reference.chosen, pair.reference.rejected))
        return sent_to(self.engine.device, log_probs, torch.float32)


def engine_trainer(
    policy: PeftModel, tokenizer: PreTrainedTokenizerFast, rows: Rows, run: StageRun
) -> EngineSFT | EngineDPO:
    """Makes a trainer over encoded conversations or pairs, by the run's plan."""
    config = engine_config(run, len(rows.train))
    if isinstance(rows.train[0], Pair):
        return EngineDPO(policy, run, rows, args=config, processing_class=tokenizer)
    return EngineSFT(policy, run, rows, args=config, processing_class=tokenizer)
