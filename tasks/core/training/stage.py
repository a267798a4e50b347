"""One training stage from its spec to a finished adapter folder."""

import json
import logging
import shutil
import time
from pathlib import Path
from typing import Any

import torch
from transformers import PrinterCallback, TrainerCallback, set_seed
from transformers.integrations import TensorBoardCallback

from tasks.core.digests import digest_file, write_json
from tasks.core.errors import WorkError
from tasks.core.records import TrainingSpec
from tasks.core.settings import Stage, Stage3, Training
from tasks.core.training import checks
from tasks.core.training.card import write_card
from tasks.core.training.checkpoints import newest_intact
from tasks.core.training.cpu_kernel import use_on_cpu
from tasks.core.training.machine import Machine, look, peak_memory_gib
from tasks.core.training.model import load_policy, load_tokenizer, lora_weights, save_adapter, saved_weights
from tasks.core.training.rows import Rows, encode_pair, encode_sft, read_rows, select
from tasks.core.training.telemetry import Telemetry, read_telemetry
from tasks.core.training.trainers import dpo_at_start, dpo_trainer, sft_trainer

log = logging.getLogger(__name__)


def train(spec: TrainingSpec) -> dict[str, Any]:
    """Trains a stage into spec.out and returns its metrics; goes on from the newest intact checkpoint there."""
    started, machine, out = time.monotonic(), look(), Path(spec.out)
    training = Training(**spec.training)
    schedule = (Stage3 if spec.method == "dpo" else Stage)(**spec.schedule)
    if machine.device == "cpu":
        use_on_cpu()
    set_seed(training.seed)
    tokenizer = load_tokenizer(Path(spec.base))
    rows = _encode(spec, tokenizer, training, schedule)
    told = checks.check_masks(tokenizer, rows.train + rows.evaluation)
    log.info("%d rows, %d positions an epoch, left out: %s", len(rows.train), rows.positions, rows.left_out)

    policy = load_policy(Path(spec.base), Path(spec.start) if spec.start else None, training, machine)
    make = dpo_trainer if spec.method == "dpo" else sft_trainer
    trainer = make(policy, tokenizer, rows, (training, schedule, out), machine)
    told |= checks.check_float32(policy)
    if spec.start:
        checks.check_same_weights(policy, saved_weights(Path(spec.start)), "the earlier stage")
    if spec.method == "dpo":
        told |= checks.check_reference(dpo_at_start(trainer))
    told |= checks.check_gradients(policy, _first_loss(trainer))
    before = {name: weight.detach().cpu().clone() for name, weight in lora_weights(policy)}

    positions_per_step = rows.positions * schedule.epochs / max(1, _steps(trainer))
    trainer.remove_callback(PrinterCallback)  # its dicts would stand among our JSON lines
    trainer.add_callback(Telemetry(out, spec.stage, machine, positions_per_step))
    trainer.add_callback(_tensorboard(out))
    checkpoint = newest_intact(out / "checkpoints")
    if checkpoint:
        log.info("resuming from %s", checkpoint.name)
        trainer.add_callback(_ResumedPolicy(checkpoint))
    result = trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
    told |= checks.check_float32(policy)
    told |= checks.check_moved(policy, before, strict=_steps(trainer) >= 20)
    evaluation = trainer.evaluate() if rows.evaluation else {}

    save_adapter(policy, tokenizer, Path(spec.base), out)
    metrics = _metrics(out, rows, machine, result.metrics, evaluation) | {"resumed": bool(checkpoint)}
    metrics |= {"seconds": round(time.monotonic() - started, 1), "left_out": rows.left_out}
    _write_beside(spec, out, told, metrics)
    return metrics


class _ResumedPolicy(TrainerCallback):
    """After a resume the policy is the checkpoint's, to the last bit: transformers may load another adapter."""

    def __init__(self, checkpoint: Path):
        self._checkpoint = checkpoint

    def on_train_begin(self, args, state, control, model=None, **kwargs):
        checks.check_float32(model)
        checks.check_same_weights(model, saved_weights(self._checkpoint), f"{self._checkpoint.name}")


def _encode(spec: TrainingSpec, tokenizer, training: Training, schedule: Stage) -> Rows:
    raw = read_rows(Path(spec.rows))
    if not raw:
        raise WorkError(f"{spec.rows} has no rows.")
    if spec.method == "dpo":
        encoded = [encode_pair(tokenizer, row) for row in raw]
    else:
        encoded = [encode_sft(tokenizer, row, not training.assistant_only_loss) for row in raw]
    return select(encoded, training.max_length, schedule.token_budget / schedule.epochs, training.seed)


def _first_loss(trainer) -> torch.Tensor:
    """The loss of the first training row, with its graph."""
    trainer.model.train()
    batch = trainer._prepare_inputs(trainer.data_collator([trainer.train_dataset[0]]))
    with trainer.compute_loss_context_manager():
        loss = trainer.compute_loss(trainer.model, batch)
    trainer._metrics["train"].clear()
    trainer._total_train_tokens = 0
    return loss


def _steps(trainer) -> int:
    """Optimizer steps of the whole stage."""
    args = trainer.args
    rows_per_step = args.per_device_train_batch_size * args.gradient_accumulation_steps
    return max(1, round(len(trainer.train_dataset) / rows_per_step * args.num_train_epochs))


def _tensorboard(out: Path) -> TensorBoardCallback:
    from torch.utils.tensorboard import SummaryWriter  # noqa: PLC0415 - pulls in tensorboard only where it is wanted

    return TensorBoardCallback(SummaryWriter(log_dir=str(out / "tensorboard")))


def _metrics(out: Path, rows: Rows, machine: Machine, trained: dict, evaluation: dict) -> dict[str, Any]:
    lines = [line for line in read_telemetry(out / "telemetry.jsonl") if "loss" in line]
    last = lines[-1] if lines else {}
    return {
        "rows": len(rows.train),
        "positions_per_epoch": rows.positions,
        "steps": last.get("steps"),
        "first_loss": lines[0]["loss"] if lines else None,
        "final_loss": last.get("loss"),
        "mean_loss": round(trained["train_loss"], 5),
        "eval_loss": evaluation.get("eval_loss"),
        "tokens_per_s": last.get("tokens_per_s"),
        "peak_memory_gib": round(peak_memory_gib(machine), 2),
        "device": machine.name,
    }


def _write_beside(spec: TrainingSpec, out: Path, told: dict[str, Any], metrics: dict[str, Any]) -> None:
    """Everything in an adapter folder that is not the adapter."""
    write_json(out / "checks.json", told)
    write_json(out / "metrics.json", metrics)
    write_json(
        out / "training_config.json",
        {
            "stage": spec.stage,
            "method": spec.method,
            "rows_sha256": digest_file(Path(spec.rows)),
            "training": spec.training,
            "schedule": spec.schedule,
        },
    )
    base = json.loads((Path(spec.base) / "config.json").read_text(encoding="utf-8"))
    write_card(out, spec, base, told, metrics)
    shutil.rmtree(out / "checkpoints", ignore_errors=True)
