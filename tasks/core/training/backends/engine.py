"""The engine under transformers' Trainer: the rows, order, schedule, checkpoints and telemetry of
the other backend.

The Trainer sees one batch an optimizer step, the effective batch's rows. They are packed into
micro-batches here, and the step's loss is the mean over all its trained tokens (SFT) or pairs
(DPO), however they were packed.
"""

import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from statistics import median

import torch
from peft import PeftModel
from torch import Tensor
from torch.nn.functional import logsigmoid
from transformers import PreTrainedTokenizerFast, Trainer, TrainingArguments

from tasks.core.training.backends.run import StageRun
from tasks.core.training.backends.trl import Sealed, arguments, log_probs_alone, on_one_card
from tasks.core.training.checks.compared import SETTLED, Compared, Rounding
from tasks.core.training.checks.rounding import never_rounded, rounded_once
from tasks.core.training.engine.decoder import Engine
from tasks.core.training.engine.pack import Pack
from tasks.core.training.engine.packing import PackedRows, pack_of, packs, sent_to
from tasks.core.training.hardware import ranks
from tasks.core.training.policy.adapter import lora_weights
from tasks.core.training.rows.dealing import share
from tasks.core.training.rows.records import Conversation, Pair, Reference, Row
from tasks.core.training.rows.selection import Rows, rows_for_proof
from tasks.core.training.rows.sequences import sequences_of, tokens_of

_ROWS_PROVEN = 32  # at most, by a proof
_ROWS_DEALT = 128  # at once, outside of steps


@dataclass(frozen=True)
class _Step:
    """An optimizer step's rows. A class of its own, for accelerate looks at every number of lists
    and dicts.
    """

    rows: list[Row]


def _collate(rows: list[Row]) -> dict[str, _Step]:
    return {"step": _Step(rows)}


