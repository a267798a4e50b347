"""One training stage from its spec to a finished adapter folder."""

import json
import logging
import shutil
import sys
import time
from pathlib import Path
from typing import Any

import torch
from transformers import PreTrainedTokenizerFast, PrinterCallback, TrainerState, set_seed

from tasks.core.errors import RequestError, WorkError
from tasks.core.files.digests import digest_file, digest_files
from tasks.core.files.json_files import write_json
from tasks.core.files.sealed import problem_of
from tasks.core.settings.tree import Stage, Training
from tasks.core.training.backends.choice import Backend, choose_backend
from tasks.core.training.backends.cpu_kernel import use_on_cpu
from tasks.core.training.backends.engine import engine_trainer
from tasks.core.training.backends.run import StageRun
from tasks.core.training.backends.trl import dpo_trainer, sft_trainer
from tasks.core.training.checks.of_rows import (
    check_lengths,
    check_masks,
    check_template,
    first_ones,
    spread_evenly,
)
from tasks.core.training.checks.report import Report
from tasks.core.training.checks.schedule import Proof
from tasks.core.training.hardware import ranks
from tasks.core.training.hardware.machine import Machine, limit_memory, look
from tasks.core.training.model_card import write_card
from tasks.core.training.planning.plan import Plan
from tasks.core.training.planning.planner import plan_stage
from tasks.core.training.policy.adapter import (
    adapter_digests,
    load_weights,
    save_adapter,
    saved_weights,
)
from tasks.core.training.policy.base import load_tokenizer, read_config
from tasks.core.training.policy.loading import check_library, load_fast_policy, load_policy
from tasks.core.training.processes.full_card import (
    TRIES,
    Try,
    begin,
    given_up,
    giving_way,
    in_force,
)
from tasks.core.training.rows.encoding import encode_once
from tasks.core.training.rows.files import RowFile
from tasks.core.training.rows.selection import Rows, select
from tasks.core.training.spec import (
    STAGE_VERSION,
    UNFINISHED,
    StageSettings,
    TrainingSpec,
    settings_of,
)
from tasks.core.training.watch.checkpoints import checkpoint_of, newest_intact
from tasks.core.training.watch.evaluations import best_step, out_of_patience
from tasks.core.training.watch.health import Health, PresentIntervals, TimeLimit
from tasks.core.training.watch.metrics import metrics_of
from tasks.core.training.watch.telemetry import Telemetry

log = logging.getLogger(__name__)


def train(spec: TrainingSpec) -> dict[str, Any]:
    """Trains a stage into spec.out and returns its metrics; goes on from the newest intact
    checkpoint there.

    Raises CardFull where another process would have more memory, or need less.
    """
    started, out = time.monotonic(), Path(spec.out)
    tries = ranks.from_first(lambda: begin(out))
    asked, spec = spec, in_force(spec, tries)
    settings = settings_of(spec)
    training, schedule = settings.training, settings.schedule
    machine = machine_for(training)
    set_seed(training.seed)
    tokenizer = load_tokenizer(Path(spec.base), training.template)
    read = _digests_of(spec)
    report = Report(out / "checks.json" if ranks.number() == 0 else None)
    rows = _encode(spec, tokenizer, settings, read, report)
    _check_patience(spec.stage, schedule, rows)

    tried = Try(settings, rows, bool(spec.start), earlier=tries)
    with giving_way(out, tried):
        tried.plan = plan_for(spec, tried, machine, given_up(tries))
        trainer = make_trainer(spec, tokenizer, tried, machine)
        proof = Proof(trainer, Path(spec.start) if spec.start else None, rows, report)
        proof.before(training.target_modules, machine.compute)
        _add_callbacks(trainer, spec.stage, tried, (out, machine, started))
        resumed = _run(trainer, proof, spec.stage, schedule)
        if rows.evaluation and not schedule.eval_every:
            trainer.evaluate()
    if ranks.number():
        return {}

    save_adapter(trainer.model, tokenizer, Path(spec.base), out)
    metrics = metrics_of(trainer, out, tried, machine)
    metrics |= {"resumed_from": resumed, "seconds": round(time.monotonic() - started, 1)}
    _write_beside(asked, spec, read, report, metrics)
    return metrics


def backend_of(spec: TrainingSpec) -> Backend:
    """What `train` would train this with, before any row is read."""
    return choose_backend(settings_of(spec).training, look(), read_config(Path(spec.base)))


def cards_for(spec: TrainingSpec) -> int:
    """GPUs that train this stage together: all that there are, up to training.cards, where the
    engine can.
    """
    settings = settings_of(spec)
    most = settings.training.cards or sys.maxsize
    cards = min(torch.cuda.device_count(), settings.schedule.effective_batch, most)
    return cards if cards > 1 and backend_of(spec).name == "engine" else 1


def machine_for(training: Training) -> Machine:
    """This machine, ready to train within training.memory_gib. Raises RequestError if a library is
    missing.
    """
    machine = look()
    check_library(machine)
    if machine.device == "cpu":
        use_on_cpu()
    elif training.memory_gib:
        limit_memory(training.memory_gib)
    return machine


def plan_for(
    spec: TrainingSpec, tried: Try, machine: Machine, limits: dict[str, Any]
) -> Plan | None:
    """The engine's plan, or None where another backend trains."""
    config = read_config(Path(spec.base))
    backend = choose_backend(tried.settings.training, machine, config)
    log.info("backend: %s, because %s", backend.name, backend.why)
    if backend.name != "engine":
        return None
    plan = plan_stage(config, tried.rows.train, tried.settings, machine, limits)
    log.info("plan: %s", plan)
    return plan


