"""One training stage from its spec to a finished adapter folder."""

import json
import logging
import shutil
import time
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from transformers import PreTrainedTokenizerFast, PrinterCallback, set_seed

from tasks.core.digests import digest_file, digest_files, write_json
from tasks.core.errors import RequestError
from tasks.core.records import TrainingSpec
from tasks.core.settings import Stage, Stage3, Training
from tasks.core.steps import STAGE_VERSION
from tasks.core.training.backend import choose_backend
from tasks.core.training.card import write_card
from tasks.core.training.checkpoints import newest_intact
from tasks.core.training.cpu_kernel import use_on_cpu
from tasks.core.training.engine.trainers import OnEngine, engine_trainer
from tasks.core.training.machine import Machine, look, peak_memory_gib
from tasks.core.training.model import (
    adapter_digests,
    check_library,
    load_policy,
    load_tokenizer,
    read_config,
    save_adapter,
)
from tasks.core.training.planner import plan_stage
from tasks.core.training.proofs import Proof
from tasks.core.training.report import Report
from tasks.core.training.row_checks import check_lengths, check_masks, check_template
from tasks.core.training.rows import Rows, encode_pair, encode_sft, read_rows, select
from tasks.core.training.telemetry import Telemetry, read_telemetry
from tasks.core.training.trainers import Sealed, dpo_trainer, sft_trainer, steps_of

log = logging.getLogger(__name__)


def train(spec: TrainingSpec) -> dict[str, Any]:
    """Trains a stage into spec.out and returns its metrics; goes on from the newest intact checkpoint there."""
    started, machine, out = time.monotonic(), look(), Path(spec.out)
    training, schedule = _settings(spec)
    check_library(machine)
    if machine.device == "cpu":
        use_on_cpu()
    set_seed(training.seed)
    tokenizer = load_tokenizer(Path(spec.base), training.template)
    read = _digests_of(spec)
    report = Report(out / "checks.json")
    rows = _encode(spec, tokenizer, (training, schedule), report)

    trainer = _make_trainer(spec, tokenizer, rows, (training, schedule, out), machine)
    proof = Proof(trainer, Path(spec.start) if spec.start else None, rows, report)
    proof.before(training.target_modules, machine.compute)
    trainer.remove_callback(PrinterCallback)  # its dicts would stand among our JSON lines
    trainer.add_callback(Telemetry(out, spec.stage, machine, lambda: trainer.positions))
    resumed = _run(trainer, proof, out)
    if rows.evaluation:
        trainer.evaluate()

    save_adapter(trainer.model, tokenizer, Path(spec.base), out)
    metrics = _metrics(out, rows, schedule, machine) | {"left_out": rows.left_out, "resumed_from": resumed}
    metrics |= {"seconds": round(time.monotonic() - started, 1)} | _told_of_backend(trainer)
    _write_beside(spec, read, report, metrics)
    return metrics


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
    if backend.name == "trl":
        make = dpo_trainer if spec.method == "dpo" else sft_trainer
        return make(load_policy(base, start, training, machine), tokenizer, rows, stage, machine)
    plan = plan_stage(config, rows.train, stage[:2], machine)
    log.info("plan: %s", plan)
    policy = load_policy(base, start, training, machine, plan.nf4)
    return engine_trainer(policy, tokenizer, rows, (*stage, plan), machine)


def _run(trainer, proof: Proof, out: Path) -> str | None:
    """Trains to the end, from the newest intact checkpoint if there is one, and tells its name."""
    checkpoint = newest_intact(out / "checkpoints")
    if checkpoint:
        log.info("resuming from %s", checkpoint.name)
    trainer.add_callback(proof.callback(checkpoint))
    trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
    proof.after(trainer.state.max_steps)
    return checkpoint.name if checkpoint else None


def _settings(spec: TrainingSpec) -> tuple[Training, Stage]:
    try:
        return Training(**spec.training), (Stage3 if spec.method == "dpo" else Stage)(**spec.schedule)
    except ValidationError as error:
        raise RequestError(f"The settings of {spec.stage} cannot be used: {error}") from error


def _encode(spec: TrainingSpec, tokenizer, stage: tuple[Training, Stage], report: Report) -> Rows:
    """The rows that are trained, as tokens, checked; stage is (training, schedule)."""
    training, schedule = stage
    raw = read_rows(Path(spec.rows), ("prompt", "chosen", "rejected") if spec.method == "dpo" else ("messages",))
    if spec.method == "dpo":
        encoded = [encode_pair(tokenizer, row) for row in raw]
    else:
        encoded = [encode_sft(tokenizer, row, not training.assistant_only_loss) for row in raw]
    report.add(check_template(tokenizer, raw, encoded))
    rows = select(encoded, training.max_length, schedule.token_budget / schedule.epochs, training.seed)
    report.add(*check_lengths(rows, training.max_length))
    report.add(*check_masks(tokenizer, rows.train + rows.evaluation, not training.assistant_only_loss))
    return rows


def _digests_of(spec: TrainingSpec) -> dict[str, Any]:
    """sha256 of all that the stage reads. Raises RequestError if the start adapter was trained on other weights."""
    start = Path(spec.start) if spec.start else None
    read = {
        "base_files": digest_files(Path(spec.base)),
        "start_files": adapter_digests(start) if start else None,
        "rows_sha256": digest_file(Path(spec.rows)),
    }
    told = start / "training_config.json" if start else None
    if told and told.exists():
        trained_on = json.loads(told.read_text(encoding="utf-8")).get("base_files", read["base_files"])
        other = sorted(
            name
            for name, digest in read["base_files"].items()
            if name.endswith(".safetensors") and trained_on.get(name) != digest
        )
        if other:
            raise RequestError(
                f"The adapter {start} was trained on another base model: {other[0]} of {spec.base} is not the one that"
                " its training_config.json names. Train the earlier stage on this base."
            )
    return read


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
        return {"backend": "trl"}
    plan = trainer.plan
    return {
        "backend": "engine",
        "plan": str(plan),
        "expected_peak_gib": round(plan.peak_gib, 2),
        "expected_step_s": round(plan.step_s, 3),
        "step_s": round(trainer.seconds_per_step(), 3),
    }


def _write_beside(spec: TrainingSpec, read: dict[str, Any], report: Report, metrics: dict[str, Any]) -> None:
    """Everything in an adapter folder that is not the adapter."""
    out = Path(spec.out)
    write_json(out / "metrics.json", metrics)
    told = {
        "stage": spec.stage,
        "version": STAGE_VERSION,
        "method": spec.method,
        **read,
        "adapter_files": adapter_digests(out),
        "training": spec.training,
        "schedule": spec.schedule,
    }
    write_json(out / "training_config.json", told)
    write_card(spec, read, report.checks, metrics)
    shutil.rmtree(out / "checkpoints", ignore_errors=True)