class OnEngine(Sealed, Trainer):
    """What SFT and DPO share. Subclasses say how a pack's log-probs become losses."""

    backend = "engine"
    otherwise = "training.backend=trl"

    def __init__(self, policy: PeftModel, run: StageRun, rows: Rows, **named):
        super().__init__(model=policy, train_dataset=rows.train, data_collator=_collate, **named)
        self.plan, self._schedule, self._held_out = run.plan, run.settings.schedule, rows.evaluation
        self.engine = Engine(policy, self.plan.checkpointed)
        self._matrices = [
            matrix for _, matrix in lora_weights(policy)
        ]  # once: to look for them takes milliseconds
        self._began: list[float] = []

    def training_step(self, model, inputs, num_items_in_batch=None) -> Tensor:
        self._began.append(time.perf_counter())
        self.engine.refresh()
        rows = inputs["step"].rows
        whole, total = self.weight(rows), torch.zeros((), device=self.engine.device)
        for mine in self._my_packs(rows):
            of_pack = [rows[index] for index in mine.rows]
            loss = self.losses(of_pack, mine.pack, self.engine.log_probs(mine.pack)).sum() / whole
            self.accelerator.backward(loss)
            total += loss.detach()
        ranks.add_up_gradients(self._matrices)
        self.positions += sum(row.positions for row in rows)
        return ranks.add_up(total)

    def evaluate(self, *arguments, **named) -> dict[str, float]:
        """Mean of the held-out rows' losses, each the mean of its own trained tokens."""
        loss = self._evaluated() / len(self._held_out)
        self.log({"eval_loss": loss})
        return {"eval_loss": loss}

    def row_loss(self, place: int) -> Tensor:
        """The loss of one training row, with its graph."""
        self.model.train()
        row = self.train_dataset[place]
        pack = pack_of([row], self.engine.device)
        return self.losses([row], pack, self.engine.log_probs(pack)).sum() / self.weight([row])

    @torch.no_grad()
    def proof(self, rows: list[Row]) -> Compared:
        """A few rows by the engine, each alone and all packed; and how far the packed ones are off
        from float32.
        """
        rows = self._proven(rows)
        answers = [answer for row in rows for answer in row.answers]
        self.model.eval()
        self.engine.refresh()
        pack = pack_of(rows, self.engine.device)
        packed, counts, alone = (
            self.engine.log_probs(pack),
            pack.counts(),
            self._each_alone(answers),
        )
        with never_rounded(self.model):
            exact = usual = self._by_peft(answers)
        if self.engine.dtype != torch.float32:  # else it would be the same again
            with rounded_once(self.model):
                usual = self._by_peft(answers)
        off = packed - exact
        rounding = Rounding(_rms(usual - exact), _rms(off), off.mean().item())
        return Compared(
            pack.sums(alone) / counts,
            pack.sums(packed) / counts,
            counts,
            self.engine.dtype,
            rounding,
        )

    def _proven(self, rows: list[Row]) -> list[Row]:
        """Two rows, and more until they tell enough or fill a micro-batch."""
        told: list[Row] = []
        for row in rows_for_proof(rows, _ROWS_PROVEN):
            enough = sum(row.targets for row in told) >= SETTLED
            full = tokens_of([*told, row]) > self.plan.tokens
            if len(told) >= 2 and (enough or full):
                break
            told.append(row)
        return told

    def _each_alone(self, answers: list[Conversation]) -> Tensor:
        """Log-probs of the answers' trained tokens by the engine, each answer in a pack of its own."""
        return torch.cat(
            [self.engine.log_probs(pack_of([answer], self.engine.device)) for answer in answers]
        )

    def _by_peft(self, answers: list[Conversation]) -> Tensor:
        """The same by PEFT's forward pass."""
        return torch.cat([log_probs_alone(self.model, answer) for answer in answers])

    def seconds_per_step(self) -> float:
        """Median of this process's optimizer steps, without the first three; 0 where it made no
        more.
        """
        times = self._began[3:]  # kernels are compiled in the first ones
        return median(end - start for start, end in pairwise(times)) if len(times) > 1 else 0.0

    def _my_packs(self, rows: list[Row]) -> Iterator[PackedRows]:
        """This process's share of the rows as packs."""
        mine = share(sequences_of(rows).own) if ranks.count() > 1 else range(len(rows))
        for packed in packs([rows[index] for index in mine], self.plan.tokens, self.engine.device):
            yield PackedRows([mine[index] for index in packed.rows], packed.pack)

    def _passed(self, rows: list[Row]) -> Iterator[PackedRows]:
        """The same for any number of rows: to deal out thousands at once would take long."""
        for first in range(0, len(rows), _ROWS_DEALT):
            for packed in self._my_packs(rows[first : first + _ROWS_DEALT]):
                yield PackedRows([first + index for index in packed.rows], packed.pack)

    @torch.no_grad()
    def _evaluated(self) -> float:
        self.model.eval()
        self.engine.refresh()
        total = torch.zeros((), device=self.engine.device)
        for packed in self._passed(self._held_out):
            rows, pack = [self._held_out[index] for index in packed.rows], packed.pack
            total += (
                self.losses(rows, pack, self.engine.log_probs(pack)) / self.weights(pack)
            ).sum()
        return ranks.add_up(total).item()


class EngineSFT(OnEngine):
    def losses(self, rows: list[Row], pack: Pack, log_probs: Tensor) -> Tensor:
        """Each row's summed loss."""
        return -pack.sums(log_probs)

    def weight(self, rows: list[Row]) -> int:
        """Trained tokens."""
        return sum(row.targets for row in rows)

    def weights(self, pack: Pack) -> Tensor:
        return pack.counts()