def make_trainer(
    spec: TrainingSpec, tokenizer: PreTrainedTokenizerFast, tried: Try, machine: Machine
):
    """An OnEngine trainer where there is a plan, else TRL's, under Unsloth or not."""
    base, start, plan = Path(spec.base), Path(spec.start) if spec.start else None, tried.plan
    run = StageRun(tried.settings, Path(spec.out), machine, plan)
    training = tried.settings.training
    if plan is None:
        make = dpo_trainer if spec.method == "dpo" else sft_trainer
        backend = backend_of(spec).name
        if backend == "unsloth":
            policy = load_fast_policy(
                base, start, training, machine, tried.settings.schedule.gradient_checkpointing
            )
        else:
            policy = load_policy(base, start, training, machine)
        trainer = make(policy, tokenizer, tried.rows, run)
        trainer.backend = backend
        return trainer
    policy = load_policy(base, start, training, machine, plan.nf4)
    return engine_trainer(policy, tokenizer, tried.rows, run)


def _add_callbacks(trainer, stage: str, tried: Try, place: tuple[Path, Machine, float]) -> None:
    """Telemetry, health and time limit; place is (out, machine, start of the process)."""
    out, machine, started = place
    training, schedule = tried.settings.training, tried.settings.schedule
    trainer.remove_callback(PrinterCallback)  # its dicts would stand among our JSON lines
    trainer.add_callback(PresentIntervals())
    telemetry = Telemetry(out, stage, machine, lambda: trainer.positions)
    first = ranks.number() == 0  # it tells, and when its time is over the others are ended with it
    if first:
        trainer.add_callback(telemetry)
    warn = telemetry.warn if first else lambda step, text: None
    trainer.add_callback(Health(stage, schedule, machine, lambda: trainer.positions, warn))
    if first and training.max_minutes:
        trainer.add_callback(TimeLimit(started, training.max_minutes))


def _run(trainer, proof: Proof, stage: str, schedule: Stage) -> str | None:
    """Trains to the end, from the newest intact checkpoint if there is one, and tells its name."""
    checkpoint = ranks.from_first(lambda: newest_intact(Path(trainer.args.output_dir)))
    if checkpoint:
        log.info("resuming from %s", checkpoint.name)
    trainer.add_callback(proof.callback(checkpoint))
    state = (
        TrainerState.load_from_json(str(checkpoint / "trainer_state.json")) if checkpoint else None
    )
    if state and out_of_patience(state.log_history, schedule):
        trainer.state = state  # it ended here; another evaluation might take a later checkpoint
    else:
        trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
    proof.after(_check_end(trainer, stage, schedule))
    return checkpoint.name if checkpoint else None


def _check_end(trainer, stage: str, schedule: Stage) -> int:
    """Takes the best checkpoint where there is patience; a stage that ended early otherwise was out
    of time.

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
    if problem := ranks.from_first(
        lambda: problem_of(checkpoint)
    ):  # the others wait until it is written
        raise WorkError(
            f"The best checkpoint {checkpoint} is damaged: {problem}. Delete {folder} and run it again."
        )
    log.info("taking %s, whose loss on held-out rows is the lowest", checkpoint.name)
    load_weights(trainer.model, saved_weights(checkpoint))
    return best


def _check_patience(stage: str, schedule: Stage, rows: Rows) -> None:
    if schedule.eval_every and not rows.evaluation:
        raise RequestError(
            f"{stage}.eval_every={schedule.eval_every} needs held-out rows, but {len(rows.train)} rows are too few to"
            f" keep any. Set {stage}.eval_every=0 and {stage}.patience=0, or take more rows."
        )


def _encode(
    spec: TrainingSpec,
    tokenizer,
    settings: StageSettings,
    read: dict[str, Any],
    report: Report,
) -> Rows:
    """The rows that are trained, as tokens, checked; read: what `_digests_of` found."""
    training = settings.training
    whole_text, file = not training.assistant_only_loss, RowFile(Path(spec.rows), spec.method)
    encoded = encode_once(Path(spec.out), read, tokenizer, file, whole_text)
    rows = select(encoded, training.max_length, settings.positions_of_epoch, training.seed)
    looked_at = spread_evenly(encoded)
    texts = file.pick(row.number for row in looked_at + first_ones(rows))
    report.add(check_template(tokenizer, looked_at, texts))
    report.add(*check_lengths(rows, training.max_length))
    report.add(*check_masks(tokenizer, rows, texts, whole_text))
    return rows


def _digests_of(spec: TrainingSpec) -> dict[str, Any]:
    """sha256 of all that the stage reads. Raises RequestError if the start adapter was trained on
    other weights.
    """
    start = Path(spec.start) if spec.start else None
    read = {
        "base_files": digest_files(Path(spec.base)),
        "start_files": adapter_digests(start) if start else None,
        "rows_sha256": digest_file(Path(spec.rows)),
    }
    told = start / "training_config.json" if start else None
    if told and told.exists():
        trained_on = json.loads(told.read_text(encoding="utf-8")).get(
            "base_files", read["base_files"]
        )
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


def _write_beside(
    asked: TrainingSpec, spec: TrainingSpec, read: dict, report: Report, metrics: dict
) -> None:
    """All that is not the adapter. The settings asked for are what it is known by, whatever spec's
    tries gave up.
    """
    out = Path(spec.out)
    write_json(out / "metrics.json", metrics)
    told = {
        "stage": asked.stage,
        "version": STAGE_VERSION,
        "method": asked.method,
        **read,
        "adapter_files": adapter_digests(out),
        "training": asked.training,
        "schedule": asked.schedule,
    }
    write_json(out / "training_config.json", told)
    write_card(spec, read, report.checks, metrics)
    for folder in UNFINISHED:
        shutil.rmtree(out / folder, ignore_errors=True)
    (out / TRIES).unlink(missing_ok=True)
