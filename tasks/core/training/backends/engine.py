"""The engine under transformers' Trainer.

Rows, order, schedule, checkpoints and telemetry are those of TRL's trainers. The Trainer sees one
batch in each optimizer step, the rows of the effective batch. They are packed into micro-batches
here, and the step's loss is the mean over all its trained tokens (SFT) or pairs (DPO), however they
were packed.
"""

import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Any

import torch
from peft import PeftModel
from torch import Tensor, nn
from transformers import PreTrainedTokenizerFast, TrainingArguments

from tasks.core.settings.tree import Stage3
from tasks.core.training.backends.arguments import keep_to_one_card, trainer_arguments
from tasks.core.training.backends.objectives import DPO, SFT, Objective, reference_log_probs
from tasks.core.training.backends.policy_trainer import PolicyTrainer
from tasks.core.training.backends.run import StageRun
from tasks.core.training.checks.compared import (
    SETTLED,
    Compared,
    ReferenceGap,
    Rounding,
    reference_gap,
)
from tasks.core.training.checks.rounding import log_probs_alone, never_rounded, rounded_once
from tasks.core.training.engine.decoder import Engine
from tasks.core.training.engine.packing import PackedRows, make_packs, pack_of
from tasks.core.training.hardware import ranks
from tasks.core.training.policy.adapter import lora_weights
from tasks.core.training.rows.dealing import take_share
from tasks.core.training.rows.records import Conversation, Pair, Reference, Row
from tasks.core.training.rows.selection import Rows, rows_for_proof
from tasks.core.training.rows.sequences import count_tokens, sequences_of

_ROWS_COMPARED = 32  # at most
_ROWS_DEALT = 128  # at once, outside of steps
_STEPS_TO_WARM_UP = 3  # kernels are compiled in them


@dataclass(frozen=True)
class _Step:
    """An optimizer step's rows.

    It is a class, because accelerate looks at every number in lists and dicts.
    """

    rows: list[Row]


def _collate(rows: list[Row]) -> dict[str, _Step]:
    return {"step": _Step(rows)}


class EngineTrainer(PolicyTrainer):
    """Trains a policy on packed rows by an objective; SFT needs no more than that."""

    backend = "engine"
    remedy = "training.backend=trl"
    batches_rows = True
    has_own_forward_pass = True
    objective: Objective

    def __init__(
        self, policy: PeftModel, run: StageRun, rows: Rows, objective: Objective, **named: Any
    ):
        super().__init__(model=policy, train_dataset=rows.train, data_collator=_collate, **named)
        assert run.plan is not None
        self.plan = run.plan
        self.objective = objective
        self.engine = Engine(policy, self.plan.checkpointed)
        self._held_out = rows.evaluation
        # kept, because it takes milliseconds to find them
        self._matrices = [matrix for _, matrix in lora_weights(policy)]
        self._step_starts: list[float] = []

    def training_step(
        self, model: nn.Module, inputs: dict[str, Any], num_items_in_batch: Any = None
    ) -> Tensor:
        """Adds up the gradients of a whole optimizer step, and returns its loss."""
        self._step_starts.append(time.perf_counter())
        self.engine.refresh()
        rows = inputs["step"].rows
        terms = self.objective.terms(rows)
        total = torch.zeros((), device=self.engine.device)
        for packed in self._my_packs(rows):
            loss = self._losses_of(packed, rows).sum() / terms
            self.accelerator.backward(loss)
            total += loss.detach()
        ranks.add_up_gradients(self._matrices)
        self.positions += sum(row.positions for row in rows)
        return ranks.add_up(total)

    @torch.no_grad()
    def evaluate(self, *arguments: Any, **named: Any) -> dict[str, float]:
        """Returns and logs the mean of the held-out rows' losses.

        Each row's loss is the mean of its own trained tokens.
        """
        self.policy.eval()
        self.engine.refresh()
        total = torch.zeros((), device=self.engine.device)
        for packed in self._dealt_packs(self._held_out):
            losses = self._losses_of(packed, self._held_out)
            total += (losses / self.objective.terms_of_each(packed.pack)).sum()
        figures = {"eval_loss": ranks.add_up(total).item() / len(self._held_out)}
        self.log(dict(figures))
        return figures

    def row_loss(self, index: int) -> Tensor:
        """Returns the loss of one training row, with its graph."""
        self.policy.train()
        rows = [self._training_rows[index]]
        pack = pack_of(rows, self.engine.device)
        losses = self.objective.losses(rows, pack, self.engine.log_probs(pack))
        return losses.sum() / self.objective.terms(rows)

    @torch.no_grad()
    def compare(self, rows: list[Row]) -> Compared:
        """Computes a few rows by the engine, each answer alone and all packed.

        Also says how far the packed ones are off from float32.
        """
        compared = self._rows_to_compare(rows)
        answers = [answer for row in compared for answer in row.answers]
        self.policy.eval()
        self.engine.refresh()
        pack = pack_of(compared, self.engine.device)
        packed = self.engine.log_probs(pack)
        alone = self._each_alone(answers)
        tokens = pack.counts()
        return Compared(
            alone=pack.sums(alone) / tokens,
            together=pack.sums(packed) / tokens,
            tokens=tokens,
            dtype=self.engine.dtype,
            rounding=self._rounding(answers, packed),
        )

    def seconds_per_step(self) -> float:
        """Returns the median of this process's optimizer steps, without the first three.

        It is 0 if the process made no more.
        """
        starts = self._step_starts[_STEPS_TO_WARM_UP:]
        if len(starts) < 2:
            return 0.0
        return median(end - start for start, end in pairwise(starts))

    @property
    def _training_rows(self) -> list[Row]:
        assert isinstance(self.train_dataset, list)
        return self.train_dataset

    def _losses_of(self, packed: PackedRows, rows: list[Row]) -> Tensor:
        """Returns the summed loss of each row that a pack holds, all of which are among `rows`."""
        of_pack = [rows[index] for index in packed.rows]
        return self.objective.losses(of_pack, packed.pack, self.engine.log_probs(packed.pack))

    def _my_packs(self, rows: list[Row]) -> Iterator[PackedRows]:
        """Yields this process's share of the rows as packs."""
        mine = list(range(len(rows)))
        if ranks.count() > 1:
            mine = take_share(sequences_of(rows).own)
        my_rows = [rows[index] for index in mine]
        for packed in make_packs(my_rows, self.plan.tokens, self.engine.device):
            yield PackedRows([mine[index] for index in packed.rows], packed.pack)

    def _dealt_packs(self, rows: list[Row]) -> Iterator[PackedRows]:
        """Yields the same for any number of rows.

        They are dealt out a few at a time, because to deal out thousands at once would take long.
        """
        for first in range(0, len(rows), _ROWS_DEALT):
            for packed in self._my_packs(rows[first : first + _ROWS_DEALT]):
                yield PackedRows([first + index for index in packed.rows], packed.pack)

    def _rows_to_compare(self, rows: list[Row]) -> list[Row]:
        """Returns two rows, and more until they settle the comparison or fill a micro-batch."""
        compared: list[Row] = []
        for row in rows_for_proof(rows, _ROWS_COMPARED):
            settled = sum(row.targets for row in compared) >= SETTLED
            full = count_tokens([*compared, row]) > self.plan.tokens
            if len(compared) >= 2 and (settled or full):
                break
            compared.append(row)
        return compared

    def _each_alone(self, answers: list[Conversation]) -> Tensor:
        """Returns the log-probs of the answers' trained tokens, each answer in its own pack."""
        log_probs = []
        for answer in answers:
            log_probs.append(self.engine.log_probs(pack_of([answer], self.engine.device)))
        return torch.cat(log_probs)

    def _rounding(self, answers: list[Conversation], packed: Tensor) -> Rounding:
        """Returns how far the packed log-probs, and PEFT's, are off from float32."""
        with never_rounded(self.policy):
            exact = self._by_peft(answers)
        usual = exact
        if self.engine.dtype != torch.float32:  # in float32 it would be the same again
            with rounded_once(self.policy):
                usual = self._by_peft(answers)
        off = packed - exact
        return Rounding(usual=_rms(usual - exact), off=_rms(off), lean=off.mean().item())

    def _by_peft(self, answers: list[Conversation]) -> Tensor:
        """Returns the log-probs of the answers' trained tokens by PEFT's forward pass."""
        return torch.cat([log_probs_alone(self.policy, answer) for answer in answers])


