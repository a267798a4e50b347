"""What a training process is told: a stage's settings and the folders that it reads."""

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

    stage: Literal["stage1", "stage2", "stage3"]
    method: Literal["sft", "dpo"]
    base: str  # folder of the base model with its tokenizer
    start: str | None  # adapter folder to continue; None starts a new adapter
    # rows.parquet / rows.jsonl with `messages`, or pairs.jsonl with `prompt`, `chosen`, `rejected`
    rows: str
    # folder that becomes the adapter; UNFINISHED's folders live in it until the stage ends
    out: str
    training: dict[str, Any]  # settings.Training as a dict
    schedule: dict[str, Any]  # settings.Stage or settings.PreferenceStage as a dict


def training_spec(
    settings: Settings, stage: str, folders: Mapping[str, Path], out: Path
) -> TrainingSpec:
    """folders: of the steps that the stage reads. Base and rows are empty where theirs is not among
    them.
    """
    step, file = ROWS[stage]
    start = next((folders[name] for name in reversed(STAGES) if name in folders), None)
    return TrainingSpec(
        stage=stage,
        method="dpo" if stage == "stage3" else "sft",
        base=str(folders["download"] / "base") if "download" in folders else "",
        start=str(start) if start else None,
        rows=str(folders[step] / file) if step in folders else "",
        out=str(out),
        training=settings.training.model_dump(mode="json"),
        schedule=getattr(settings, stage).model_dump(mode="json"),
    )


def settings_of(spec: TrainingSpec) -> tuple[Training, Stage]:
    """The spec's settings as sections again. Raises RequestError where they are none: it may come
    from elsewhere.
    """
    try:
        return Training(**spec.training), (Stage3 if spec.method == "dpo" else Stage)(
            **spec.schedule
        )
    except ValidationError as error:
        raise RequestError(f"The settings of {spec.stage} cannot be used: {error}") from error
