"""What every backend's trainer is made from, beside its policy, its tokenizer and its rows."""

from dataclasses import dataclass
from pathlib import Path

from tasks.core.training.hardware.machine import Machine
from tasks.core.training.planning.plan import Plan
from tasks.core.training.spec import StageSettings


@dataclass(frozen=True)
class StageRun:
    """A stage's settings, its output folder, its machine and its plan."""

    settings: StageSettings
    out: Path
    machine: Machine
    plan: Plan | None = None  # the engine's
