"""One training stage from its spec to a finished adapter folder."""

import json
import logging
import shutil
import sys
import time
from pathlib import Path
from typing import Any

import torch
from pydantic import ValidationError
from transformers import PreTrainedTokenizerFast, PrinterCallback, TrainerCallback, TrainerState, set_seed

from tasks.core.digests import digest_file, write_json
from tasks.core.errors import RequestError, WorkError
from tasks.core.records import TrainingSpec
from tasks.core.settings import Stage, Stage3, Training
from tasks.core.training import checks, ranks
from tasks.core.training.backend import choose_backend
from tasks.core.training.card import write_card
from tasks.core.training.checkpoints import checkpoint_of, newest_intact, problem_of
from tasks.core.training.cpu_kernel import use_on_cpu
from tasks.core.training.engine.trainers import EngineDPO, OnEngine, engine_trainer
from tasks.core.training.health import Health, TimeLimit, best_of, best_step, out_of_patience
from tasks.core.training.machine import Machine, limit_memory, look, peak_memory_gib
from tasks.core.training.model import (
    load_policy,
    load_tokenizer,
    load_weights,
    lora_weights,
    read_config,
    save_adapter,
    saved_weights,
)
from tasks.core.training.oom import TRIES, Try, given_up, giving_way, in_force, read_tries, tell_tries
from tasks.core.training.planner import Plan, plan_stage
from tasks.core.training.rows import Rows, encode_pair, encode_sft, read_rows, select
from tasks.core.training.telemetry import Telemetry, read_telemetry
from tasks.core.training.trainers import SealedDPO, dpo_at_start, dpo_trainer, sft_trainer, steps_of

log = logging.getLogger(__name__)
_STEPS_TO_MOVE_ALL = 20  # A moves only once B has, and the first steps of the warm-up are small


def train(spec: TrainingSpec) -> dict[str, Any]:
    """Trains a stage into spec.out and returns its metrics; goes on from the newest intact checkpoint there.

    Raises CardFull where another process would have more memory, or need less.
    """
    started, machine, out = time.monotonic(), look(), Path(spec.out)
    tries = read_tries(out)
    spec = in_force(spec, tries)
    training, schedule = _settings(spec)
    if machine.device == "cpu":
        use_on_cpu()
    elif training.memory_gib:
        limit_memory(training.memory_gib)
    set_seed(training.seed)
    tokenizer = load_tokenizer(Path(spec.base))
    rows = _encode(spec, tokenizer, training, schedule)
    _check_patience(spec.stage, schedule, rows)
    told = checks.check_masks(tokenizer, rows.train + rows.evaluation, not training.assistant_only_loss)
    log.info("%d rows, %d positions an epoch, left out: %s", len(rows.train), rows.positions, rows.left_out)

    tried = Try(training, schedule, rows, bool(spec.start))
    with giving_way(out, tried):
        tried.plan = _plan(spec, tried, machine, given_up(tries))
        trainer = _make_trainer(spec, tokenizer, tried, machine)
        told |= _check_start(trainer, Path(spec.start) if spec.start else None, rows)
        _add_callbacks(trainer, spec.stage, tried, (out, machine, started))
        resumed, at_end = _run(trainer, out, spec.stage, schedule)
        told |= at_end
        if rows.evaluation and not schedule.eval_every:
            trainer.evaluate()
    if ranks.number():
        return {}

    save_adapter(trainer.model, tokenizer, Path(spec.base), out)
    metrics = _metrics(out, rows, schedule, machine) | {"left_out": rows.left_out, "resumed_from": resumed}
    metrics |= {"seconds": round(time.monotonic() - started, 1)} | _told_of_backend(trainer)
    metrics |= _told_of_the_way(trainer, out, schedule, tries)
    _write_beside(spec, out, told, metrics)
    return metrics


def cards_for(spec: TrainingSpec) -> int:
    """GPUs that train this stage together: all that there are, up to training.cards, where the engine can."""
    training, schedule = _settings(spec)
    cards = min(torch.cuda.device_count(), schedule.effective_batch, training.cards or sys.maxsize)
    if cards < 2:
        return 1
    return cards if choose_backend(training, look(), read_config(Path(spec.base))).name == "engine" else 1


def _plan(spec: TrainingSpec, tried: Try, machine: Machine, limits: dict[str, Any]) -> Plan | None:
    """The engine's plan, or None where TRL trains."""
    config = read_config(Path(spec.base))
    backend = choose_backend(tried.training, machine, config)
    log.info("backend: %s, because %s", backend.name, backend.why)
    if backend.name == "trl":
        return None
    plan = plan_stage(config, tried.rows.train, (tried.training, tried.schedule), machine, limits)
    log.info("plan: %s", plan)
    return plan


def _make_trainer(spec: TrainingSpec, tokenizer: PreTrainedTokenizerFast, tried: Try, machine: Machine):
    """An OnEngine trainer where there is a plan, else TRL's."""
    base, start, plan = Path(spec.base), Path(spec.start) if spec.start else None, tried.plan
    stage = (tried.training, tried.schedule, Path(spec.out))
    if plan is None:
        make = dpo_trainer if spec.method == "dpo" else sft_trainer
        return make(load_policy(base, start, tried.training, machine), tokenizer, tried.rows, stage, machine)
    policy = load_policy(base, start, tried.training, machine, plan.nf4)
    return engine_trainer(policy, tokenizer, tried.rows, (*stage, plan), machine)


