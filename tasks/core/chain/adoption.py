"""Adapters that were trained on another machine: proven to be what a stage would make here, and
taken into the store.

Reads the folder that `python -m tasks.core.training` wrote: training_config.json says what it was
trained on, checks.json whether all of it was right. Writes the stage's artifact.
"""

import json
import shutil
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from tasks.core.chain.plan import recipe_of
from tasks.core.chain.produce import Job, find_inputs, produce
from tasks.core.chain.run import Run
from tasks.core.chain.steps import STAGES, chain
from tasks.core.chain.store import Store
from tasks.core.errors import RequestError
from tasks.core.files.digests import digest_file
from tasks.core.records.artifacts import Ref
from tasks.core.settings.tree import Settings
from tasks.core.training.spec import UNFINISHED

_WHERE = "elsewhere, and imported"


def adopt(run: Run, stage: str | None, folder: Path) -> tuple[Ref, bool]:
    """The stage's artifact, made of the folder's files, and whether it is new: an intact one stays.

    stage: None for the one that the folder names. Raises RequestError, with every difference,
    unless the folder is what this run's plan asks for.
    """
    told = _read_config(folder)
    stage = stage or told["stage"]
    if stage not in STAGES or stage not in chain(run.settings):
        ran = ", ".join(name for name in STAGES if name in chain(run.settings))
        raise RequestError(f"{stage} is no training stage of these settings. Stages: {ran}.")
    reads = find_inputs(run, [stage])
    recipe = recipe_of(chain(run.settings)[stage], run.world(), reads)
    differences = [
        *_broken(folder, told),
        *_other_settings(told, recipe.settings, run.settings, stage),
        *_other_inputs(told, run.store, reads),
    ]
    if told["stage"] != stage:
        differences.insert(0, f"it is {told['stage']}, not {stage}")
    if told["version"] != recipe.version:
        differences.append(
            f"it was trained by version {told['version']} of the stages, and this is {recipe.version}"
        )
    if differences:
        listed = "".join(f"\n  - {line}" for line in differences)
        raise RequestError(
            f"{folder} is not what {run.resolved.profile} asks for as {stage}:{listed}"
        )
    new = run.store.problem(stage, recipe.key) is not None

    def take(job: Job) -> dict[str, Any]:
        shutil.rmtree(job.out)  # what an interrupted training left there
        shutil.copytree(folder, job.out, ignore=shutil.ignore_patterns(*UNFINISHED, ".*"))
        return figures(job.out) | {"trained": _WHERE}

    return produce(run, stage, reads, take, lambda share, text: None), new


def figures(folder: Path) -> dict[str, Any]:
    """An adapter's metrics and the figures of its checks, for the manifest."""
    metrics, checks = (
        json.loads((folder / name).read_text("utf-8")) for name in ("metrics.json", "checks.json")
    )
    return metrics | {"checks": {name: check["value"] for name, check in checks.items()}}


def _read_config(folder: Path) -> dict[str, Any]:
    try:
        told = json.loads((folder / "training_config.json").read_text(encoding="utf-8"))
        needed = {
            "stage",
            "version",
            "base_files",
            "start_files",
            "rows_sha256",
            "adapter_files",
            "training",
            "schedule",
        }
        if missing := needed - told.keys():
            raise ValueError(f"it does not say {', '.join(sorted(missing))}")
    except (OSError, ValueError, AttributeError) as error:
        raise RequestError(
            f"{folder} has no usable training_config.json: {error}. Name the folder that"
            " `python -m tasks.core.training` wrote, with everything in it."
        ) from error
    return told


def _broken(folder: Path, told: dict[str, Any]) -> list[str]:
    """Files that were changed or lost on the way, and checks that did not hold."""
    lost = [name for name in ("checks.json", "metrics.json") if not (folder / name).is_file()]
    found = [f"{name} is missing" for name in lost]
    for name, digest in told["adapter_files"].items():
        file = folder / name
        if not file.is_file():
            found.append(f"{name} is missing")
        elif digest_file(file) != digest:
            found.append(
                f"{name} is not the file that was trained: it was changed or damaged on the way"
            )
    if "checks.json" not in lost:
        checks = json.loads((folder / "checks.json").read_text(encoding="utf-8"))
        found += [
            f"its check {name} did not hold" for name, check in checks.items() if not check["ok"]
        ]
    return found


def _other_settings(
    told: dict[str, Any], wanted: dict[str, Any], settings: Settings, stage: str
) -> list[str]:
    """Settings that shape the result and were others. One that its training did not know had its
    default value.
    """
    trained = {}
    for section, values in (("training", told["training"]), (stage, told["schedule"])):
        try:
            was = type(getattr(settings, section))(**values).result_settings()
        except ValidationError as error:
            return [f"its settings of {section} are none that this version knows: {error}"]
        trained |= {f"{section}.{name}": value for name, value in was.items()}
    # one that asks for nothing (no patience, no ranks of single modules) is left out on its side
    names = [*wanted, *(name for name in trained if name not in wanted)]
    return [
        f"{name} was {trained.get(name, 'not set')}, and is {wanted.get(name, 'not set')} here"
        for name in names
        if trained.get(name) != wanted.get(name)
    ]


def _other_inputs(told: dict[str, Any], store: Store, reads: dict[str, Ref]) -> list[str]:
    """What it read and is not what the plan's artifacts hold."""
    trained: dict[str, dict[str, str]] = {
        "download": {f"base/{name}": sha for name, sha in told["base_files"].items()}
    }
    start = next((stage for stage in reversed(STAGES) if stage in reads), None)
    found = []
    if start:
        trained[start] = told["start_files"] or {}
    elif told["start_files"]:
        found.append("it started from an earlier stage's adapter, and here it starts from the base")
    for step, ref in reads.items():
        manifest = store.manifest(ref.step, ref.key)
        here = {path: sha for path, (_, sha) in manifest.files.items() if path in manifest.content}
        if step == "download":
            here = {path: sha for path, sha in here.items() if path.startswith("base/")}
        elif step not in trained:  # its rows, in one file
            (name,) = here
            trained[step] = {name: told["rows_sha256"]}
        names = sorted(here.keys() | trained[step].keys())
        found += [_other(step, name, trained[step].get(name), here.get(name)) for name in names]
    return [line for line in found if line]


def _other(step: str, name: str, was: str | None, here: str | None) -> str | None:
    if was == here:
        return None
    told = {"was": was and was[:12] or "not there", "here": here and here[:12] or "not there"}
    return f"{name} of {step} was {told['was']}, and is {told['here']} here (sha256)"
