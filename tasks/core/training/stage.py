"""One training stage from its spec to a finished adapter folder.

Reads the base model, the rows and the adapter to start from; writes the adapter, and beside it
metrics.json, training_config.json, checks.json, README.md and what telemetry.py writes.
"""

import logging
import shutil
import time
from pathlib import Path
from typing import Any

from peft import PeftModel
from transformers import PreTrainedTokenizerFast, PrinterCallback, TrainerState, set_seed

from tasks.core.errors import RequestError, WorkError
from tasks.core.files.digests import digest_file, digest_files
from tasks.core.files.json_files import read_json, write_json
from tasks.core.files.sealed import problem_of
from tasks.core.records.training_base import TrainingBase, write_training_base
from tasks.core.settings.tree import Stage
from tasks.core.training.backends.assembly import make_trainer, plan_for, prepare_machine
from tasks.core.training.backends.stage_trainer import StageTrainer
from tasks.core.training.checks.before_and_after import StageChecks
from tasks.core.training.checks.report import Report
from tasks.core.training.checks.rows import (
    check_lengths,
    check_masks,
    check_template,
    pick_evenly,
    pick_first,
)
from tasks.core.training.finished import UNFINISHED
from tasks.core.training.hardware import ranks
from tasks.core.training.hardware.machine import Machine
from tasks.core.training.model_card import write_card
from tasks.core.training.policy.adapter import (
    check_same_base,
    digest_adapter,
    load_weights,
    read_weights,
    save_adapter,
)
from tasks.core.training.policy.base_model import load_tokenizer
from tasks.core.training.policy.quantized import describe_base
from tasks.core.training.processes.full_card import (
    TRIES,
    Try,
    apply_tries,
    begin_try,
    collect_given_up,
    giving_way,
)
from tasks.core.training.rows.encoding import encode_once
from tasks.core.training.rows.files import RowFile
from tasks.core.training.rows.selection import Rows, select_rows
from tasks.core.training.spec import (
    STAGE_VERSION,
    StageSettings,
    TrainingSpec,
    settings_of,
)
from tasks.core.training.watch.checkpoints import checkpoint_of, find_newest_intact
from tasks.core.training.watch.evaluations import best_step, is_out_of_patience
from tasks.core.training.watch.health import Evaluations, Health, PresentIntervals, TimeLimit
from tasks.core.training.watch.metrics import metrics_of
from tasks.core.training.watch.telemetry import Telemetry

log = logging.getLogger(__name__)


def train(spec: TrainingSpec) -> dict[str, Any]:
    """Trains a stage into spec.out and returns its metrics.

    It goes on from the newest intact checkpoint there. Of several processes that train together
    only the first one writes the adapter; the others return no metrics. Raises CardFull if another
    process would have more memory, or need less.
    """
    started = time.monotonic()
    requested, out = spec, Path(spec.out)
    tries = ranks.from_first(lambda: begin_try(out))
    spec = apply_tries(requested, tries)
    settings = settings_of(spec)
    machine = prepare_machine(settings.training)
    set_seed(settings.training.seed)
    tokenizer = load_tokenizer(Path(spec.base), settings.training.template)
    digests = _digests_of(spec)
    report = Report(out / "checks.json" if ranks.number() == 0 else None)
    rows = _encode(spec, tokenizer, settings, digests, report)
    _check_patience(spec.stage, settings.schedule, rows)

    tried = Try(settings, rows, continues=bool(spec.start), earlier=tries)
    with giving_way(out, tried):
        tried.plan = plan_for(spec, tried, machine, collect_given_up(tries))
        trainer = make_trainer(spec, tokenizer, tried, machine)
        base = ranks.from_first(lambda: _base_of(spec, trainer.policy, machine))
        checks = StageChecks(trainer, _start_of(spec), rows, report)
        checks.before(settings.training.target_modules, machine.compute)
        _add_callbacks(trainer, spec, settings, machine, started)
        every = settings.interval(settings.schedule.eval_every, len(rows.train))
        if every:
            trainer.add_callback(Evaluations(every))
        resumed = _run(trainer, checks, spec.stage, settings.schedule)
        if rows.evaluation and not every:
            trainer.evaluate()
    if ranks.number() > 0:
        return {}

    save_adapter(trainer.policy, tokenizer, Path(spec.base), out)
    write_training_base(out, base)
    metrics = metrics_of(trainer, out, tried, machine)
    metrics |= {"resumed_from": resumed, "seconds": round(time.monotonic() - started, 1)}
    _write_beside(requested, spec, digests, report, metrics)
    return metrics


