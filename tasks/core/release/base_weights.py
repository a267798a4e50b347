"""A base model's folder as merging sees it: its weights by name, whether plain or in NF4.

A base that bitsandbytes quantized holds each linear weight as bytes of two 4-bit codes, and beside
it, under the weight's name with a suffix, what turns the codes back into values.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tasks.core.errors import WorkError
from tasks.core.files.json_files import read_json
from tasks.core.records.quantized_base import refuse_quantization
from tasks.core.release.weights import Header, find_shards, read_bytes, read_header

STATE = ".quant_state.bitsandbytes__nf4"
"""Suffix of the tensor that holds block size, type and shape of a quantized weight, as JSON."""

_COMPANIONS = (STATE, ".absmax", ".quant_map", ".nested_absmax", ".nested_quant_map")

TYPE_NAMES = {"bfloat16": "BF16", "float16": "F16", "float32": "F32"}
"""PyTorch's name of a type -> that of .safetensors."""


@dataclass(frozen=True)
class Weight:
    """One tensor of the base, in the type and shape that a model computes with."""

    shard: Header
    name: str
    dtype: str
    shape: tuple[int, ...]
    packed: bool = False  # whether the file holds it as NF4


@dataclass(frozen=True)
class Base:
    """A base model's folder."""

    folder: Path
    config: dict[str, Any]
    shards: tuple[Header, ...]
    weights: dict[str, Weight]


def open_base(folder: Path) -> Base:
    """Returns a base model's weights, none of which is read.

    Raises WorkError if a file is missing or cut, and RequestError if the base is quantized in
    another way than bitsandbytes' NF4.
    """
    shards = tuple(read_header(file) for file in find_shards(folder))
    config = _read_config(folder)
    refuse_quantization(str(folder), config.get("quantization_config"))
    weights: dict[str, Weight] = {}
    for shard in shards:
        weights.update(_weights_of(shard))
    return Base(folder, config, shards, weights)


def is_quantized(folder: Path) -> bool:
    """Whether the model in a folder came quantized: its weights are then not what a converter
    takes.
    """
    return bool(_read_config(folder).get("quantization_config"))


def _read_config(folder: Path) -> dict[str, Any]:
    file = folder / "config.json"
    try:
        config = read_json(file)
    except (OSError, ValueError) as error:
        raise WorkError(f"{file} cannot be read: {error}.") from None
    if not isinstance(config, dict):
        raise WorkError(f"{file} is not a model's configuration.")
    return config


def _weights_of(shard: Header) -> dict[str, Weight]:
    """The weights of one file, without what stands beside quantized ones."""
    packed = set()
    for name in shard.entries:
        if name.endswith(STATE):
            packed.add(name.removesuffix(STATE))
    companions: set[str] = set()
    for name in packed:
        companions.update(name + suffix for suffix in _COMPANIONS)
    weights = {}
    for name, entry in shard.entries.items():
        if name in packed:
            weights[name] = _packed_weight(shard, name)
        elif name not in companions:
            weights[name] = Weight(shard, name, entry.dtype, entry.shape)
    return weights


def _packed_weight(shard: Header, name: str) -> Weight:
    try:
        state = json.loads(bytes(read_bytes(shard, name + STATE)))
        return Weight(shard, name, TYPE_NAMES[state["dtype"]], tuple(state["shape"]), packed=True)
    except (ValueError, LookupError, TypeError) as error:
        raise WorkError(
            f"{shard.path} does not say how {name} was quantized ({error!r}): fetch the model"
            " again."
        ) from None
