"""TRL's two trainers as this project uses them.

The tokens are ours, the LoRA weights float32, the checkpoints sealed.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from datasets import Dataset  # type: ignore[import-untyped]  # it has no type hints
from peft import PeftModel
from torch import Tensor, nn
from transformers import PreTrainedTokenizerFast
from trl import DPOConfig, DPOTrainer, SFTConfig, SFTTrainer  # type: ignore[attr-defined]  # lazy

from tasks.core.settings.tree import Stage3
from tasks.core.training.backends.arguments import keep_to_one_card, trainer_arguments
from tasks.core.training.backends.policy_trainer import PolicyTrainer
from tasks.core.training.backends.run import StageRun
from tasks.core.training.checks.compared import Compared, ReferenceGap, reference_gap
from tasks.core.training.checks.rounding import log_probs_alone
from tasks.core.training.policy.adapter import lora_weights
from tasks.core.training.rows.records import IGNORED, Row
from tasks.core.training.rows.selection import Rows, rows_for_proof

_PAIRS_LOOKED_AT = 2  # by the checks of the reference
_ROWS_COMPARED = 4  # of a micro-batch, at most
_OF_CONVERSATION = ("input_ids", "labels")
_OF_PAIR = ("prompt_ids", "chosen_ids", "rejected_ids")


class TrlTrainer(PolicyTrainer):
    """What TRL's SFT and DPO have in common here."""

    backend = "trl"
    remedy = "a micro_batch of 1, or training.backend=engine if it knows the model"
    plan = None
    has_own_forward_pass = False
    # TRL's own figures of the steps since the last log line
    _metrics: dict[str, Any]
    _total_train_tokens: int

    def training_step(self, model: nn.Module, inputs: Any, *arguments: Any, **named: Any) -> Tensor:
        """Trains a micro-batch, and counts its positions."""
        self.positions += int(inputs["attention_mask"].sum())
        return super().training_step(model, inputs, *arguments, **named)

    def create_model_card(self, *arguments: Any, **named: Any) -> None:
        """Writes none, because the stage writes its own."""

    def row_loss(self, index: int) -> Tensor:
        """Returns the loss of one training row, with its graph."""
        self.policy.train()
        return self._loss_of([self._training_rows[index]])

    @property
    def _training_rows(self) -> Dataset:
        assert isinstance(self.train_dataset, Dataset)
        return self.train_dataset

    def _loss_of(self, rows: list[dict[str, Any]]) -> Tensor:
        """Returns the loss of a batch that is not a step's and must not count as one."""
        batch = self._prepare_inputs(self.data_collator(rows))
        with self.compute_loss_context_manager():
            loss = self.compute_loss(self.policy, batch)
        assert isinstance(loss, Tensor)
        self._metrics["train"].clear()
        self._metrics["eval"].clear()
        self._total_train_tokens = 0
        return loss


class TrlSFT(TrlTrainer, SFTTrainer):
    """TRL's SFT over conversations."""

    @property
    def batches_rows(self) -> bool:
        """Whether a micro-batch holds several rows."""
        return self.args.per_device_train_batch_size > 1

    @torch.no_grad()
    def compare(self, rows: list[Row]) -> Compared:
        """Computes a few rows, each alone and with the others of a micro-batch."""
        count = min(self.args.per_device_train_batch_size, _ROWS_COMPARED)
        compared = rows_for_proof(rows, count)
        batch = [_columns(row, _OF_CONVERSATION) for row in compared]
        # one row's answers are trained at a time, so that the batch's loss is that row's
        silent = [row | {"labels": [IGNORED] * len(row["labels"])} for row in batch]
        self.policy.eval()
        alone = []
        together = []
        for index, row in enumerate(batch):
            alone.append(-self._loss_of([row]))
            together.append(-self._loss_of([*silent[:index], row, *silent[index + 1 :]]))
        tokens = torch.tensor([row.targets for row in compared])
        return Compared(
            torch.stack(alone).cpu(), torch.stack(together).cpu(), tokens, self.policy.dtype
        )


