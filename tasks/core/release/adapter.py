"""A PEFT adapter's folder: what it does to each tensor of its base, as LoRA's tools save it.

Reads adapter_config.json and adapter_model.safetensors. What is not known to be right when it is
merged is refused by name.
"""

import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from tasks.core.errors import WorkError
from tasks.core.files.json_files import read_json
from tasks.core.release.weights import DTYPES, Header, decode, read_bytes, read_header

_PREFIX = "base_model.model."
_LORA_A = ".lora_A.weight"
_EMBEDDING_A = ".lora_embedding_A"
_FINITE_CHUNK = 1 << 24  # bytes looked through at a time
_LAYER = re.compile(r"\^?(\w|\\?\.)+\$?")  # a name, as a regular expression may spell it
_HIGHEST = 1e6  # of a rank or an alpha

_OTHERS = {
    "alora_invocation_tokens": "it acts on a part of the prompt only",
    "arrow_config": "it routes between adapters",
    "fan_in_fan_out": "its matrices are transposed",
    "kasa_config": "it changed the base's weights",
    "layer_replication": "it uses layers of the base several times",
    "monteclora_config": "it samples its matrices",
    "target_parameters": "it adapts tensors that are not layers",
    "trainable_token_indices": "it changes single rows of the embedding",
    "use_bdlora": "its matrices are block-diagonal",
    "use_qalora": "its matrices act on groups of inputs",
}
"""Options of PEFT's LoRA that cannot be merged, and why."""

_CHANGING_INITS = ("pissa", "olora", "corda", "loftq", "lora_ga")
"""Ways to begin an adapter by which PEFT takes something off the base's weights."""


@dataclass(frozen=True)
class Update:
    """What is added to one tensor: scale · left · right, by the names of adapter tensors.

    A transposed one, as PEFT saves embeddings', is (right · left)ᵀ.
    """

    left: str
    right: str | None  # None: `left` is added itself, as a bias is
    scale: float
    transposed: bool = False
    magnitude: str | None = None  # DoRA: the rows' lengths


@dataclass(frozen=True)
class Change:
    """What an adapter does to one tensor of the base."""

    value: str | None = None
    """The adapter's tensor that takes the place of the base's."""

    beneath: bool = False
    """Whether `value` is what the update is added to, and not trained itself."""

    update: Update | None = None


@dataclass(frozen=True)
class Adapter:
    """An adapter's tensors, and its changes by the name of the base's tensor."""

    folder: Path
    tensors: Header
    changes: dict[str, Change]


def open_adapter(folder: Path) -> Adapter:
    """Returns an adapter after every one of its values was looked at.

    Raises WorkError if the folder does not hold a whole LoRA adapter, or one that cannot be merged.
    """
    file = folder / "adapter_model.safetensors"
    if not file.is_file():
        raise WorkError(
            f"{folder} holds no adapter_model.safetensors: it is no adapter, or one of an old PEFT"
            " (adapter_model.bin), which a newer one saves again in that format."
        )
    config = _read_config(folder / "adapter_config.json")
    _check_method(config, folder)
    tensors = read_header(file)
    adapter = Adapter(folder, tensors, _changes(tensors, config))
    if not adapter.changes:
        raise WorkError(f"The adapter {folder} has no LoRA matrices.")
    _check_saved_modules(config, adapter)
    _check_finite(adapter)
    return adapter


def check_beginnings(folder: Path) -> None:
    """Raises WorkError if the configuration, or the header of the weights, already says that an
    adapter cannot be merged.
    """
    _check_method(_read_config(folder / "adapter_config.json"), folder)
    read_header(folder / "adapter_model.safetensors")


def _read_config(file: Path) -> dict[str, Any]:
    try:
        config = read_json(file)
    except (OSError, ValueError, RecursionError) as error:
        raise WorkError(f"{file} cannot be read: {error}.") from None
    if not isinstance(config, dict) or "peft_type" not in config:
        raise WorkError(f"{file} is not an adapter's configuration: it names no peft_type.")
    return config


