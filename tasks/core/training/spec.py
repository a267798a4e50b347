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
from tasks.core.settings.tree import STAGES, Epoch, Stage, Stage3, Training

STAGE_VERSION = 3
"""The version of the three stages; raise it if their training would now make another adapter."""


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
    # folder that becomes the adapter; finished.UNFINISHED's folders are in it until the stage ends
    out: str
    training: dict[str, Any]  # settings.tree.Training as a dict
    schedule: dict[str, Any]  # settings.tree.Stage or Stage3 as a dict


@dataclass(frozen=True)
class StageSettings:
    """A stage's settings: those that all stages share, and its own."""

    training: Training
    schedule: Stage  # a Stage3 for DPO

    def steps(self, rows: int) -> int:
        """Optimizer steps of the whole stage over so many rows.

        An epoch's last step may hold fewer rows than the others.
        """
        return math.ceil(self.steps_of_epoch(rows) * self.schedule.epochs)

    def steps_of_epoch(self, rows: int) -> int:
        """Optimizer steps of one pass over so many rows."""
        return math.ceil(rows / self.schedule.effective_batch)

    def interval(self, every: int | Epoch, rows: int) -> int:
        """Optimizer steps between two evaluations or checkpoints; `epoch` is a pass over the rows.

        The stage's last step has one of each in any case.
        """
        return self.steps_of_epoch(rows) if every == "epoch" else every

    @property
    def positions_of_epoch(self) -> float:
        """Positions that an epoch may train, of the stage's token budget; 0 for no limit."""
        return self.schedule.token_budget / self.schedule.epochs


@dataclass(frozen=True)
class StageInputs:
    """What a stage reads: None for what is not there yet, or not needed."""

    base: Path | None
    rows: Path | None
    start: Path | None = None  # the earlier stage's adapter folder


@dataclass(frozen=True)
class RowsFile:
    """The step whose artifact holds a stage's rows, and the file's name in it."""

    step: str
    name: str


def rows_file(reads: Mapping[str, tuple[str, ...]]) -> RowsFile:
    """Returns what a stage trains on: what it reads beside the base model and an adapter.

    reads: the stage's upstream steps, and the files that it reads of each.
    """
    for step, files in reads.items():
        if step != "download" and step not in STAGES:
            return RowsFile(step, files[0])
    raise AssertionError(f"no rows among {', '.join(reads)}")


def training_spec(
    stage: str, settings: StageSettings, inputs: StageInputs, out: Path
) -> TrainingSpec:
    """Returns the spec of a stage; base and rows are empty if they are not there yet."""
    return TrainingSpec(
        stage=stage,
        method="dpo" if isinstance(settings.schedule, Stage3) else "sft",
        base=str(inputs.base or ""),
        start=str(inputs.start) if inputs.start else None,
        rows=str(inputs.rows or ""),
        out=str(out),
        training=settings.training.model_dump(mode="json"),
        schedule=settings.schedule.model_dump(mode="json"),
    )


def settings_of(spec: TrainingSpec) -> StageSettings:
    """The spec's settings as sections again.

    Raises RequestError if they are no settings: the spec may come from elsewhere.
    """
    kind = Stage3 if spec.method == "dpo" else Stage
    try:
        return StageSettings(Training(**spec.training), kind(**spec.schedule))
    except ValidationError as error:
        raise RequestError(f"The settings of {spec.stage} cannot be used: {error}") from error
