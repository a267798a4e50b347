"""One training stage from its spec to a finished adapter folder."""

import json
import logging
import shutil
import time
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from transformers import PreTrainedTokenizerFast, PrinterCallback, TrainerCallback, set_seed

from tasks.core.digests import digest_file, write_json
from tasks.core.errors import RequestError
from tasks.core.records import TrainingSpec
from tasks.core.settings import Stage, Stage3, Training
from tasks.core.training import checks
from tasks.core.training.backend import Backend, choose_backend
from tasks.core.training.card import write_card
from tasks.core.training.checkpoints import newest_intact
from tasks.core.training.cpu_kernel import use_on_cpu
from tasks.core.training.engine.trainers import EngineDPO, OnEngine, engine_trainer
from tasks.core.training.machine import Machine, look, peak_memory_gib
from tasks.core.training.model import (
    load_fast_policy,
    load_policy,
    load_tokenizer,
    lora_weights,
    read_config,
    save_adapter,
    saved_weights,
)
from tasks.core.training.planner import plan_stage, steps_of
from tasks.core.training.rows import Rows, encode_pair, encode_sft, read_rows, select
from tasks.core.training.telemetry import Telemetry, read_telemetry
from tasks.core.training.trainers import Sealed, SealedDPO, dpo_at_start, dpo_trainer, sft_trainer

log = logging.getLogger(__name__)
_STEPS_TO_MOVE_ALL = 20  # A moves only once B has, and the first steps of the warm-up are small


def train(spec: TrainingSpec) -> dict[str, Any]:
    """Trains a stage into spec.out and returns its metrics; goes on from the newest intact checkpoint there."""
    started, machine, out = time.monotonic(), look(), Path(spec.out)
    training, schedule = settings_of(spec)
    if machine.device == "cpu":
        use_on_cpu()
    set_seed(training.seed)
    tokenizer = load_tokenizer(Path(spec.base))
    rows = _encode(spec, tokenizer, training, schedule)
    told = checks.check_masks(tokenizer, rows.train + rows.evaluation, not training.assistant_only_loss)
    log.info("%d rows, %d positions an epoch, left out: %s", len(rows.train), rows.positions, rows.left_out)

    trainer = _make_trainer(spec, tokenizer, rows, (training, schedule, out), machine)
    told |= _check_start(trainer, Path(spec.start) if spec.start else None, rows)
    trainer.remove_callback(PrinterCallback)  # its dicts would stand among our JSON lines
    trainer.add_callback(Telemetry(out, spec.stage, machine, lambda: trainer.positions))
    resumed, at_end = _run(trainer, out)
    told |= at_end
    if rows.evaluation:
        trainer.evaluate()

    save_adapter(trainer.model, tokenizer, Path(spec.base), out)
    metrics = _metrics(out, rows, schedule, machine) | {"left_out": rows.left_out, "resumed_from": resumed}
    metrics |= {"seconds": round(time.monotonic() - started, 1)} | _told_of_backend(trainer)
    _write_beside(spec, out, told, metrics)
    return metrics


def backend_of(spec: TrainingSpec) -> Backend:
    """What `train` would train this with, before any row is read."""
    return choose_backend(settings_of(spec)[0], look(), read_config(Path(spec.base)))


def _make_trainer(
    spec: TrainingSpec,
    tokenizer: PreTrainedTokenizerFast,
    rows: Rows,
    stage: tuple[Training, Stage, Path],
    machine: Machine,
) -> OnEngine | Sealed:
    """The trainer of the backend that suits this machine and base; stage is (training, schedule, out)."""
    base, start, training = Path(spec.base), Path(spec.start) if spec.start else None, stage[0]
    config = read_config(base)
    backend = choose_backend(training, machine, config)
    log.info("backend: %s, because %s", backend.name, backend.why)
    if backend.name != "engine":
        make = dpo_trainer if spec.method == "dpo" else sft_trainer
        load = load_fast_policy if backend.name == "unsloth" else load_policy
        trainer = make(load(base, start, training, machine), tokenizer, rows, stage, machine)
        trainer.backend = backend.name
        return trainer
    plan = plan_stage(config, rows.train, stage[:2], machine)
    log.info("plan: %s", plan)
    policy = load_policy(base, start, training, machine, plan.nf4)
    return engine_trainer(policy, tokenizer, rows, (*stage, plan), machine)