def _check_method(config: dict[str, Any], folder: Path) -> None:
    kind = config["peft_type"]
    if kind != "LORA":
        raise WorkError(f"The adapter {folder} is {kind}; only LoRA is merged. Train it as LoRA.")
    for key in ("r", "lora_alpha"):
        if not _is_positive(config.get(key)):
            raise WorkError(
                f"{folder / 'adapter_config.json'} has {key}: {config.get(key)!r}, which has to be"
                f" a number above 0 and below {_HIGHEST:,.0f}: save the adapter anew."
            )
    _check_patterns(config, folder / "adapter_config.json")
    for option, reason in _OTHERS.items():
        if config.get(option):
            raise WorkError(
                f"The adapter {folder} was trained with {option}, which cannot be merged: {reason}."
                " Train it without."
            )
    start = str(config.get("init_lora_weights")).lower()
    if start.startswith(_CHANGING_INITS):
        raise WorkError(
            f"The adapter {folder} began as {start}, which changed the base's weights: it does not"
            " belong to the base as it is published. Save it as plain LoRA (PEFT's"
            " save_pretrained with path_initial_model_for_weight_conversion)."
        )


def _changes(tensors: Header, config: dict[str, Any]) -> dict[str, Change]:
    """Every change of an adapter, by the name of the base's tensor."""
    updates = _updates(tensors, config)
    changes = {target: Change(update=update) for target, update in updates.items()}
    others = set(tensors.entries)
    for update in updates.values():
        others -= {update.left, update.right, update.magnitude}
    for name in sorted(others):
        target = _replaced(name)
        if target is None:
            raise WorkError(
                f"The adapter {tensors.path.parent} has {name}, which is not known here, so it"
                " cannot be merged. Train it as LoRA or DoRA of linear layers."
            )
        change = changes.get(target, Change())
        changes[target] = replace(change, value=name, beneath=change.update is not None)
    return changes


def _replaced(name: str) -> str | None:
    """The base's tensor whose place an adapter's tensor takes, or None if it is something else."""
    path = name.removeprefix(_PREFIX)
    if ".lora_" in path or not path.endswith((".weight", ".bias")):
        return None
    for wrapper in (".base_layer.", ".modules_to_save.default.", ".modules_to_save."):
        path = path.replace(wrapper, ".")
    return path


def _updates(tensors: Header, config: dict[str, Any]) -> dict[str, Update]:
    """What an adapter adds, by the name of the base's tensor."""
    updates: dict[str, Update] = {}
    for name in sorted(tensors.entries):
        if name.endswith(_LORA_A):
            updates |= _of_linear(tensors, config, name)
        elif name.endswith(_EMBEDDING_A):
            updates |= _of_embedding(tensors, config, name)
    return updates


def _of_linear(tensors: Header, config: dict[str, Any], a: str) -> dict[str, Update]:
    """What is added to a linear layer, whose A is given: to its weight, and perhaps its bias."""
    prefix = a.removesuffix(_LORA_A)
    b = prefix + ".lora_B.weight"
    magnitude = prefix + ".lora_magnitude_vector"
    if b not in tensors.entries or (config.get("use_dora") and magnitude not in tensors.entries):
        raise WorkError(f"{tensors.path} has {a} without its counterparts: train or save it anew.")
    layer = prefix.removeprefix(_PREFIX)
    scale = _scale(tensors, config, layer, (a, b))
    lengths = magnitude if magnitude in tensors.entries else None
    updates = {f"{layer}.weight": Update(b, a, scale, magnitude=lengths)}
    bias = prefix + ".lora_B.bias"
    if bias in tensors.entries:
        updates[f"{layer}.bias"] = Update(bias, None, scale)
    return updates


def _of_embedding(tensors: Header, config: dict[str, Any], a: str) -> dict[str, Update]:
    """What is added to an embedding, whose A is given."""
    prefix = a.removesuffix(_EMBEDDING_A)
    b = prefix + ".lora_embedding_B"
    if b not in tensors.entries:
        raise WorkError(f"{tensors.path} has {a} without its counterpart: train or save it anew.")
    layer = prefix.removeprefix(_PREFIX)
    scale = _scale(tensors, config, layer, (a, b))
    return {f"{layer}.weight": Update(a, b, scale, transposed=True)}