class TrlDPO(TrlTrainer, DPOTrainer):
    """TRL's DPO over pairs.

    Its reference is not a second model but log-probs, computed once before anything can move.
    """

    batches_rows = True  # a pair's two answers

    def use_reference(self, start: Path | None) -> None:
        """Gives every pair the reference's log-probs, in nats an answer.

        The reference is the adapter in `start`, read anew, or the base.
        """
        self.precompute_ref_logps = True
        with _reference(self.policy, start):
            self.train_dataset = self._with_log_probs(self._training_rows)
            if self.eval_dataset is not None:
                self.eval_dataset = self._with_log_probs(self.eval_dataset)

    @torch.no_grad()
    def compare(self, rows: list[Row]) -> Compared:
        """Computes one pair's answers: each alone, and both in a batch as training pads them."""
        (pair,) = rows_for_proof(rows, 1)
        self.policy.eval()
        alone = [log_probs_alone(self.policy, answer).mean() for answer in pair.answers]
        (together,) = self._log_probs(self._batch_of(_columns(pair, _OF_PAIR)))
        tokens = together.new_tensor([answer.targets for answer in pair.answers])
        return Compared(torch.stack(alone), together / tokens, tokens, self.policy.dtype)

    @torch.no_grad()
    def gap_to_reference(self) -> ReferenceGap:
        """Returns how far the present policy is from the reference on the first pairs."""
        self.policy.eval()
        present = []
        reference = []
        pairs = self._training_rows
        # each pair alone, as for the reference
        for index in range(min(_PAIRS_LOOKED_AT, len(pairs))):
            batch = self._batch_of(pairs[index])
            present.append(self._log_probs(batch))
            chosen, rejected = batch["ref_chosen_logps"], batch["ref_rejected_logps"]
            reference.append(torch.stack([chosen, rejected], dim=1))
        return reference_gap(torch.cat(present), torch.cat(reference), self.beta)

    def _prepare_dataset(self, dataset: Dataset, *arguments: Any, **named: Any) -> Dataset:
        """Leaves the rows as they are, because they are tokens already."""
        return dataset

    @torch.no_grad()
    def _with_log_probs(self, pairs: Dataset) -> Dataset:
        """Returns the pairs with the log-probs that the active adapter gives them.

        The log-probs are in nats an answer.
        """
        self.policy.eval()
        chosen = []
        rejected = []
        for pair in pairs:
            ((of_chosen, of_rejected),) = self._log_probs(self._batch_of(pair)).tolist()
            chosen.append(of_chosen)
            rejected.append(of_rejected)
        with_chosen = pairs.add_column("ref_chosen_logps", chosen)
        return with_chosen.add_column("ref_rejected_logps", rejected)

    def _batch_of(self, pair: dict[str, Any]) -> dict[str, Tensor]:
        """Returns a batch of one pair, on the device."""
        batch = self.data_collator([pair])
        return {name: tensor.to(self.accelerator.device) for name, tensor in batch.items()}

    def _log_probs(self, batch: dict[str, Tensor]) -> Tensor:
        """Returns the policy's log-probs of a batch's answers, in nats.

        They are (pairs, 2): chosen and rejected.
        """
        labels = batch["input_ids"].masked_fill(batch["completion_mask"] == 0, IGNORED)
        with self.accelerator.autocast():
            outputs = self.policy(
                input_ids=batch["input_ids"],
                attention_mask=batch["attention_mask"],
                use_cache=False,
                labels=labels,
                fused_lm_head=True,
            )
        chosen, rejected = outputs.log_probs.float().sum(dim=1).chunk(2, dim=0)
        return torch.stack([chosen, rejected], dim=1)


def sft_trainer(
    policy: PeftModel, tokenizer: PreTrainedTokenizerFast, rows: Rows, run: StageRun
) -> TrlSFT:
    """Makes an SFT trainer over encoded conversations."""
    named = trainer_arguments(run, len(rows.train)) | {"max_length": None, "packing": False}
    config = keep_to_one_card(SFTConfig(**named, dataset_kwargs={"skip_prepare_dataset": True}))
    with _weights_kept(policy):
        return TrlSFT(
            model=policy,
            args=config,
            train_dataset=_dataset(rows.train, _OF_CONVERSATION),
            eval_dataset=_dataset(rows.evaluation, _OF_CONVERSATION),
            processing_class=tokenizer,
        )


def dpo_trainer(
    policy: PeftModel, tokenizer: PreTrainedTokenizerFast, rows: Rows, run: StageRun
) -> TrlDPO:
    """Makes a DPO trainer over encoded pairs, which waits for its reference."""
    schedule = run.settings.schedule
    assert isinstance(schedule, Stage3)
    named = trainer_arguments(run, len(rows.train)) | {"max_length": None, "beta": schedule.beta}
    config = keep_to_one_card(DPOConfig(**named, loss_type=["sigmoid"]))
    with _weights_kept(policy):
        trainer = TrlDPO(
            model=policy,
            args=config,
            train_dataset=_dataset(rows.train, _OF_PAIR),
            eval_dataset=_dataset(rows.evaluation, _OF_PAIR),
            processing_class=tokenizer,
        )
    # TRL's copy of the policy, which transformers would resume in the policy's place
    if "ref" in policy.peft_config:
        policy.delete_adapter("ref")
    return trainer


@contextmanager
def _reference(policy: PeftModel, start: Path | None) -> Iterator[None]:
    """Inside, the policy is as it starts: with the adapter of `start`, or without any."""
    if start is None:
        with policy.disable_adapter():
            yield
        return
    policy.load_adapter(str(start), "reference")
    policy.set_adapter("reference")
    try:
        yield
    finally:
        policy.set_adapter("default")
        policy.delete_adapter("reference")


@contextmanager
def _weights_kept(policy: PeftModel) -> Iterator[None]:
    """Puts the LoRA weights back in float32 at the end.

    TRL rounds those of a quantized base to bf16 when it makes a trainer.
    """
    kept = {name: weight.detach().clone() for name, weight in lora_weights(policy)}
    yield
    for name, weight in policy.named_parameters():
        if name in kept:
            weight.data = kept[name]


def _columns(row: Row, names: tuple[str, ...]) -> dict[str, list[int]]:
    """Returns a row as TRL's collators take it."""
    return {name: getattr(row, name).tolist() for name in names}


def _dataset(rows: Sequence[Row], names: tuple[str, ...]) -> Dataset | None:
    if not rows:
        return None
    return Dataset.from_dict({name: [getattr(row, name) for row in rows] for name in names})
