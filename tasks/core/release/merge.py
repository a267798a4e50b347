"""Folds an adapter into its base model: W + (alpha / r) · B · A, one tensor in memory at a time.

Reads a Hugging Face folder and a PEFT adapter folder; writes the same folder with the base's own
shards, in which only the adapted tensors differ. Merging keeps every tensor's type and place, so a
shard's header is the base's.
"""

import json
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from tasks.core.errors import WorkError
from tasks.core.records.artifacts import Progress
from tasks.core.release.weights import Header, read_array, read_bytes, read_header, to_bytes

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
    """Writes the merged model to `out` in the base's dtype; without an adapter it is a copy of the
    base.

    The sum is made in float32 and rounded once. Raises WorkError if the adapter is not one of this
    base.
    """
    shards = [read_header(file) for file in sorted(base.glob("*.safetensors"))]
    if not shards:
        raise WorkError(f"{base} holds no *.safetensors: only models in that format can be merged.")
    lora = _open_adapter(adapter) if adapter else None
    if lora:
        _check_belongs(lora, shards, base)
    for file in sorted(base.iterdir()):
        if file.is_file() and any(fnmatchcase(file.name, pattern) for pattern in _COPIED):
            shutil.copyfile(file, out / file.name)
    total, done = sum(shard.path.stat().st_size for shard in shards), 0
    for shard in shards:
        for size in _merge_shard(shard, out / shard.path.name, lora):
            done += size
            progress(done / total, f"{done / 1e6:.0f} / {total / 1e6:.0f} MB merged")
    return {
        "adapted_tensors": len(lora.pairs) if lora else 0,
        "shards": len(shards),
        "bytes": total,
    }


def _merge_shard(shard: Header, target: Path, lora: _Adapter | None) -> Iterator[int]:
    """Writes one shard and yields the bytes of each tensor as it is done."""
    with target.open("wb") as writer:
        writer.write(shard.raw)
        for name, entry in shard.entries.items():
            if lora and name in lora.pairs:
                pair = lora.pairs[name]
                update = read_array(lora.tensors, pair.b) @ read_array(lora.tensors, pair.a)
                writer.write(to_bytes(read_array(shard, name) + update * pair.scale, entry.dtype))
            else:
                writer.write(read_bytes(shard, name))
            yield entry.end - entry.begin


def _open_adapter(folder: Path) -> _Adapter:
    """Refuses what is not plain LoRA on weights."""
    tensors = read_header(folder / "adapter_model.safetensors")
    try:
        config = json.loads((folder / "adapter_config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise WorkError(f"{folder / 'adapter_config.json'} cannot be read: {error}.") from None
    pairs, rest = {}, set(tensors.entries)
    for a in [name for name in sorted(tensors.entries) if name.endswith(".lora_A.weight")]:
        module = a.removesuffix(".lora_A.weight")
        layer, b = module.removeprefix("base_model.model."), f"{module}.lora_B.weight"
        if b in rest:
            pairs[f"{layer}.weight"] = _Pair(a, b, _scale(config, layer))
            rest -= {a, b}
    if rest or not pairs or config.get("fan_in_fan_out"):
        what = (
            f"has {min(rest)}"
            if rest
            else "has no LoRA matrices"
            if not pairs
            else "is transposed (fan_in_fan_out)"
        )
        raise WorkError(
            f"The adapter {folder} {what}. Only plain LoRA on linear layers merges: no bias, DoRA or others."
        )
    return _Adapter(folder, tensors, pairs)


def _scale(config: dict[str, Any], layer: str) -> float:
    """alpha / r, or alpha / √r for rank-stabilized LoRA, with PEFT's patterns for single layers."""
    rank = _patterned(config.get("rank_pattern"), layer, config["r"])
    alpha = _patterned(config.get("alpha_pattern"), layer, config["lora_alpha"])
    return alpha / (rank**0.5 if config.get("use_rslora") else rank)


def _patterned(patterns: dict[str, float] | None, layer: str, default: float) -> float:
    """A pattern names the end of a layer's path, as PEFT matches it."""
    found = (
        value
        for pattern, value in (patterns or {}).items()
        if re.match(rf"(.*\.)?({pattern})$", layer)
    )
    return next(found, default)


def _check_belongs(lora: _Adapter, shards: list[Header], base: Path) -> None:
    """Before anything is written: every adapted layer is in the base, in the shape its matrices
    make.
    """
    weights = {name: entry for shard in shards for name, entry in shard.entries.items()}
    missing = sorted(lora.pairs.keys() - weights.keys())
    if missing:
        raise WorkError(
            f"{len(missing)} of the {len(lora.pairs)} layers that {lora.folder} adapts are not in {base}, the first is"
            f" {missing[0]}: it is an adapter of another base model, or adapts an output layer tied to the embedding."
        )
    for name, pair in lora.pairs.items():
        a, b = lora.tensors.entries[pair.a].shape, lora.tensors.entries[pair.b].shape
        if (b[0], a[1]) != weights[name].shape or a[0] != b[1]:
            raise WorkError(
                f"{lora.folder} adapts {name} with matrices {b} and {a}; in {base} it is {weights[name].shape}:"
                " it is an adapter of another base model."
            )