def _start_of(spec: TrainingSpec) -> Path | None:
    if not spec.start:
        return None
    return Path(spec.start)


def _digests_of(spec: TrainingSpec) -> dict[str, Any]:
    """Returns the sha256 of all that the stage reads.

    Raises RequestError if the start adapter was trained on other weights.
    """
    start = _start_of(spec)
    base_files = digest_files(Path(spec.base))
    start_files = None
    if start:
        start_files = digest_adapter(start)
        _check_base_of(start, spec.base, base_files)
    return {
        "base_files": base_files,
        "start_files": start_files,
        "rows_sha256": digest_file(Path(spec.rows)),
    }


def _check_base_of(start: Path, base: str, base_files: dict[str, str]) -> None:
    file = start / "training_config.json"
    if not file.exists():
        return
    trained_on = read_json(file).get("base_files", base_files)
    for name, digest in sorted(base_files.items()):
        if name.endswith(".safetensors") and trained_on.get(name) != digest:
            raise RequestError(
                f"The adapter {start} was trained on another base model: {name} of {base} is not"
                " the one that its training_config.json names. Train the earlier stage on this"
                " base."
            )


def _base_of(spec: TrainingSpec, policy: PeftModel, machine: Machine) -> TrainingBase:
    """Returns the base as this stage trains on it.

    Raises RequestError if the start adapter was trained on other values.
    """
    base = describe_base(policy, machine.compute)
    log.info("base: %s", base)
    if spec.start:
        check_same_base(Path(spec.start), base)
    return base


def _encode(
    spec: TrainingSpec,
    tokenizer: PreTrainedTokenizerFast,
    settings: StageSettings,
    digests: dict[str, Any],
    report: Report,
) -> Rows:
    """Returns the rows that are trained, as tokens that were checked."""
    training = settings.training
    whole_text = not training.assistant_only_loss
    file = RowFile(Path(spec.rows), spec.method)
    encoded = encode_once(Path(spec.out), digests, tokenizer, file, whole_text)
    rows = select_rows(
        encoded,
        training.max_length,
        settings.positions_of_epoch,
        training.seed,
        training.validation_share,
    )
    looked_at = pick_evenly(encoded)
    texts = file.pick(row.number for row in looked_at + pick_first(rows))
    report.add(check_template(tokenizer, looked_at, texts))
    report.add(*check_lengths(rows, training.max_length))
    report.add(*check_masks(tokenizer, rows, texts, whole_text))
    return rows


def _check_patience(stage: str, schedule: Stage, rows: Rows) -> None:
    if schedule.eval_every and not rows.evaluation:
        raise RequestError(
            f"{stage}.eval_every={schedule.eval_every} needs held-out rows, but {len(rows.train)}"
            f" rows are too few to keep any. Set {stage}.eval_every=0 and {stage}.patience=0, or"
            " take more rows."
        )


