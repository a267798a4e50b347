"""What training would be like: what is there for a stage to be planned with, and trials of it on
this machine.

Above the stages, like run.py. Trials run in a process of their own and leave nothing in the store.
"""

import json
import sys
import tempfile
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from tasks.core.chain.produce import find
from tasks.core.chain.run import Run, prepare
from tasks.core.chain.steps import STAGES, chain
from tasks.core.data.base_folder import base_config
from tasks.core.errors import RequestError, did_you_mean
from tasks.core.files.json_files import write_json
from tasks.core.processes.child import run_kospilot_program
from tasks.core.serving.servers import free_card
from tasks.core.settings.tree import Settings
from tasks.core.training.spec import ROWS, TrainingSpec, training_spec


def stages_of(settings: Settings) -> list[str]:
    """Raises RequestError where none is left."""
    stages = [stage for stage in STAGES if stage not in settings.stages.skip]
    if not stages:
        raise RequestError("stages.skip leaves no stage to train; take one out of it.")
    return stages


def expected(settings: Settings, stage: str) -> tuple[int, int]:
    """Rows that the stage's file will have, and the tokens of the longest one that is trained."""
    rows = {"stage1": settings.data, "stage2": settings.synthesis, "stage3": settings.pairs}[
        stage
    ].rows
    longest = settings.training.max_length
    return rows, longest if stage == "stage1" else min(longest, settings.synthesis.token_budget)


def built(profile: str, overrides: list[str]) -> dict[str, Path]:
    """Folders of the base model and of the stages' rows, as far as they are there for these
    settings.
    """
    try:
        run = prepare(profile, overrides)
    except RequestError:  # no market yet: nothing that was made of it can be there
        return {}
    wanted = [
        name
        for name in ("download", *(step for step, _ in ROWS.values()))
        if name in chain(run.settings)
    ]
    there = [line for line in run.plan(wanted) if line.action == "skip" and line.step in wanted]
    return {line.step: run.store.path(line.step, line.key) for line in there}


def shape(settings: Settings, home: Path, folders: dict[str, Path]) -> dict[str, Any]:
    """The base's config.json, of the downloaded one or of the place where it is."""
    if "download" in folders:
        return json.loads(
            (folders["download"] / "base" / "config.json").read_text(encoding="utf-8")
        )
    return base_config(settings.model.base, home / "downloads")


def try_out(
    run: Run, stage: str | None, trials: list[dict[str, Any]], on_result: Callable[[dict], None]
) -> None:
    """Runs the trials (trials.Trial as dicts) of a stage, the first one if none is named, and tells
    each one's result.

    Raises RequestError where the base or the stage's rows are not there yet.
    """
    stages = stages_of(run.settings)
    stage = stage or stages[0]
    if stage not in stages:
        raise RequestError(
            f"There is no stage {stage!r} to try out.{did_you_mean(stage, stages)} Stages: {', '.join(stages)}."
        )
    folders = {
        name: run.store.path(name, find(run, name).key) for name in ("download", ROWS[stage][0])
    }
    spec = training_spec(run.settings, stage, folders, Path())  # nothing is written
    with run.store.locked("accelerator", "is taken by another run's training"):
        free_card(run.settings.release.name)
        rehearse(spec, trials, on_result)


def rehearse(
    spec: TrainingSpec, trials: list[dict[str, Any]], on_result: Callable[[dict], None]
) -> None:
    """Runs trials of what a spec describes in a process of its own. Raises its error if it fails."""

    def hear(line: str) -> None:
        if line.startswith('{"rank"'):  # all else are words of the libraries
            on_result(json.loads(line))

    with tempfile.TemporaryDirectory() as scratch:
        files = [Path(scratch) / name for name in ("spec.json", "trials.json")]
        write_json(files[0], asdict(spec))
        write_json(files[1], trials)
        run_kospilot_program([sys.executable, "-m", "tasks.core.training", *files], hear)
