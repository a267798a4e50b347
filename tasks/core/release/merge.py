"""Folds an adapter into its base model: W + (alpha / r) · B · A, one tensor in memory at a time.

Reads a Hugging Face folder and a PEFT adapter folder. Writes the same Hugging Face folder with the
base's own shards, in which only the adapted tensors differ. A merged tensor keeps its type and its
place, so the header of a shard is the base's.
"""

import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from tasks.core.errors import WorkError
from tasks.core.files.json_files import read_json
from tasks.core.records.artifacts import Progress
from tasks.core.release.weights import Entry, Header, read_array, read_bytes, read_header, to_bytes

_COPIED = (
    "config.json",
    "generation_config.json",
    "tokenizer*",
    "chat_template*",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.json",
    "merges.txt",
    "*.safetensors.index.json",
)
_LORA_A = ".lora_A.weight"
_LORA_B = ".lora_B.weight"


@dataclass(frozen=True)
class _Pair:
    """The LoRA matrices of one weight, by their names in the adapter: weight += scale · B · A."""

    a: str
    b: str
    scale: float


@dataclass(frozen=True)
class _Adapter:
    folder: Path
    tensors: Header
    pairs: dict[str, _Pair]  # by the name of the base's tensor


def merge(base: Path, adapter: Path | None, out: Path, progress: Progress) -> dict[str, Any]:
    """Writes the merged model to `out` in the base's dtype, and returns its metrics.

    The sum is made in float32 and rounded once. Without an adapter the model is a copy of the base.
    Raises WorkError if the adapter is not one of this base.
    """
    shards = [read_header(file) for file in sorted(base.glob("*.safetensors"))]
    if not shards:
        raise WorkError(f"{base} holds no *.safetensors: only models in that format can be merged.")
    lora = None
    if adapter:
        lora = _open_adapter(adapter)
        _check_belongs(lora, shards, base)
    _copy_all_but_weights(base, out)
    total = sum(shard.path.stat().st_size for shard in shards)
    done = 0
    for shard in shards:
        for size in _merge_shard(shard, out / shard.path.name, lora):
            done += size
            progress(done / total, f"{done / 1e6:.0f} / {total / 1e6:.0f} MB merged")
    return {
        "adapted_tensors": len(lora.pairs) if lora else 0,
        "shards": len(shards),
        "bytes": total,
    }


def _copy_all_but_weights(base: Path, out: Path) -> None:
    for file in sorted(base.iterdir()):
        if file.is_file() and any(fnmatchcase(file.name, pattern) for pattern in _COPIED):
            shutil.copyfile(file, out / file.name)


def _merge_shard(shard: Header, target: Path, lora: _Adapter | None) -> Iterator[int]:
    """Writes one shard, and yields the size of each tensor in bytes when it is written."""
    with target.open("wb") as writer:
        writer.write(shard.raw)
        for name, entry in shard.entries.items():
            writer.write(_merged(shard, name, lora))
            yield entry.end - entry.begin


def _merged(shard: Header, name: str, lora: _Adapter | None) -> bytes:
    """The bytes of one tensor, with its update added if the adapter has one."""
    if lora is None or name not in lora.pairs:
        return read_bytes(shard, name)
    pair = lora.pairs[name]
    update = read_array(lora.tensors, pair.b) @ read_array(lora.tensors, pair.a)
    return to_bytes(read_array(shard, name) + update * pair.scale, shard.entries[name].dtype)


def _open_adapter(folder: Path) -> _Adapter:
    """Opens an adapter. Raises WorkError if it is anything but plain LoRA on linear layers."""
    tensors = read_header(folder / "adapter_model.safetensors")
    config_file = folder / "adapter_config.json"
    try:
        config = read_json(config_file)
    except (OSError, ValueError) as error:
        raise WorkError(f"{config_file} cannot be read: {error}.") from None
    adapter = _Adapter(folder, tensors, _find_pairs(tensors, config))
    obstacle = _obstacle(adapter, config)
    if obstacle:
        raise WorkError(
            f"The adapter {folder} {obstacle}. Only plain LoRA on linear layers merges: no bias,"
            " DoRA or others."
        )
    return adapter


def _find_pairs(tensors: Header, config: dict[str, Any]) -> dict[str, _Pair]:
    """The pairs of matrices in an adapter, by the name of the base's tensor."""
    pairs = {}
    for a in sorted(tensors.entries):
        if not a.endswith(_LORA_A):
            continue
        module = a.removesuffix(_LORA_A)
        b = module + _LORA_B
        if b in tensors.entries:
            layer = module.removeprefix("base_model.model.")
            pairs[f"{layer}.weight"] = _Pair(a, b, _scale(config, layer))
    return pairs


def _obstacle(adapter: _Adapter, config: dict[str, Any]) -> str | None:
    """What makes an adapter more than plain LoRA, or None if nothing does."""
    others = set(adapter.tensors.entries)
    for pair in adapter.pairs.values():
        others -= {pair.a, pair.b}
    if others:
        return f"has {min(others)}"
    if not adapter.pairs:
        return "has no LoRA matrices"
    if config.get("fan_in_fan_out"):
        return "is transposed (fan_in_fan_out)"
    return None


def _scale(config: dict[str, Any], layer: str) -> float:
    """alpha / r, or alpha / √r for rank-stabilized LoRA, with PEFT's patterns for single layers."""
    rank = _patterned(config.get("rank_pattern"), layer, config["r"])
    alpha = _patterned(config.get("alpha_pattern"), layer, config["lora_alpha"])
    if config.get("use_rslora"):
        return alpha / rank**0.5
    return alpha / rank


def _patterned(patterns: dict[str, float] | None, layer: str, default: float) -> float:
    """The value for a layer; a pattern names the end of a layer's path, as PEFT matches it."""
    for pattern, value in (patterns or {}).items():
        if re.match(rf"(.*\.)?({pattern})$", layer):
            return value
    return default


def _check_belongs(lora: _Adapter, shards: list[Header], base: Path) -> None:
    """Raises WorkError, before anything is written, unless every adapted layer is in the base, in
    the shape that its matrices make.
    """
    weights: dict[str, Entry] = {}
    for shard in shards:
        weights.update(shard.entries)
    missing = sorted(lora.pairs.keys() - weights.keys())
    if missing:
        raise WorkError(
            f"{len(missing)} of the {len(lora.pairs)} layers that {lora.folder} adapts are not in"
            f" {base}, the first is {missing[0]}: it is an adapter of another base model, or adapts"
            " an output layer tied to the embedding."
        )
    for name, pair in lora.pairs.items():
        a = lora.tensors.entries[pair.a].shape
        b = lora.tensors.entries[pair.b].shape
        shape = weights[name].shape
        if (b[0], a[1]) != shape or a[0] != b[1]:
            raise WorkError(
                f"{lora.folder} adapts {name} with matrices {b} and {a}; in {base} it is {shape}:"
                " it is an adapter of another base model."
            )
