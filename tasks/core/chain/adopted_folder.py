"""An adapter's folder from another machine, of which nothing is believed that can be recomputed.

Reads adapter_config.json, the adapter's and the base's weights, checks.json and metrics.json. The
folder's own digests prove only that nothing was damaged on the way: who changes a file can change
them too.
"""

import math
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tasks.core.errors import RequestError, WorkError
from tasks.core.files.digests import digest_file
from tasks.core.files.foreign import refuse_foreign
from tasks.core.files.json_files import read_json
from tasks.core.release.adapter import Adapter, open_adapter
from tasks.core.release.base_weights import open_base
from tasks.core.release.merge_plan import plan_merge
from tasks.core.settings.tree import Training

_WEIGHTS = ("adapter_config.json", "adapter_model.safetensors")
_ADAPTER = (*_WEIGHTS, "base.json")
_TAKEN = (
    *_ADAPTER,
    "training_config.json",
    "checks.json",
    "metrics.json",
    "telemetry.jsonl",
    "tries.json",
    "loss.png",
    "README.md",
    "chat_template.jinja",
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
)
"""What a stage leaves; nothing else of a folder is taken in."""

_CHECKS = (
    "template_round_trips",
    "rows_trained",
    "layers_with_adapter",
    "trained_beside_the_adapter",
    "base_computes_in",
    "lora_parameters_float32",
    "matrices_with_gradient",
    "matrices_in_the_optimizer",
    "lora_parameters_float32_at_the_end",
    "elements_moved_share",
)
"""Checks that every stage makes, by any backend."""

_FIGURES = ("steps", "rows", "first_loss", "final_loss", "seconds")

_PLAIN = {
    "bias": "none",
    "init_lora_weights": True,
    "fan_in_fan_out": False,
    "lora_bias": False,
    "use_dora": False,
    "use_rslora": False,
    "modules_to_save": None,
    "layers_to_transform": None,
}
"""What our trainings leave as PEFT has it, and what would change the meaning of the weights."""


def refuse_unsafe(folder: Path) -> None:
    """Raises RequestError if the folder has links out of it or programs in it."""
    if folder.is_dir():
        refuse_foreign(folder, [name for name in _TAKEN if _is_there(folder / name)])


def take_files(folder: Path, out: Path) -> None:
    """Copies what a stage leaves into a new folder."""
    out.mkdir()
    for name in _TAKEN:
        if (folder / name).is_file():
            shutil.copyfile(folder / name, out / name)


def damages(folder: Path, digests: Any) -> Iterator[str]:
    """Yields what was lost or changed on the way, by the digests in training_config.json."""
    there = {name for name in _ADAPTER if (folder / name).is_file()} | set(_WEIGHTS)
    if not isinstance(digests, dict) or set(digests) != there:
        yield f"training_config.json has no digest of each of {', '.join(sorted(there))}"
        return
    for name in sorted(there):
        if not (folder / name).is_file():
            yield f"{name} is missing"
        elif digest_file(folder / name) != digests[name]:
            yield f"{name} is not the file that was trained: it was changed or damaged on the way"


def faults_of_weights(folder: Path, base: Path, training: Training) -> Iterator[str]:
    """Yields how the adapter is another than these settings make of this base."""
    try:
        adapter = open_adapter(folder)
        plan_merge(open_base(base), adapter)
        config = read_json(folder / "adapter_config.json")
    except (RequestError, WorkError) as error:
        yield str(error)
        return
    if any(change.value for change in adapter.changes.values()):
        yield "it replaces weights of the base, and a stage trains LoRA matrices only"
    for name, plain in _PLAIN.items():
        if config.get(name, plain) != plain:
            yield f"adapter_config.json has {name} {config[name]}, and a stage has {plain}"
    yield from _other_shape(config, training)
    yield from _other_counts(folder, adapter)


def _other_shape(config: dict[str, Any], training: Training) -> Iterator[str]:
    """Yields ranks, scales and modules that the settings do not ask for; with training.shrink they
    may be smaller.
    """
    from tasks.core.training.policy.adapter import ranks_and_scales  # noqa: PLC0415  loads PyTorch

    asked = ranks_and_scales(training) | {"target_modules": sorted(training.target_modules)}
    has = {name: config.get(name) or {} for name in asked}
    modules = has["target_modules"]
    has["target_modules"] = sorted(map(str, modules if isinstance(modules, list) else [modules]))
    if training.shrink and _is_smaller(has, asked):
        return
    for name, value in asked.items():
        if has[name] != value:
            yield f"adapter_config.json has {name} {has[name]}, and the settings ask for {value}"


def _is_smaller(has: dict[str, Any], asked: dict[str, Any]) -> bool:
    """Whether a shape is the asked one with a smaller rank or fewer modules, at the same scale."""
    if any(has[name] != asked[name] for name in ("rank_pattern", "alpha_pattern")):
        return False  # no training shrinks the ranks of single modules
    fits = has["r"] <= asked["r"] and set(has["target_modules"]) <= set(asked["target_modules"])
    return fits and _has_scale(has, asked)


def _has_scale(has: dict[str, Any], asked: dict[str, Any]) -> bool:
    """Whether alpha / r is the asked one, or what halving rounds it to."""
    from tasks.core.training.processes.full_card import shrunk_ranks  # noqa: PLC0415  PyTorch

    is_same = has["lora_alpha"] * asked["r"] == asked["lora_alpha"] * has["r"]
    rounded = shrunk_ranks(asked["r"], asked["lora_alpha"])
    return is_same or (has["r"], has["lora_alpha"]) in rounded


def _other_counts(folder: Path, adapter: Adapter) -> Iterator[str]:
    """Yields the checks whose figure is not what is counted in the weights themselves."""
    elements = sum(math.prod(entry.shape) for entry in adapter.tensors.entries.values())
    counted = {
        "layers_with_adapter": len(adapter.changes),
        "lora_parameters_float32": elements,
        "lora_parameters_float32_at_the_end": elements,
    }
    checks = _read_object(folder / "checks.json")
    for name, count in counted.items():
        check = checks.get(name)
        if isinstance(check, dict) and check.get("value") != count:
            yield f"its check {name} counted {check.get('value')}, and there are {count}"


def faults_of_records(folder: Path) -> Iterator[str]:
    """Yields checks that were not made or did not hold, and figures that are none."""
    for name in ("checks.json", "metrics.json"):
        if not (folder / name).is_file():
            yield f"{name} is missing"
    checks = _read_object(folder / "checks.json")
    missing = [name for name in _CHECKS if name not in checks]
    if missing and (folder / "checks.json").is_file():
        yield f"checks.json lacks {len(missing)} checks that every stage makes: {missing[0]}"
    for name, check in checks.items():
        if not isinstance(check, dict) or check.get("ok") is not True or "value" not in check:
            yield f"its check {name} did not hold"
    metrics = _read_object(folder / "metrics.json")
    for name in _FIGURES:
        if (folder / "metrics.json").is_file() and not _is_figure(metrics.get(name)):
            yield f"metrics.json has no figure for {name}: {str(metrics.get(name))[:40]}"


def _read_object(file: Path) -> dict[str, Any]:
    """The object in a JSON file; an empty one if there is none."""
    try:
        value = read_json(file)
    except (OSError, ValueError):
        return {}
    return value if isinstance(value, dict) else {}


def _is_figure(value: Any) -> bool:
    """Whether a value is a number that a training may have: finite, and not negative."""
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return is_number and 0 <= value < 1e12


def _is_there(file: Path) -> bool:
    """Whether a name is taken in a folder, be it by a link to nothing."""
    return file.is_symlink() or file.exists()
