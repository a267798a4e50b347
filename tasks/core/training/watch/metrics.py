"""The figures of a finished stage, for metrics.json. Reads OUT/telemetry.jsonl."""

from pathlib import Path
from typing import Any

from tasks.core.files.json_files import read_whole_objects
from tasks.core.training.backends.stage_trainer import StageTrainer
from tasks.core.training.hardware import ranks
from tasks.core.training.hardware.machine import Machine, peak_memory_gib
from tasks.core.training.processes.full_card import Try, describe_tries
from tasks.core.training.watch.evaluations import best_evaluation


def metrics_of(trainer: StageTrainer, out: Path, tried: Try, machine: Machine) -> dict[str, Any]:
    """Returns what was trained and how it went, by which backend, and what did not go as asked."""
    telemetry = read_whole_objects(out / "telemetry.jsonl")
    return (
        _of_stage(telemetry, tried, machine)
        | _of_backend(trainer)
        | _of_deviations(telemetry, trainer, tried)
    )


def _of_stage(telemetry: list[dict[str, Any]], tried: Try, machine: Machine) -> dict[str, Any]:
    """Returns the figures of the whole stage.

    tokens_per_s and the memory are those of the last process that worked on it.
    """
    rows = tried.rows
    first: dict[str, Any] = {}
    last: dict[str, Any] = {}
    trained = [line for line in telemetry if "loss" in line]
    if trained:  # a stage that is shorter than log_every has no such line
        first, last = trained[0], trained[-1]
    eval_loss = None
    for line in telemetry:
        eval_loss = line.get("eval_loss", eval_loss)
    return {
        "rows": len(rows.train),
        "left_out": rows.left_out,
        "positions_per_epoch": rows.positions,
        "positions_trained": round(rows.positions * tried.settings.schedule.epochs),
        "steps": tried.settings.steps(len(rows.train)),
        "first_loss": first.get("loss"),
        "final_loss": last.get("loss"),
        "eval_loss": eval_loss,
        "tokens_per_s": last.get("tokens_per_s"),
        "peak_memory_gib": round(peak_memory_gib(machine), 2),
        "device": machine.name,
    }


def _of_backend(trainer: StageTrainer) -> dict[str, Any]:
    """Returns who trained, and what its plan expected beside what was seen."""
    plan = trainer.plan
    if plan is None:
        return {"backend": trainer.backend}
    return {
        "backend": trainer.backend,
        "cards": ranks.count(),
        "plan": str(plan),
        "expected_peak_gib": round(plan.peak_gib, 2),
        "expected_step_s": round(plan.step_s, 3),
        "step_s": round(trainer.seconds_per_step(), 3),
    }


def _of_deviations(
    telemetry: list[dict[str, Any]], trainer: StageTrainer, tried: Try
) -> dict[str, Any]:
    """Returns the warnings, what a full card made the stage give up, and an early end."""
    figures: dict[str, Any] = {
        "warnings": [line["warning"] for line in telemetry if "warning" in line],
        "given_up": describe_tries(tried.earlier),
    }
    best = best_evaluation(trainer.state.log_history)
    if tried.settings.schedule.patience and best is not None:
        figures["best_step"] = best.step
        figures["eval_loss"] = best.loss
        figures["stopped_at_step"] = trainer.state.global_step
    return figures
