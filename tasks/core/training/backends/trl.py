"""TRL's two trainers as this project uses them: our tokens, float32 LoRA weights, sealed
checkpoints.
"""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from datasets import Dataset
from peft import PeftModel
from transformers import PreTrainedTokenizerFast, TrainingArguments
from trl import DPOConfig, DPOTrainer, SFTConfig, SFTTrainer

from tasks.core.errors import RequestError
from tasks.core.files.sealed import published
from tasks.core.training.backends.run import StageRun
from tasks.core.training.checks.compared import Compared
from tasks.core.training.hardware import ranks
from tasks.core.training.policy.adapter import lora_weights
from tasks.core.training.policy.optimizer import optimizer_of
from tasks.core.training.rows.records import IGNORED, Conversation, Pair, Row
from tasks.core.training.rows.selection import Rows, rows_for_proof
from tasks.core.training.watch.checkpoints import checkpoint_of, remove_oldest
from tasks.core.training.watch.evaluations import best_step

_PAIRS_LOOKED_AT = 2  # by the checks of the reference
_ROWS_COMPARED = 4  # of a micro-batch
_OF_CONVERSATION = ("input_ids", "labels")
_OF_PAIR = ("prompt_ids", "chosen_ids", "rejected_ids")


class Sealed:
    """Trainer mixin: a checkpoint is there once all of it is written and sealed, and only then an
    older one goes.
    """

    backend = "trl"
    positions = 0
    """Sequence positions trained by this process, padding not counted."""
    otherwise = "a micro_batch of 1, or training.backend=engine where it knows the model"
    """What to set where this backend's batches are wrong."""

    @staticmethod
    def get_optimizer_cls_and_kwargs(args, model=None):
        return optimizer_of(args, model)

    def create_model_card(self, *args, **kwargs):
        """None: the stage writes its own."""

    def _save_checkpoint(self, model, trial):
        if ranks.number():
            return
        folder, kept = Path(self.args.output_dir), self.args.save_total_limit
        try:
            with published(folder) as part:
                # without its limit, or transformers would look for old ones where there are none
                self.args.output_dir, self.args.save_total_limit = str(part), None
                super()._save_checkpoint(model, trial)
        finally:
            self.args.output_dir, self.args.save_total_limit = str(folder), kept
        best = best_step(self.state.log_history)
        remove_oldest(folder, kept, checkpoint_of(folder, best) if best else None)

    def training_step(self, model, inputs, *arguments, **named):
        self.positions += int(inputs["attention_mask"].sum())
        return super().training_step(model, inputs, *arguments, **named)

    def row_loss(self, place: int) -> torch.Tensor:
        """The loss of one training row, with its graph."""
        self.model.train()
        return self._loss_of([self.train_dataset[place]])

    def _loss_of(self, rows: list[dict[str, Any]]) -> torch.Tensor:
        """The loss of a batch that is no step's."""
        batch = self._prepare_inputs(self.data_collator(rows))
        with self.compute_loss_context_manager():
            loss = self.compute_loss(self.model, batch)
        for mode in ("train", "eval"):
            self._metrics[mode].clear()
        self._total_train_tokens = 0
        return loss


class SealedSFT(Sealed, SFTTrainer):
    @torch.no_grad()
    def proof(self, rows: list[Conversation]) -> Compared:
        """A few rows, each alone and with the others of a micro-batch."""
        count = min(self.args.per_device_train_batch_size, _ROWS_COMPARED)
        batch = [_columns(row, _OF_CONVERSATION) for row in rows_for_proof(rows, count)]
        # one row's answers are trained at a time, so that the batch's loss is that row's
        silent = [row | {"labels": [IGNORED] * len(row["labels"])} for row in batch]
        self.model.eval()
        alone = [-self._loss_of([row]) for row in batch]
        together = [
            -self._loss_of([*silent[:n], row, *silent[n + 1 :]]) for n, row in enumerate(batch)
        ]
        tokens = torch.tensor(
            [sum(label != IGNORED for label in row["labels"][1:]) for row in batch]
        )
        return Compared(
            torch.stack(alone).cpu(), torch.stack(together).cpu(), tokens, self.model.dtype
        )