def _add_callbacks(
    trainer: StageTrainer,
    spec: TrainingSpec,
    settings: StageSettings,
    machine: Machine,
    started: float,
) -> None:
    """Adds telemetry, health and the time limit.

    The first process alone reports, and when its time is over the others are ended with it.
    """

    def positions() -> int:
        return trainer.positions

    telemetry = Telemetry(Path(spec.out), spec.stage, machine, positions)
    schedule = settings.schedule
    trainer.remove_callback(PrinterCallback)  # its dicts would stand among our JSON lines
    trainer.add_callback(PresentIntervals())
    if ranks.number() > 0:
        trainer.add_callback(Health(spec.stage, schedule, machine, positions, _warn_nobody))
        return
    trainer.add_callback(telemetry)
    trainer.add_callback(Health(spec.stage, schedule, machine, positions, telemetry.warn))
    if settings.training.max_minutes:
        trainer.add_callback(TimeLimit(started, settings.training.max_minutes))


def _warn_nobody(step: int, text: str) -> None:
    """Does nothing: the first process says the same warning."""


def _run(trainer: StageTrainer, checks: StageChecks, stage: str, schedule: Stage) -> str | None:
    """Trains to the end and returns the name of the checkpoint that it went on from, if any."""
    checkpoint = ranks.from_first(lambda: find_newest_intact(trainer.checkpoints))
    trainer.add_callback(checks.callback(checkpoint))
    if checkpoint is None:
        trainer.train()
    else:
        log.info("resuming from %s", checkpoint.name)
        _resume(trainer, checkpoint, schedule)
    checks.after(_check_end(trainer, stage, schedule))
    if checkpoint is None:
        return None
    return checkpoint.name


def _resume(trainer: StageTrainer, checkpoint: Path, schedule: Stage) -> None:
    state = TrainerState.load_from_json(str(checkpoint / "trainer_state.json"))
    if is_out_of_patience(state.log_history, schedule):
        trainer.state = state  # it ended here; one more evaluation might choose another checkpoint
    else:
        trainer.train(resume_from_checkpoint=str(checkpoint))


def _check_end(trainer: StageTrainer, stage: str, schedule: Stage) -> int:
    """Returns the steps that the policy has been trained.

    If there is patience, the best checkpoint is taken. Raises WorkError if the stage ended early
    because it was out of time.
    """
    state = trainer.state
    if state.global_step < state.max_steps and not is_out_of_patience(state.log_history, schedule):
        raise WorkError(
            f"{stage} stopped at step {state.global_step} of {state.max_steps}, because"
            " training.max_minutes is over. Run the same command again: it goes on from there."
        )
    best = best_step(state.log_history)
    if not schedule.patience or best is None:
        return state.global_step
    _take(trainer, checkpoint_of(trainer.checkpoints, best))
    return best


def _take(trainer: StageTrainer, checkpoint: Path) -> None:
    """Gives the policy the weights of the best checkpoint."""
    # the others wait here until it is written
    problem = ranks.from_first(lambda: problem_of(checkpoint))
    if problem:
        raise WorkError(
            f"The best checkpoint {checkpoint} is damaged: {problem}. Delete {checkpoint.parent}"
            " and run it again."
        )
    log.info("taking %s, whose loss on held-out rows is the lowest", checkpoint.name)
    load_weights(trainer.policy, read_weights(checkpoint))


def _write_beside(
    requested: TrainingSpec,
    spec: TrainingSpec,
    digests: dict[str, Any],
    report: Report,
    metrics: dict[str, Any],
) -> None:
    """Writes all that is not the adapter, and removes what an unfinished stage keeps.

    The adapter is known by the settings that were asked for, whatever spec's tries gave up.
    """
    out = Path(spec.out)
    write_json(out / "metrics.json", metrics)
    config = {
        "stage": requested.stage,
        "version": STAGE_VERSION,
        "method": requested.method,
        **digests,
        "adapter_files": digest_adapter(out),
        "training": requested.training,
        "schedule": requested.schedule,
    }
    write_json(out / "training_config.json", config)
    write_card(spec, digests, report.checks, metrics)
    for folder in UNFINISHED:
        shutil.rmtree(out / folder, ignore_errors=True)
    (out / TRIES).unlink(missing_ok=True)
