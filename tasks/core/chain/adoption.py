"""Adapters trained on another machine: proven to be what a stage would make here, and taken in.

Reads the folder that `python -m tasks.core.training` wrote: training_config.json says what the
adapter was trained on, checks.json whether all of it was right. Writes the stage's artifact.
"""

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from tasks.core.chain.adopted_folder import (
    damages,
    faults_of_records,
    faults_of_weights,
    refuse_unsafe,
    take_files,
)
from tasks.core.chain.plan import recipe_of
from tasks.core.chain.produce import find_inputs, produce
from tasks.core.chain.run import Run
from tasks.core.chain.step import Job
from tasks.core.chain.store import Store
from tasks.core.errors import RequestError
from tasks.core.files.json_files import read_json
from tasks.core.records.artifacts import Ref, no_progress
from tasks.core.settings.tree import STAGES, Settings
from tasks.core.training.finished import figures

_CONFIG = "training_config.json"
_CONFIG_KEYS = {
    "stage", "version", "base_files", "start_files", "rows_sha256", "adapter_files", "training",
    "schedule",
}  # fmt: skip


@dataclass(frozen=True)
class Adoption:
    """A stage's artifact, and whether it is new in the store."""

    ref: Ref
    new: bool


def adopt(run: Run, stage: str | None, folder: Path) -> Adoption:
    """Takes the folder's files in as the stage's artifact; one that is there and intact stays.

    stage: None for the one that the folder names. Raises RequestError, with every difference,
    unless the folder is what this run's plan asks for.
    """
    refuse_unsafe(folder)
    config = _read_config(folder)
    stage = stage or config["stage"]
    if stage not in STAGES or stage not in run.steps:
        stages = ", ".join(run.settings.trained_stages)
        raise RequestError(f"{stage} is no training stage of these settings. Stages: {stages}.")
    reads = find_inputs(run, [stage])
    recipe = recipe_of(run.steps[stage], run.world(), reads)
    differences = []
    if config["stage"] != stage:
        differences.append(f"it is {config['stage']}, not {stage}")
    differences += damages(folder, config["adapter_files"])
    differences += faults_of_records(folder)
    differences += _other_settings(config, recipe.settings, run.settings, stage)
    differences += _other_inputs(config, run.store, reads)
    if config["version"] != recipe.version:
        differences.append(
            f"it was trained by version {config['version']} of the stages, and this is"
            f" {recipe.version}"
        )
    if not differences:
        base = run.store.path("download", reads["download"].key) / "base"
        differences += faults_of_weights(folder, base, run.settings.training)
    if differences:
        listed = "".join(f"\n  - {difference}" for difference in differences)
        name = run.resolved.name
        raise RequestError(f"{folder} is not what {name} asks for as {stage}:{listed}")
    new = run.store.problem(stage, recipe.key) is not None

    def take(job: Job) -> dict[str, Any]:
        shutil.rmtree(job.out)  # what an interrupted training left there
        take_files(folder, job.out)
        return figures(job.out) | {"trained": "elsewhere, and imported"}

    return Adoption(produce(run, stage, reads, no_progress, take), new)


def _read_config(folder: Path) -> dict[str, Any]:
    if not folder.is_dir():
        fault = "is a file" if folder.exists() else "is not there"
        raise RequestError(f"{folder} {fault}. {_advice(folder)}")
    config: dict[str, Any]
    try:
        config = read_json(folder / _CONFIG)
        _check_config(config)
    except FileNotFoundError:
        raise RequestError(
            f"{folder} has no usable {_CONFIG}: there is none. {_advice(folder)}"
        ) from None
    except (OSError, ValueError) as error:
        raise RequestError(
            f"{folder} has no usable {_CONFIG}: {error}. {_advice(folder)}"
        ) from error
    return config


def _advice(folder: Path) -> str:
    """What can be done with a folder that no training of ours wrote."""
    advice = "Name the folder that `python -m tasks.core.training` wrote, with everything in it."
    if (folder / "adapter_config.json").is_file():
        advice += f" An adapter of another training becomes a model: `kospilot release {folder}`."
    return advice


def _check_config(config: Any) -> None:
    """Raises ValueError unless a training's record has the form that its reader relies on."""
    if not isinstance(config, dict):
        raise ValueError("it is no object")
    missing = _CONFIG_KEYS - config.keys()
    if missing:
        raise ValueError(f"it does not say {', '.join(sorted(missing))}")
    for name in ("training", "schedule", "base_files"):
        if not isinstance(config[name], dict):
            raise ValueError(f"its {name} is no object")
    start = config["start_files"] or {}  # null for a stage that starts from the base
    if not isinstance(start, dict):
        raise ValueError("its start_files is no object")
    digests = [config["rows_sha256"], *config["base_files"].values(), *start.values()]
    if not all(isinstance(digest, str) for digest in digests):
        raise ValueError("one of its digests is no text")


def _other_settings(
    config: dict[str, Any], wanted: dict[str, Any], settings: Settings, stage: str
) -> list[str]:
    """Settings that shape the result and were others in the training.

    A setting that the training did not know had its default value. One that asks for nothing (no
    patience, no ranks of single modules) is left out on its side.
    """
    trained = {}
    for section, values in (("training", config["training"]), (stage, config["schedule"])):
        try:
            was = type(getattr(settings, section))(**values).result_settings()
        except ValidationError as error:
            return [f"its settings of {section} are none that this version knows: {error}"]
        for name, value in was.items():
            trained[f"{section}.{name}"] = value
    differences = []
    for name in dict.fromkeys([*wanted, *trained]):
        if trained.get(name) != wanted.get(name):
            was = trained.get(name, "not set")
            differences.append(f"{name} was {was}, and is {wanted.get(name, 'not set')} here")
    return differences


def _other_inputs(config: dict[str, Any], store: Store, reads: Mapping[str, Ref]) -> list[str]:
    """Files that the training read and that are not those of the plan's artifacts."""
    differences = []
    if config["start_files"] and not set(STAGES) & reads.keys():
        differences.append(
            "it started from an earlier stage's adapter, and here it starts from the base"
        )
    for step, ref in reads.items():
        here = _content(store, ref)
        trained = _trained_on(config, step, list(here))
        for name in sorted(here.keys() | trained.keys()):
            if trained.get(name) != here.get(name):
                was = _short(trained.get(name))
                now = _short(here.get(name))
                differences.append(f"{name} of {step} was {was}, and is {now} here (sha256)")
    return differences


def _content(store: Store, ref: Ref) -> dict[str, str]:
    """The digests of the content files that training reads: of a download the base model's, of the
    strategy's rows not what is kept for the evaluation.
    """
    manifest = store.known(ref.step, ref.key)
    digests = {path: manifest.files[path][1] for path in manifest.content}
    if ref.step == "download":
        return {path: sha for path, sha in digests.items() if path.startswith("base/")}
    digests.pop("held_logs.jsonl", None)
    return digests


def _trained_on(config: dict[str, Any], step: str, content: list[str]) -> dict[str, str]:
    """The digests that the training's record has of what this step made."""
    if step == "download":
        return {f"base/{name}": sha for name, sha in config["base_files"].items()}
    if step in STAGES:
        return config["start_files"] or {}
    (rows_file,) = content
    return {rows_file: config["rows_sha256"]}


def _short(digest: str | None) -> str:
    return digest[:12] if digest else "not there"