class SealedDPO(Sealed, DPOTrainer):
    """Its reference is not a second model but log-probs, computed once before anything can move."""

    def use_reference(self, start: Path | None) -> None:
        """Gives every pair the log-probs (nats per answer) of the adapter in `start`, read anew, or
        of the base.
        """
        self.precompute_ref_logps = True
        with _reference(self.model, start):
            self.train_dataset = _with_log_probs(self, self.train_dataset)
            if self.eval_dataset is not None:
                self.eval_dataset = _with_log_probs(self, self.eval_dataset)

    @torch.no_grad()
    def proof(self, rows: list[Pair]) -> Compared:
        """One pair's answers: each alone, and both in a batch as training pads them."""
        (pair,) = rows_for_proof(rows, 1)
        self.model.eval()
        alone = torch.stack([log_probs_alone(self.model, answer).mean() for answer in pair.answers])
        batch = self.data_collator([_columns(pair, _OF_PAIR)])
        together = torch.cat(_log_probs(self, _on_device(self, batch)))
        counts = together.new_tensor([len(pair.chosen_ids), len(pair.rejected_ids)])
        return Compared(alone, together / counts, counts, self.model.dtype)

    def first_log_probs(self) -> tuple[torch.Tensor, torch.Tensor]:
        """The present policy's and the reference's log-probs of the first pairs, (pairs, 2):
        chosen, rejected.
        """
        self.model.eval()
        present, reference = [], []
        for place in range(
            min(_PAIRS_LOOKED_AT, len(self.train_dataset))
        ):  # each alone, as for the reference
            batch = _on_device(self, self.data_collator([self.train_dataset[place]]))
            with torch.no_grad():
                present.append(torch.stack(_log_probs(self, batch), dim=1))
            reference.append(
                torch.stack([batch["ref_chosen_logps"], batch["ref_rejected_logps"]], dim=1)
            )
        return torch.cat(present), torch.cat(reference)

    def _prepare_dataset(self, dataset, *args, **kwargs):
        """The rows come as tokens."""
        return dataset


def sft_trainer(
    policy: PeftModel,
    tokenizer: PreTrainedTokenizerFast,
    rows: Rows,
    run: StageRun,
) -> SealedSFT:
    """An SFT trainer over encoded rows."""
    told = arguments(run, len(rows.train)) | {"max_length": None, "packing": False}
    config = on_one_card(SFTConfig(**told, dataset_kwargs={"skip_prepare_dataset": True}))
    trainer = _keeping_weights(
        policy,
        lambda: SealedSFT(
            model=policy,
            args=config,
            train_dataset=_dataset(rows.train, _OF_CONVERSATION),
            eval_dataset=_dataset(rows.evaluation, _OF_CONVERSATION),
            processing_class=tokenizer,
        ),
    )
    return trainer


def dpo_trainer(
    policy: PeftModel,
    tokenizer: PreTrainedTokenizerFast,
    rows: Rows,
    run: StageRun,
) -> SealedDPO:
    """A DPO trainer over encoded pairs, which waits for its reference."""
    beta = run.settings.schedule.beta
    told = arguments(run, len(rows.train)) | {"max_length": None, "beta": beta}
    config = on_one_card(DPOConfig(**told, loss_type="sigmoid"))
    trainer = _keeping_weights(
        policy,
        lambda: SealedDPO(
            model=policy,
            args=config,
            train_dataset=_dataset(rows.train, _OF_PAIR),
            eval_dataset=_dataset(rows.evaluation, _OF_PAIR),
            processing_class=tokenizer,
        ),
    )
    if (
        "ref" in policy.peft_config
    ):  # TRL's copy of the policy, which transformers would resume in the policy's place
        policy.delete_adapter("ref")
    return trainer


def dpo_at_start(trainer) -> dict[str, float]:
    """Loss, largest reward and largest log-prob gap of the first training pairs on the policy's
    present weights.
    """
    present, reference = trainer.first_log_probs()
    gaps = present - reference
    loss = -torch.nn.functional.logsigmoid(trainer.beta * (gaps[:, 0] - gaps[:, 1])).mean()
    largest = gaps.abs().max().item()
    return {"loss": loss.item(), "reward": trainer.beta * largest, "log_prob_gap": largest}


def log_probs_alone(policy: PeftModel, answer: Conversation) -> torch.Tensor:
    """What the model gives each trained token of one sequence by its plain logits; nats, float32."""
    ids, labels = answer.input_ids.tolist(), answer.labels.tolist()
    places = [place for place, label in enumerate(labels[1:]) if label != IGNORED]
    there = torch.tensor([ids], device=policy.device)
    log_probs = policy(input_ids=there, use_cache=False).logits[0, places].float().log_softmax(-1)
    return log_probs[range(len(places)), [labels[place + 1] for place in places]]