def _check_start(trainer, start: Path | None, rows: Rows) -> dict[str, Any]:
    """All that has to be true of the policy and its reference before the first step."""
    policy = trainer.model
    told = checks.check_float32(policy)
    if start:
        checks.check_same_weights(policy, saved_weights(start), "the earlier stage")
    if isinstance(trainer, OnEngine):
        told |= checks.check_engine(*trainer.proof())
    if isinstance(trainer, SealedDPO | EngineDPO):
        trainer.use_reference(start)
        told |= checks.check_reference(dpo_at_start(trainer))
    # the shortest row, because activations are not checkpointed yet: a long one would set the stage's peak of memory
    shortest = min(range(len(rows.train)), key=lambda place: rows.train[place]["positions"])
    return told | checks.check_gradients(policy, trainer.row_loss(shortest))


def _run(trainer, out: Path) -> tuple[str | None, dict[str, Any]]:
    """Trains to the end, from the newest intact checkpoint if there is one; tells its name and what was checked."""
    policy = trainer.model
    before = {name: weight.detach().cpu().clone() for name, weight in lora_weights(policy)}
    checkpoint = newest_intact(out / "checkpoints")
    if checkpoint:
        log.info("resuming from %s", checkpoint.name)
        trainer.add_callback(_ResumedPolicy(checkpoint))
    trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
    checks.check_float32(policy)
    told = checks.check_moved(policy, before, strict=trainer.state.max_steps >= _STEPS_TO_MOVE_ALL)
    if isinstance(trainer, OnEngine):  # at the start a new adapter's B is zero: only now does it show
        told |= {"engine_against_peft_at_end": checks.check_engine(*trainer.proof())["engine_against_peft"]}
    return checkpoint.name if checkpoint else None, told


class _ResumedPolicy(TrainerCallback):
    """After a resume the policy is the checkpoint's, to the last bit: transformers may load another adapter."""

    def __init__(self, checkpoint: Path):
        self._checkpoint = checkpoint

    def on_train_begin(self, args, state, control, model=None, **kwargs):
        checks.check_float32(model)
        checks.check_same_weights(model, saved_weights(self._checkpoint), f"{self._checkpoint.name}")


def settings_of(spec: TrainingSpec) -> tuple[Training, Stage]:
    try:
        return Training(**spec.training), (Stage3 if spec.method == "dpo" else Stage)(**spec.schedule)
    except ValidationError as error:
        raise RequestError(f"The settings of {spec.stage} cannot be used: {error}") from error


def _encode(spec: TrainingSpec, tokenizer, training: Training, schedule: Stage) -> Rows:
    raw = read_rows(Path(spec.rows), ("prompt", "chosen", "rejected") if spec.method == "dpo" else ("messages",))
    if spec.method == "dpo":
        encoded = [encode_pair(tokenizer, row) for row in raw]
    else:
        encoded = [encode_sft(tokenizer, row, not training.assistant_only_loss) for row in raw]
    return select(encoded, training.max_length, schedule.token_budget / schedule.epochs, training.seed)


def _metrics(out: Path, rows: Rows, schedule: Stage, machine: Machine) -> dict[str, Any]:
    """Figures of the whole stage; tokens_per_s and the memory are those of the last process that worked on it."""
    told = read_telemetry(out / "telemetry.jsonl")
    lines = [line for line in told if "loss" in line]
    first, last = (lines[0], lines[-1]) if lines else ({}, {})  # none where the stage is shorter than log_every
    return {
        "rows": len(rows.train),
        "positions_per_epoch": rows.positions,
        "positions_trained": round(rows.positions * schedule.epochs),
        "steps": steps_of(schedule, len(rows.train)),
        "first_loss": first.get("loss"),
        "final_loss": last.get("loss"),
        "eval_loss": next((line["eval_loss"] for line in reversed(told) if "eval_loss" in line), None),
        "tokens_per_s": last.get("tokens_per_s"),
        "peak_memory_gib": round(peak_memory_gib(machine), 2),
        "device": machine.name,
    }


def _told_of_backend(trainer) -> dict[str, Any]:
    """Who trained, and what its plan expected beside what was seen."""
    if not isinstance(trainer, OnEngine):
        return {"backend": trainer.backend}
    plan = trainer.plan
    return {
        "backend": trainer.backend,
        "plan": str(plan),
        "expected_peak_gib": round(plan.peak_gib, 2),
        "expected_step_s": round(plan.step_s, 3),
        "step_s": round(trainer.seconds_per_step(), 3),
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
