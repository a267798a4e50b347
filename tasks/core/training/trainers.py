"""TRL's two trainers as this project uses them: our tokens, float32 LoRA weights, sealed checkpoints."""

import math
from pathlib import Path
from typing import Any

import torch
from datasets import Dataset
from peft import PeftModel
from transformers import PreTrainedTokenizerFast
from trl import DPOConfig, DPOTrainer, SFTConfig, SFTTrainer

from tasks.core.errors import RequestError
from tasks.core.settings import Stage, Training
from tasks.core.training.checkpoints import seal
from tasks.core.training.machine import Machine
from tasks.core.training.model import lora_weights
from tasks.core.training.rows import Rows


class _Sealed:
    """Trainer mixin: a checkpoint counts once its files' digests are written."""

    def create_model_card(self, *args, **kwargs):
        """None: the stage writes its own."""

    def _save_checkpoint(self, model, trial):
        super()._save_checkpoint(model, trial)
        seal(Path(self._get_output_dir(trial)) / f"checkpoint-{self.state.global_step}")


class SealedSFT(_Sealed, SFTTrainer):
    pass


class SealedDPO(_Sealed, DPOTrainer):
    def _prepare_dataset(self, dataset, *args, **kwargs):
        """The rows come as tokens."""
        return dataset


def sft_trainer(
    policy: PeftModel,
    tokenizer: PreTrainedTokenizerFast,
    rows: Rows,
    stage: tuple[Training, Stage, Path],
    machine: Machine,
) -> SealedSFT:
    """An SFT trainer over encoded rows; stage is (training, schedule, out)."""
    arguments = SFTConfig(
        **_arguments(*stage, machine, len(rows.train)),
        max_length=None,
        packing=False,
        dataset_kwargs={"skip_prepare_dataset": True},
    )
    trainer = _keeping_weights(
        policy,
        lambda: SealedSFT(
            model=policy,
            args=arguments,
            train_dataset=_dataset(rows.train, ("input_ids", "labels")),
            eval_dataset=_dataset(rows.evaluation, ("input_ids", "labels")),
            processing_class=tokenizer,
        ),
    )
    return trainer


def dpo_trainer(
    policy: PeftModel,
    tokenizer: PreTrainedTokenizerFast,
    rows: Rows,
    stage: tuple[Training, Stage, Path],
    machine: Machine,
) -> SealedDPO:
    """A DPO trainer over encoded pairs that carry their reference log-probs (see `reference_log_probs`)."""
    columns = ("prompt_ids", "chosen_ids", "rejected_ids")
    arguments = DPOConfig(
        **_arguments(*stage, machine, len(rows.train)),
        max_length=None,
        beta=stage[1].beta,
        loss_type="sigmoid",
    )
    trainer = _keeping_weights(
        policy,
        lambda: SealedDPO(
            model=policy,
            args=arguments,
            train_dataset=_dataset(rows.train, columns),
            eval_dataset=_dataset(rows.evaluation, columns),
            processing_class=tokenizer,
        ),
    )
    # TRL made a copy of the adapter for the reference. The reference is the starting policy, whose log-probs are
    # computed once, before anything can move it; a single adapter is also what checkpoints restore right.
    policy.delete_adapter("ref")
    trainer.precompute_ref_logps = True
    trainer.train_dataset = _with_reference(trainer, trainer.train_dataset)
    if trainer.eval_dataset is not None:
        trainer.eval_dataset = _with_reference(trainer, trainer.eval_dataset)
    return trainer


def dpo_at_start(trainer: SealedDPO) -> dict[str, float]:
    """Loss, largest reward and largest log-prob gap of the first training pair on the policy's present weights."""
    pair = trainer.train_dataset[0]
    batch = _on_device(trainer, trainer.data_collator([pair]))
    trainer.model.eval()
    with torch.no_grad():
        chosen, rejected = _log_probs(trainer, batch)
    margin = (chosen - batch["ref_chosen_logps"]) - (rejected - batch["ref_rejected_logps"])
    gaps = torch.cat([chosen - batch["ref_chosen_logps"], rejected - batch["ref_rejected_logps"]]).abs()
    loss = -torch.nn.functional.logsigmoid(trainer.beta * margin).mean()
    return {"loss": loss.item(), "reward": (trainer.beta * gaps).max().item(), "log_prob_gap": gaps.max().item()}


def _with_reference(trainer: SealedDPO, dataset: Dataset) -> Dataset:
    """The pairs with the log-probs (nats per answer) that the policy gives them now."""
    trainer.model.eval()
    told: dict[str, list[float]] = {"ref_chosen_logps": [], "ref_rejected_logps": []}
    with torch.no_grad():
        for pair in dataset:
            chosen, rejected = _log_probs(trainer, _on_device(trainer, trainer.data_collator([pair])))
            told["ref_chosen_logps"].append(chosen.item())
            told["ref_rejected_logps"].append(rejected.item())
    for name, values in told.items():
        dataset = dataset.add_column(name, values)
    return dataset


def _log_probs(trainer: SealedDPO, batch: dict[str, torch.Tensor]) -> tuple[torch.Tensor, torch.Tensor]:
    labels = batch["input_ids"].masked_fill(batch["completion_mask"] == 0, -100)
    inputs = {"input_ids": batch["input_ids"], "attention_mask": batch["attention_mask"], "use_cache": False}
    with trainer.accelerator.autocast():
        told = trainer.model(**inputs, labels=labels, fused_lm_head=True).log_probs
    return told.float().sum(dim=1).chunk(2, dim=0)


def _on_device(trainer: SealedDPO, batch: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {name: tensor.to(trainer.accelerator.device) for name, tensor in batch.items()}


def _keeping_weights(policy: PeftModel, make):
    """Makes a trainer. TRL rounds the LoRA weights of a quantized base to bf16; they are put back in float32."""
    kept = {name: weight.detach().clone() for name, weight in lora_weights(policy)}
    trainer = make()
    for name, weight in policy.named_parameters():
        if name in kept:
            weight.data = kept[name]
    return trainer


def _dataset(rows: list[dict[str, Any]], columns: tuple[str, ...]) -> Dataset | None:
    return Dataset.from_list([{name: row[name] for name in columns} for row in rows]) if rows else None


def _arguments(training: Training, stage: Stage, out: Path, machine: Machine, rows: int) -> dict[str, Any]:
    """What both trainers are told. The effective batch counts rows."""
    if stage.effective_batch % stage.micro_batch:
        fitting = [str(n) for n in range(1, stage.effective_batch + 1) if stage.effective_batch % n == 0]
        raise RequestError(
            f"micro_batch={stage.micro_batch} does not divide effective_batch={stage.effective_batch}:"
            f" choose {', '.join(fitting)}."
        )
    steps = math.ceil(rows / stage.effective_batch * stage.epochs)
    return {
        "output_dir": str(out / "checkpoints"),
        "per_device_train_batch_size": stage.micro_batch,
        "per_device_eval_batch_size": 1,
        "gradient_accumulation_steps": stage.effective_batch // stage.micro_batch,
        "num_train_epochs": stage.epochs,
        "learning_rate": stage.learning_rate,
        "lr_scheduler_type": "cosine",
        "warmup_steps": math.ceil(training.warmup_ratio * steps),
        "optim": machine.optimizer,
        "bf16": False,  # the model is in its compute type already, and autocast would round the LoRA products
        "fp16": machine.compute == torch.float16,
        "gradient_checkpointing": training.gradient_checkpointing,
        "gradient_checkpointing_kwargs": {"use_reentrant": False},
        "logging_steps": stage.log_every,
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
