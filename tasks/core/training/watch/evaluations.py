"""What the evaluations on held-out rows decide: which step was best, and when patience is over.

All of it follows from a trainer's own history, which its checkpoints hold, so a resumed run decides
as an uninterrupted one.
"""

from dataclasses import dataclass
from typing import Any

from tasks.core.settings.tree import Stage


@dataclass(frozen=True)
class Evaluation:
    """The loss on held-out rows after an optimizer step."""

    step: int
    loss: float


def list_evaluations(history: list[dict[str, Any]]) -> list[Evaluation]:
    """Returns the evaluations in a trainer's history, in their order."""
    return [Evaluation(line["step"], line["eval_loss"]) for line in history if "eval_loss" in line]


def best_evaluation(history: list[dict[str, Any]]) -> Evaluation | None:
    """Returns the evaluation with the lowest loss, the first of equal ones; None without any."""
    return min(list_evaluations(history), key=lambda evaluation: evaluation.loss, default=None)


def best_step(history: list[dict[str, Any]]) -> int | None:
    """Returns the step of the evaluation with the lowest loss."""
    best = best_evaluation(history)
    if best is None:
        return None
    return best.step


def count_worse_since_best(history: list[dict[str, Any]]) -> int:
    """Counts the evaluations after the best one."""
    steps = [evaluation.step for evaluation in list_evaluations(history)]
    best = best_step(history)
    if best is None:
        return 0
    return len(steps) - 1 - steps.index(best)


def is_out_of_patience(history: list[dict[str, Any]], schedule: Stage) -> bool:
    """Returns whether as many evaluations as the stage's patience were worse than the best one."""
    if not schedule.patience:
        return False
    return count_worse_since_best(history) >= schedule.patience
