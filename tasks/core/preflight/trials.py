"""What training would be like: what is there to plan a stage with, and its trials.

Trials run in a process of their own and leave nothing in the store.
"""

import json
import sys
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from tasks.core.chain.produce import find
from tasks.core.chain.run import Run
from tasks.core.data.base_model.config import base_config
from tasks.core.errors import RequestError, did_you_mean
from tasks.core.files.json_files import read_json, write_json
from tasks.core.files.scratch import scratch_folder
from tasks.core.preflight.prepare import prepare
from tasks.core.processes.child import run_kospilot_program
from tasks.core.processes.host import accelerator
from tasks.core.serving.servers import free_card
from tasks.core.settings.tree import Settings, StageName
from tasks.core.steps import chain
from tasks.core.training.planning.plan import ExpectedRows
from tasks.core.training.spec import (
    StageInputs,
    StageSettings,
    TrainingSpec,
    rows_file,
    training_spec,
)


def stages_of(settings: Settings) -> list[StageName]:
    """The stages that these settings train here. Raises RequestError if none is left."""
    stages = [name for name in settings.trained_stages if not _is_shipped(settings, name)]
    if not stages:
        raise RequestError("stages.skip leaves no stage to train; take one out of it.")
    return stages


def _is_shipped(settings: Settings, stage: str) -> bool:
    return stage == "stage1" and settings.ships_stage1


def expect_rows(settings: Settings, stage: str) -> ExpectedRows:
    """Returns what is known of the rows of a stage before its file is made."""
    rows = {
        "stage1": settings.data.rows,
        "stage2": settings.synthesis.rows,
        "stage3": settings.pairs.rows,
    }
    longest = settings.training.max_length
    if stage != "stage1":
        longest = min(longest, settings.synthesis.token_budget)
    return ExpectedRows(rows[stage], longest)


def find_built(profile: str, overrides: list[str]) -> dict[str, Path]:
    """Returns the folders of the base model and of the stages' rows that are there, by step.

    Raises RequestError if the outside world cannot be surveyed: there may be no market yet.
    """
    run = prepare(profile, overrides)
    wanted = {"download"}
    for stage in stages_of(run.settings):
        wanted.add(rows_file(run.steps[stage].reads).step)
    folders = {}
    for line in run.plan(wanted):
        if line.step in wanted and line.action == "skip" and line.key:
            folders[line.step] = run.store.path(line.step, line.key)
    return folders


def read_shape(settings: Settings, home: Path, folders: dict[str, Path]) -> dict[str, Any]:
    """Returns the base's config.json: of the download if it is there, else of its source."""
    if "download" not in folders:
        return base_config(settings.model.base, home / "downloads")
    config: dict[str, Any] = read_json(folders["download"] / "base" / "config.json")
    return config


def spec_of(settings: Settings, stage: StageName, folders: dict[str, Path]) -> TrainingSpec:
    """Returns the spec of a stage that writes nothing, from the folders that are there, by step."""
    rows = rows_file(chain(settings)[stage].reads)
    inputs = StageInputs(
        base=folders["download"] / "base" if "download" in folders else None,
        rows=folders[rows.step] / rows.name if rows.step in folders else None,
    )
    own = StageSettings(settings.training, getattr(settings, stage))
    return training_spec(stage, own, inputs, Path())


def try_out(
    run: Run,
    stage: str | None,
    trials: list[dict[str, Any]],
    on_result: Callable[[dict[str, Any]], None],
) -> None:
    """Runs trials (trials.Trial as dicts) of a stage here, and hands on the result of each.

    Raises what find_tried raises.
    """
    spec = find_tried(run, stage)
    with run.store.locked(accelerator(), "is taken by another run's training"):
        free_card(run.settings.release.name)
        carry_out_trials(spec, trials, on_result)


def find_tried(run: Run, stage: str | None) -> TrainingSpec:
    """Returns the spec of the stage that is tried out; stage: None for the first one.

    Raises RequestError if the base or the stage's rows are not there yet.
    """
    tried = _stage_named(stage, stages_of(run.settings))
    rows = rows_file(run.steps[tried].reads)
    folders = {name: run.store.path(name, find(run, name).key) for name in ("download", rows.step)}
    return spec_of(run.settings, tried, folders)


def _stage_named(name: str | None, stages: list[StageName]) -> StageName:
    if name is None:
        return stages[0]
    for stage in stages:
        if stage == name:
            return stage
    raise RequestError(
        f"There is no stage {name!r} to try out.{did_you_mean(name, stages)}"
        f" Stages: {', '.join(stages)}."
    )


def carry_out_trials(
    spec: TrainingSpec, trials: list[dict[str, Any]], on_result: Callable[[dict[str, Any]], None]
) -> None:
    """Runs trials of what a spec describes, in a process of its own. Raises that one's error."""

    def hear(line: str) -> None:
        if line.startswith('{"rank"'):  # all other lines are the libraries'
            on_result(json.loads(line))

    with scratch_folder() as scratch:
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
