"""What a training process is told: a stage's settings and the folders that it reads.

It is written as JSON beside the stage's folder and read by `python -m tasks.core.training`.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pydantic import ValidationError

from tasks.core.errors import RequestError
from tasks.core.settings.tree import STAGES, Settings, Stage, Stage3, Training

STAGE_VERSION = 3
"""The version of the three stages; raise it if their training would now make another adapter."""

ROWS = {
    "stage1": ("normalize", "rows.parquet"),
    "stage2": ("synthesize", "rows.jsonl"),
    "stage3": ("pairs", "pairs.jsonl"),
}
"""The step whose file holds a stage's rows."""

UNFINISHED = ("checkpoints", "tokens")
"""Folders of a stage that is not done: the checkpoints it goes on from, and its rows as tokens."""


@dataclass(frozen=True)
class TrainingSpec:
    """All that one training process needs.

    It is written as JSON, so that the process can run alone on a GPU machine.
    """

    stage: str  # stage1, stage2 or stage3
    method: Literal["sft", "dpo"]
    base: str  # folder of the base model with its tokenizer
    start: str | None  # adapter folder to continue; None starts a new adapter
    # rows.parquet / rows.jsonl with `messages`, or pairs.jsonl with `prompt`, `chosen`, `rejected`
    rows: str
    # folder that becomes the adapter; UNFINISHED's folders live in it until the stage ends
    out: str
    training: dict[str, Any]  # settings.Training as a dict
    schedule: dict[str, Any]  # settings.Stage or settings.Stage3 as a dict


@dataclass(frozen=True)
class StageSettings:
    """A stage's settings: those that all stages share, and its own."""

    training: Training
    schedule: Stage  # a Stage3 for DPO

    def steps(self, rows: int) -> int:
        """Optimizer steps of the whole stage over so many rows.

        An epoch's last step may hold fewer rows than the others.
        """
        steps_of_epoch = math.ceil(rows / self.schedule.effective_batch)
        return math.ceil(steps_of_epoch * self.schedule.epochs)

    @property
    def positions_of_epoch(self) -> float:
        """Positions that an epoch may train, of the stage's token budget; 0 for no limit."""
        return self.schedule.token_budget / self.schedule.epochs


def training_spec(
    settings: Settings, stage: str, folders: Mapping[str, Path], out: Path
) -> TrainingSpec:
    """The spec of a stage that reads these folders of earlier steps.

    Base and rows are empty if the step that makes them is not among the folders. A stage starts
    from the newest earlier stage that is.
    """
    base = rows = ""
    if "download" in folders:
        base = str(folders["download"] / "base")
    step, file = ROWS[stage]
    if step in folders:
        rows = str(folders[step] / file)
    return TrainingSpec(
        stage=stage,
        method="dpo" if stage == "stage3" else "sft",
        base=base,
        start=_start(folders),
        rows=rows,
        out=str(out),
        training=settings.training.model_dump(mode="json"),
        schedule=getattr(settings, stage).model_dump(mode="json"),
    )


def _start(folders: Mapping[str, Path]) -> str | None:
    for earlier in reversed(STAGES):
        if earlier in folders:
            return str(folders[earlier])
    return None


def settings_of(spec: TrainingSpec) -> StageSettings:
    """The spec's settings as sections again.

    Raises RequestError if they are no settings: the spec may come from elsewhere.
    """
    kind = Stage3 if spec.method == "dpo" else Stage
    try:
        return StageSettings(Training(**spec.training), kind(**spec.schedule))
    except ValidationError as error:
        raise RequestError(f"The settings of {spec.stage} cannot be used: {error}") from error