def _scale(tensors: Header, config: dict[str, Any], layer: str, matrices: tuple[str, str]) -> float:
    """alpha / r, or alpha / √r for rank-stabilized LoRA, with PEFT's patterns for single layers.

    Raises WorkError unless the matrices A and B have that rank.
    """
    rank = _patterned(config.get("rank_pattern"), layer, config["r"])
    alpha = _patterned(config.get("alpha_pattern"), layer, config["lora_alpha"])
    a, b = (tensors.entries[name].shape for name in matrices)
    if len(a) != 2 or len(b) != 2 or a[0] != rank or b[1] != rank:
        raise WorkError(
            f"{tensors.path} adapts {layer} with matrices {b} and {a}, which are not of rank {rank}"
            " as adapter_config.json says: the adapter is damaged, or was saved in parts."
        )
    if config.get("use_rslora"):
        return float(alpha / rank**0.5)
    return float(alpha / rank)


def _patterned(patterns: dict[str, float] | None, layer: str, default: float) -> float:
    """The value for a layer; a pattern names the end of a layer's path, or with ^ all of it."""
    for pattern, value in (patterns or {}).items():
        name = pattern.removesuffix("$").replace("\\.", ".")
        if layer == name.removeprefix("^") or layer.endswith(f".{name}"):
            return value
    return default


def _check_patterns(config: dict[str, Any], file: Path) -> None:
    """Raises WorkError unless patterns are names of layers, each with a number.

    PEFT takes regular expressions, and some of them take for ever.
    """
    for key in ("rank_pattern", "alpha_pattern"):
        patterns = config.get(key) or {}
        if not isinstance(patterns, dict):
            raise WorkError(f"{file} has no table of layers as {key}: save it anew.")
        for pattern, value in patterns.items():
            if not _LAYER.fullmatch(pattern):
                raise WorkError(
                    f"{file} has the {key} {pattern[:60]!r}, a regular expression, which is not"
                    " matched. Write the layers' names out, as q_proj or layers.0.mlp.up_proj."
                )
            if not _is_positive(value):
                raise WorkError(
                    f"{file} has {key} {pattern}: {value!r}, which has to be a number above 0 and"
                    f" below {_HIGHEST:,.0f}: save the adapter anew."
                )


def _is_positive(value: Any) -> bool:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return is_number and 0 < value < _HIGHEST


def _check_saved_modules(config: dict[str, Any], adapter: Adapter) -> None:
    """Raises WorkError if layers were trained whole and none of them is there."""
    modules = config.get("modules_to_save") or []
    replaced = [f".{name}" for name, change in adapter.changes.items() if change.value]
    if modules and not any(f".{module}." in name for module in modules for name in replaced):
        raise WorkError(
            f"{adapter.folder / 'adapter_config.json'} names {', '.join(map(str, modules))} as"
            f" trained whole (modules_to_save), and {adapter.tensors.path.name} has none of them:"
            " that training is lost. Save the adapter anew, with PEFT's save_pretrained."
        )


def _check_finite(adapter: Adapter) -> None:
    for name, entry in adapter.tensors.entries.items():
        if entry.dtype not in DTYPES:
            raise WorkError(f"{name} in {adapter.tensors.path} is {entry.dtype}, not a weight.")
        size = entry.end - entry.begin
        for begin in range(0, size, _FINITE_CHUNK):
            end = min(begin + _FINITE_CHUNK, size)
            values = decode(read_bytes(adapter.tensors, name, begin, end), entry.dtype)
            if not np.isfinite(values).all():
                raise WorkError(
                    f"{name} in {adapter.tensors.path} holds values that are not numbers (NaN or"
                    " infinite): the training broke down. Train again, at a lower learning rate."
                )
