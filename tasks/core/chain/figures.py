"""The figures of an artifact that are compared from run to run: speed, memory, loss, grades."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

_RELEASED = "released"  # among the models that an evaluation asked


@dataclass(frozen=True)
class Figures:
    """What an artifact's metrics tell; None stands for what they do not tell."""

    tokens_per_s: float | None
    """Of a training."""

    peak_memory_gib: float | None
    """The most that a training took: of the GPU's memory, or of this process's without a GPU."""

    held_out_loss: float | None

    grade: float | None
    """The mean grade of the release's answers, 0..1."""

    fully_right: float | None
    """The share of the release's answers that are right in every part, 0..1."""


def figures_of(metrics: Mapping[str, Any]) -> Figures:
    """Reads the metrics of a manifest, which another version may have written."""
    released = metrics.get(_RELEASED)
    answers = released if isinstance(released, dict) else {}
    return Figures(
        tokens_per_s=_number(metrics, "tokens_per_s"),
        peak_memory_gib=_number(metrics, "peak_memory_gib"),
        held_out_loss=_number(metrics, "eval_loss"),
        grade=_number(answers, "grade"),
        fully_right=_number(answers, "fully_right"),
    )


def _number(values: Mapping[str, Any], name: str) -> float | None:
    """The value, if it is a finite number."""
    value = values.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if math.isfinite(value) else None