@contextmanager
def _reference(policy: PeftModel, start: Path | None) -> Iterator[None]:
    """The policy as it starts: with the adapter of `start`, or without any."""
    if start is None:
        with policy.disable_adapter():
            yield
        return
    policy.load_adapter(start, "reference")
    policy.set_adapter("reference")
    try:
        yield
    finally:
        policy.set_adapter("default")
        policy.delete_adapter("reference")


def _with_log_probs(trainer: SealedDPO, dataset: Dataset) -> Dataset:
    """The pairs with the log-probs (nats per answer) that the active adapter gives them."""
    trainer.model.eval()
    told: dict[str, list[float]] = {"ref_chosen_logps": [], "ref_rejected_logps": []}
    with torch.no_grad():
        for pair in dataset:
            chosen, rejected = _log_probs(
                trainer, _on_device(trainer, trainer.data_collator([pair]))
            )
            told["ref_chosen_logps"].append(chosen.item())
            told["ref_rejected_logps"].append(rejected.item())
    for name, values in told.items():
        dataset = dataset.add_column(name, values)
    return dataset


def _log_probs(
    trainer: SealedDPO, batch: dict[str, torch.Tensor]
) -> tuple[torch.Tensor, torch.Tensor]:
    labels = batch["input_ids"].masked_fill(batch["completion_mask"] == 0, -100)
    inputs = {
        "input_ids": batch["input_ids"],
        "attention_mask": batch["attention_mask"],
        "use_cache": False,
    }
    with trainer.accelerator.autocast():
        told = trainer.model(**inputs, labels=labels, fused_lm_head=True).log_probs
    return told.float().sum(dim=1).chunk(2, dim=0)


def _on_device(trainer: SealedDPO, batch: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {name: tensor.to(trainer.accelerator.device) for name, tensor in batch.items()}


def _keeping_weights(policy: PeftModel, make):
    """Makes a trainer. TRL rounds the LoRA weights of a quantized base to bf16; they are put back
    in float32.
    """
    kept = {name: weight.detach().clone() for name, weight in lora_weights(policy)}
    trainer = make()
    for name, weight in policy.named_parameters():
        if name in kept:
            weight.data = kept[name]
    return trainer


def _columns(row: Row, names: tuple[str, ...]) -> dict[str, list[int]]:
    """A row as TRL's collators take it."""
    return {name: getattr(row, name).tolist() for name in names}


def _dataset(rows: list[Row], names: tuple[str, ...]) -> Dataset | None:
    if not rows:
        return None
    return Dataset.from_dict({name: [getattr(row, name) for row in rows] for name in names})


def on_one_card(config: TrainingArguments) -> TrainingArguments:
    """Transformers would take every card it sees, and give a step the rows of as many steps; TRL
    refuses that.
    """
    config._n_gpu = min(config.n_gpu, 1)
    return config


def arguments(run: StageRun, rows: int) -> dict[str, Any]:
    """What both trainers are told. The effective batch counts rows."""
    training, stage = run.settings.training, run.settings.schedule
    machine, steps = run.machine, run.settings.steps(rows)
    if stage.effective_batch % stage.micro_batch:
        fitting = [
            str(n) for n in range(1, stage.effective_batch + 1) if stage.effective_batch % n == 0
        ]
        raise RequestError(
            f"micro_batch={stage.micro_batch} does not divide effective_batch={stage.effective_batch}:"
            f" choose {', '.join(fitting)}."
        )
    return {
        "output_dir": str(run.out / "checkpoints"),
        "per_device_train_batch_size": stage.micro_batch,
        "per_device_eval_batch_size": 1,
        "gradient_accumulation_steps": stage.effective_batch // stage.micro_batch,
        "num_train_epochs": stage.epochs,
        "learning_rate": stage.learning_rate,
        "lr_scheduler_type": "cosine",
        "warmup_steps": math.ceil(training.warmup_ratio * steps),
        "optim": machine.optimizer,
        # the model is in its compute type already, and autocast would round the LoRA products
        "bf16": False,
        "fp16": machine.compute == torch.float16,
        "gradient_checkpointing": stage.gradient_checkpointing,
        "gradient_checkpointing_kwargs": {"use_reentrant": False},
        "logging_steps": min(stage.log_every, steps),  # a short stage tells its last step at least
        "logging_nan_inf_filter": False,
        "save_strategy": "steps",
        "save_steps": stage.save_every,
        "save_total_limit": stage.keep,
        "eval_strategy": "no",
        "report_to": "none",
        "disable_tqdm": True,
        "seed": training.seed,
        "data_seed": training.seed,
        "dataloader_num_workers": 0,
        "dataloader_pin_memory": machine.device == "cuda",
        "use_cpu": machine.device == "cpu",
    }