class EngineDPO(EngineTrainer):
    """Trains on pairs, and logs their rewards.

    Its reference is the log-probs of the policy's own weights, before any of them moved.
    """

    objective: DPO

    def __init__(self, policy: PeftModel, run: StageRun, rows: Rows, **named: Any):
        schedule = run.settings.schedule
        assert isinstance(schedule, Stage3)
        super().__init__(policy, run, rows, DPO(schedule.beta), **named)
        self._effective_batch = schedule.effective_batch
        # of each step since the last log line: sum of margins, positive ones, pairs
        self._rewards: list[Tensor] = []

    def training_step(
        self, model: nn.Module, inputs: dict[str, Any], num_items_in_batch: Any = None
    ) -> Tensor:
        """Trains an optimizer step, and keeps what its pairs' rewards were."""
        loss = super().training_step(model, inputs, num_items_in_batch)
        nothing = torch.zeros(0, device=self.engine.device)  # this process may have no pair
        margins = torch.cat([nothing, *self.objective.take_margins()])
        sums = [margins.sum(), (margins > 0).float().sum(), torch.ones_like(margins).sum()]
        # added up here and not in log(): with a time limit only the first process logs once more
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
        self.objective.take_margins()  # they belong to no step
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
        first = next(make_packs(rows, self.plan.tokens, self.engine.device))
        present = first.pack.sums(self.engine.log_probs(first.pack)).view(-1, 2)
        pairs = [rows[index] for index in first.rows]
        reference = reference_log_probs(pairs, self.engine.device)
        return reference_gap(present, reference, self.objective.beta)

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


def engine_trainer(
    policy: PeftModel, tokenizer: PreTrainedTokenizerFast, rows: Rows, run: StageRun
) -> EngineTrainer:
    """Makes a trainer over encoded conversations or pairs, by the run's plan."""
    config = _config(run, len(rows.train))
    if isinstance(rows.train[0], Pair):
        return EngineDPO(policy, run, rows, args=config, processing_class=tokenizer)
    return EngineTrainer(policy, run, rows, SFT(), args=config, processing_class=tokenizer)


def _config(run: StageRun, rows: int) -> TrainingArguments:
    """Returns the Trainer's arguments for a stage over so many rows: a batch is a whole step."""
    named = trainer_arguments(run, rows) | {
        "per_device_train_batch_size": run.settings.schedule.effective_batch,
        "gradient_accumulation_steps": 1,
        "gradient_checkpointing": False,  # the engine's own
        "remove_unused_columns": False,
        "label_names": [],
    }
    return keep_to_one_card(TrainingArguments(**named))


def _rms(values: Tensor) -> float:
    return values.square().mean().sqrt().item()
