"""What training would be like: what is there to plan a stage with, and trials on this machine.

Trials run in a process of their own and leave nothing in the store.
"""

import json
import sys
import tempfile
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from tasks.core.chain.produce import find
from tasks.core.chain.run import Run
from tasks.core.data.base_model.config import base_config
from tasks.core.errors import RequestError, did_you_mean
from tasks.core.files.json_files import read_json, write_json
from tasks.core.preflight.prepare import prepare
from tasks.core.processes.child import run_kospilot_program
from tasks.core.serving.servers import free_card
from tasks.core.settings.tree import Settings, StageName
from tasks.core.training.spec import ROWS, TrainingSpec, training_spec


def stages_of(settings: Settings) -> list[StageName]:
    """The stages that these settings train. Raises RequestError if none is left."""
    if not settings.trained_stages:
        raise RequestError("stages.skip leaves no stage to train; take one out of it.")
    return settings.trained_stages


def expected(settings: Settings, stage: str) -> tuple[int, int]:
    """Rows that the stage's file will have, and tokens of the longest one that is trained."""
    rows = {
        "stage1": settings.data.rows,
        "stage2": settings.synthesis.rows,
        "stage3": settings.pairs.rows,
    }
    longest = settings.training.max_length
    if stage != "stage1":
        longest = min(longest, settings.synthesis.token_budget)
    return rows[stage], longest


def built(profile: str, overrides: list[str]) -> dict[str, Path]:
    """Folders of the base model and of the stages' rows, as far as they are there, by step."""
    try:
        run = prepare(profile, overrides)
    except RequestError:  # there is no market yet, so nothing that was made of it can be there
        return {}
    wanted = [name for name in ("download", *_row_steps()) if name in run.steps]
    folders = {}
    for line in run.plan(wanted):
        if line.step in wanted and line.action == "skip" and line.key:
            folders[line.step] = run.store.path(line.step, line.key)
    return folders


def _row_steps() -> list[str]:
    return [step for step, _ in ROWS.values()]


def shape(settings: Settings, home: Path, folders: dict[str, Path]) -> dict[str, Any]:
    """The base's config.json: of the downloaded model if it is there, else of its source."""
    if "download" not in folders:
        return base_config(settings.model.base, home / "downloads")
    config: dict[str, Any] = read_json(folders["download"] / "base" / "config.json")
    return config


def try_out(
    run: Run,
    stage: str | None,
    trials: list[dict[str, Any]],
    on_result: Callable[[dict[str, Any]], None],
) -> None:
    """Runs trials (trials.Trial as dicts) of a stage, and hands on the result of each.

    stage: None for the first one. Raises RequestError if the base or the stage's rows are not there
    yet.
    """
    stages = stages_of(run.settings)
    stage = stage or stages[0]
    if stage not in stages:
        raise RequestError(
            f"There is no stage {stage!r} to try out.{did_you_mean(stage, stages)}"
            f" Stages: {', '.join(stages)}."
        )
    rows_step, _ = ROWS[stage]
    folders = {name: run.store.path(name, find(run, name).key) for name in ("download", rows_step)}
    spec = training_spec(run.settings, stage, folders, Path())  # nothing is written
    with run.store.locked("accelerator", "is taken by another run's training"):
        free_card(run.settings.release.name)
        rehearse(spec, trials, on_result)


def rehearse(
    spec: TrainingSpec, trials: list[dict[str, Any]], on_result: Callable[[dict[str, Any]], None]
) -> None:
    """Runs trials of what a spec describes, in a process of its own. Raises that one's error."""

    def hear(line: str) -> None:
        if line.startswith('{"rank"'):  # all other lines are the libraries'
            on_result(json.loads(line))

    with tempfile.TemporaryDirectory() as scratch:
        spec_file = Path(scratch) / "spec.json"
        trials_file = Path(scratch) / "trials.json"
        write_json(spec_file, asdict(spec))
        write_json(trials_file, trials)
        command: list[str | Path] = [
            sys.executable,
            "-m",
            "tasks.core.training",
            spec_file,
            trials_file,
        ]
        run_kospilot_program(command, hear)
