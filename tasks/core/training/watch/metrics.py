"""A finished stage's figures, for metrics.json. Reads OUT/telemetry.jsonl."""

from pathlib import Path
from typing import Any

from tasks.core.training.backends.engine import OnEngine
from tasks.core.training.hardware import ranks
from tasks.core.training.hardware.machine import Machine, peak_memory_gib
from tasks.core.training.processes.full_card import Try, tell_tries
from tasks.core.training.watch.evaluations import best_evaluation
from tasks.core.training.watch.telemetry import read_telemetry


def metrics_of(trainer, out: Path, tried: Try, machine: Machine) -> dict[str, Any]:
    """What was trained and how it went, by whom, and what did not go as asked."""
    told = read_telemetry(out / "telemetry.jsonl")
    return _of_run(told, tried, machine) | _of_backend(trainer) | _of_the_way(told, trainer, tried)


def _of_run(told: list[dict[str, Any]], tried: Try, machine: Machine) -> dict[str, Any]:
    """Figures of the whole stage; tokens_per_s and the memory are those of the last process that
    worked on it.
    """
    rows, lines = tried.rows, [line for line in told if "loss" in line]
    first, last = (
        (lines[0], lines[-1]) if lines else ({}, {})
    )  # none where the stage is shorter than log_every
    return {
        "rows": len(rows.train),
        "left_out": rows.left_out,
        "positions_per_epoch": rows.positions,
        "positions_trained": round(rows.positions * tried.settings.schedule.epochs),
        "steps": tried.settings.steps(len(rows.train)),
        "first_loss": first.get("loss"),
        "final_loss": last.get("loss"),
        "eval_loss": next(
            (line["eval_loss"] for line in reversed(told) if "eval_loss" in line), None
        ),
        "tokens_per_s": last.get("tokens_per_s"),
        "peak_memory_gib": round(peak_memory_gib(machine), 2),
        "device": machine.name,
    }


def _of_backend(trainer) -> dict[str, Any]:
    """Who trained, and what its plan expected beside what was seen."""
    if not isinstance(trainer, OnEngine):
        return {"backend": trainer.backend}
    plan = trainer.plan
    return {
        "backend": trainer.backend,
        "cards": ranks.count(),
        "plan": str(plan),
        "expected_peak_gib": round(plan.peak_gib, 2),
        "expected_step_s": round(plan.step_s, 3),
        "step_s": round(trainer.seconds_per_step(), 3),
    }


def _of_the_way(told: list[dict[str, Any]], trainer, tried: Try) -> dict[str, Any]:
    """Warnings, what a full card made it give up, an early end."""
    way = {
        "warnings": [line["warning"] for line in told if "warning" in line],
        "given_up": tell_tries(tried.earlier),
    }
    if tried.settings.schedule.patience:
        best = best_evaluation(trainer.state.log_history)
        way |= {
            "best_step": best.step,
            "eval_loss": best.loss,
            "stopped_at_step": trainer.state.global_step,
        }
    return way