def _add_callbacks(trainer, stage: str, tried: Try, place: tuple[Path, Machine, float]) -> None:
    """Telemetry, health and time limit; place is (out, machine, start of the process)."""
    out, machine, started = place
    trainer.remove_callback(PrinterCallback)  # its dicts would stand among our JSON lines
    telemetry = Telemetry(out, stage, machine, lambda: trainer.positions)
    first = ranks.number() == 0  # it tells, and when its time is over the others are ended with it
    if first:
        trainer.add_callback(telemetry)
    warn = telemetry.warn if first else lambda step, text: None
    trainer.add_callback(Health((stage, tried.schedule), machine, lambda: trainer.positions, warn))
    if first and tried.training.max_minutes:
        trainer.add_callback(TimeLimit(started, tried.training.max_minutes))


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


def _run(trainer, out: Path, stage: str, schedule: Stage) -> tuple[str | None, dict[str, Any]]:
    """Trains to the end, from the newest intact checkpoint if there is one; tells its name and what was checked."""
    policy = trainer.model
    before = {name: weight.detach().cpu().clone() for name, weight in lora_weights(policy)}
    checkpoint = newest_intact(out / "checkpoints")
    if checkpoint:
        log.info("resuming from %s", checkpoint.name)
        trainer.add_callback(_ResumedPolicy(checkpoint))
    state = TrainerState.load_from_json(str(checkpoint / "trainer_state.json")) if checkpoint else None
    if state and out_of_patience(state.log_history, schedule):
        trainer.state = state  # it ended here; another evaluation might take a later checkpoint
    else:
        trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
    steps = _check_end(trainer, stage, schedule)
    checks.check_float32(policy)
    told = checks.check_moved(policy, before, strict=steps >= _STEPS_TO_MOVE_ALL)
    if isinstance(trainer, OnEngine):  # at the start a new adapter's B is zero: only now does it show
        told |= {"engine_against_peft_at_end": checks.check_engine(*trainer.proof())["engine_against_peft"]}
    return checkpoint.name if checkpoint else None, told


def _check_end(trainer, stage: str, schedule: Stage) -> int:
    """Takes the best checkpoint where there is patience; a stage that ended early otherwise was out of time.

    Returns the steps that the policy has been trained.
    """
    state, folder = trainer.state, Path(trainer.args.output_dir)
    if state.global_step < state.max_steps and not out_of_patience(state.log_history, schedule):
        raise WorkError(
            f"{stage} stopped at step {state.global_step} of {state.max_steps}, for training.max_minutes is over."
            " Run the same command again: it goes on from there."
        )
    best = best_step(state.log_history) if schedule.patience else None
    if best is None:
        return state.global_step
    checkpoint = checkpoint_of(folder, best)
    if problem := problem_of(checkpoint):
        raise WorkError(f"The best checkpoint {checkpoint} is damaged: {problem}. Delete {folder} and run it again.")
    log.info("taking %s, whose loss on held-out rows is the lowest", checkpoint.name)
    load_weights(trainer.model, saved_weights(checkpoint))
    return best


class _ResumedPolicy(TrainerCallback):
    """After a resume the policy is the checkpoint's, to the last bit: transformers may load another adapter."""

    def __init__(self, checkpoint: Path):
        self._checkpoint = checkpoint

    def on_train_begin(self, args, state, control, model=None, **kwargs):
        checks.check_float32(model)
        checks.check_same_weights(model, saved_weights(self._checkpoint), f"{self._checkpoint.name}")


def _check_patience(stage: str, schedule: Stage, rows: Rows) -> None:
    if schedule.eval_every and not rows.evaluation:
        raise RequestError(
            f"{stage}.eval_every={schedule.eval_every} needs held-out rows, but {len(rows.train)} rows are too few to"
            f" keep any. Set {stage}.eval_every=0 and {stage}.patience=0, or take more rows."
        )


def _settings(spec: TrainingSpec) -> tuple[Training, Stage]:
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


def _told_of_the_way(trainer, out: Path, schedule: Stage, tries: list[dict[str, Any]]) -> dict[str, Any]:
    """What did not go as asked: warnings, what a full card made it give up, an early end."""
    told = {
        "warnings": [line["warning"] for line in read_telemetry(out / "telemetry.jsonl") if "warning" in line],
        "given_up": tell_tries(tries),
    }
    if schedule.patience:
        best, loss = best_of(trainer.state.log_history)
        told |= {"best_step": best, "eval_loss": loss, "stopped_at_step": trainer.state.global_step}
    return told


def _told_of_backend(trainer) -> dict[str, Any]:
    """Who trained, and what its plan expected beside what was seen."""
    if not isinstance(trainer, OnEngine):
        return {"backend": "trl"}
    plan = trainer.plan
    return {
        "backend": "engine",
        "cards": ranks.count(),
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
    (out / TRIES).unlink(missing_ok=True)