class EngineDPO(OnEngine):
    """Its reference are log-probs of the policy's own weights, before any of them moved."""

    def __init__(self, *positional, **named):
        super().__init__(*positional, **named)
        self.beta = self._schedule.beta
        self._margins: list[Tensor] = []  # of this process's pairs in this step
        self._rewards: list[
            Tensor
        ] = []  # of each step since the last log line: sum of margins, positive ones, pairs

    def training_step(self, model, inputs, num_items_in_batch=None) -> Tensor:
        loss = super().training_step(model, inputs, num_items_in_batch)
        margins = torch.cat([torch.zeros(0, device=self.engine.device), *self._margins])
        self._margins.clear()
        # here and not in log(): a time limit makes the first process alone write a line more than
        # the others
        told = [margins.sum(), (margins > 0).float().sum(), torch.ones_like(margins).sum()]
        self._rewards.append(ranks.add_up(torch.stack(told)))
        return loss

    @torch.no_grad()
    def use_reference(self, start: Path | None) -> None:
        """Gives every pair the log-probs (nats per answer) of the policy as it stands, which is
        `start`'s adapter.
        """
        self.model.eval()
        self.train_dataset = self._with_reference(self.train_dataset)
        self._held_out = self._with_reference(self._held_out)

    def _with_reference(self, pairs: list[Pair]) -> list[Pair]:
        log_probs = torch.zeros(len(pairs), 2, device=self.engine.device)
        for packed in self._passed(pairs):
            of_pack = packed.pack.sums(self.engine.log_probs(packed.pack))
            log_probs[packed.rows] = of_pack.view(-1, 2)
        of_pairs = ranks.add_up(log_probs).tolist()
        return [
            replace(pair, reference=Reference(chosen, rejected))
            for pair, (chosen, rejected) in zip(pairs, of_pairs, strict=True)
        ]

    def row_loss(self, place: int) -> Tensor:
        loss = super().row_loss(place)
        self._margins.clear()  # it is no step's
        return loss

    @torch.no_grad()
    def first_log_probs(self) -> tuple[Tensor, Tensor]:
        """The present policy's and the reference's log-probs of the first pack, (pairs, 2): chosen,
        rejected.
        """
        self.model.eval()
        self.engine.refresh()
        rows = self.train_dataset[: self._schedule.effective_batch]
        first = next(packs(rows, self.plan.tokens, self.engine.device))
        present = first.pack.sums(self.engine.log_probs(first.pack)).view(-1, 2)
        return present, self._reference([rows[index] for index in first.rows])

    def losses(self, rows: list[Pair], pack: Pack, log_probs: Tensor) -> Tensor:
        """Each pair's loss."""
        rewards = self.beta * (pack.sums(log_probs).view(-1, 2) - self._reference(rows))
        margins = rewards[:, 0] - rewards[:, 1]
        if torch.is_grad_enabled():
            self._margins.append(margins.detach())
        return -logsigmoid(margins)

    def weight(self, rows: list[Pair]) -> int:
        return len(rows)

    def weights(self, pack: Pack) -> Tensor:
        return torch.ones(pack.answers // 2, device=self.engine.device)

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        if "loss" in logs:
            total, right, pairs = torch.stack(self._rewards).sum(dim=0).tolist()
            logs |= {"rewards/margins": total / pairs, "rewards/accuracies": right / pairs}
            self._rewards.clear()
        super().log(logs, start_time)

    def _reference(self, pairs: list[Pair]) -> Tensor:
        """The reference's log-probs, (pairs, 2): chosen, rejected."""
        log_probs = [(pair.reference.chosen, pair.reference.rejected) for pair in pairs]
        return sent_to(self.engine.device, log_probs, torch.float32)


def engine_trainer(
    policy: PeftModel,
    tokenizer: PreTrainedTokenizerFast,
    rows: Rows,
    run: StageRun,
) -> OnEngine:
    """A trainer over encoded rows or pairs, by the run's plan."""
    told = arguments(run, len(rows.train)) | {
        "per_device_train_batch_size": run.settings.schedule.effective_batch,
        "gradient_accumulation_steps": 1,
        "gradient_checkpointing": False,  # the engine's own
        "remove_unused_columns": False,
        "label_names": [],
    }
    config = on_one_card(TrainingArguments(**told))
    kind = EngineDPO if isinstance(rows.train[0], Pair) else EngineSFT
    return kind(policy, run, rows, args=config, processing_class=tokenizer)


def _rms(values: Tensor) -> float:
    return values.square().mean().sqrt().item()
