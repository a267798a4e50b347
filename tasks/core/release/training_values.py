"""The values of a base model's weights as training saw them, bit for bit.

Training casts every tensor to the type that it computes in; QLoRA then holds each linear layer as
NF4. An adapter makes up for what that changed, so it belongs to these values and to no others:
folded into the 16-bit weights it answers worse than it did in training.
"""

import hashlib
import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tasks.core.errors import WorkError
from tasks.core.files.json_files import read_json
from tasks.core.records.training_base import TrainingBase, read_training_base
from tasks.core.release.base_weights import TYPE_NAMES, Weight
from tasks.core.release.weights import ITEM_BYTES, Header, read_bytes

_HASHED = 1 << 19  # bytes at a time


@dataclass(frozen=True)
class Values:
    """A tensor's values: bytes of `dtype` that `read` gives from one position to another."""

    dtype: str
    read: Callable[[int, int], memoryview]


def base_as_trained(adapter: Path, otherwise: TrainingBase | None = None) -> TrainingBase | None:
    """Returns what an adapter was trained on: what its folder says, else `otherwise`.

    None stands for the base's own values. Adapters that kospilot made before it wrote base.json
    were all trained on NF4. Raises WorkError if a file cannot be understood.
    """
    base = read_training_base(adapter)
    if base is None and (adapter / "training_config.json").is_file():
        base = TrainingBase("nf4", _compute_type_of_old(adapter))
    base = base or otherwise
    if base and base.compute_type not in TYPE_NAMES:
        raise WorkError(
            f"{adapter} says that training computed in {base.compute_type!r}; known are"
            f" {', '.join(TYPE_NAMES)}."
        )
    return base


def _compute_type_of_old(adapter: Path) -> str:
    try:
        return str(read_json(adapter / "checks.json")["base_computes_in"]["value"])
    except (OSError, ValueError, LookupError, TypeError):
        return "bfloat16"


def values_of(weight: Weight, trained: TrainingBase | None) -> Values:
    """Returns a weight's values as training quantized them, before any cast to its compute type.

    trained: None for the base's own values. Raises WorkError if training's digest is of others.
    """
    if weight.packed:
        return _unpacked(weight, trained)
    if trained and is_quantized_by(trained, weight):
        return _quantized(weight, trained)
    return stored(weight.shard, weight.name)


def stored(file: Header, name: str) -> Values:
    """Returns the values of a tensor as they stand in a file."""
    return Values(file.entries[name].dtype, lambda begin, end: read_bytes(file, name, begin, end))


def is_quantized_by(trained: TrainingBase, weight: Weight) -> bool:
    """Whether training held a weight as NF4: by base.json, else as transformers chooses them."""
    if trained.quantization != "nf4":
        return False
    if trained.tensors:
        return weight.name in trained.tensors
    layer = weight.name.removesuffix(".weight")
    if layer == weight.name or len(weight.shape) != 2:
        return False
    return not layer.endswith("lm_head") and "embed" not in layer


def _quantized(weight: Weight, trained: TrainingBase) -> Values:
    from tasks.core.release import nf4  # noqa: PLC0415  PyTorch takes seconds

    dtype = TYPE_NAMES[trained.compute_type]
    size = math.prod(weight.shape) * ITEM_BYTES[dtype]
    digest = trained.tensors.get(weight.name)
    for read in nf4.quantized(weight, trained):
        if digest is None or _digest(read, size) == digest:
            return Values(dtype, read)
    raise WorkError(
        f"{weight.name} does not have the values in NF4 that the adapter was trained on: either"
        f" {weight.shard.path.parent} is not the base of that training, or bitsandbytes rounds"
        " otherwise here. Take the base of the training, or merge on the machine that trained."
    )


def _digest(read: Callable[[int, int], memoryview], size: int) -> str:
    digest = hashlib.sha256()
    for begin in range(0, size, _HASHED):
        digest.update(read(begin, min(begin + _HASHED, size)))
    return digest.hexdigest()


def _unpacked(weight: Weight, trained: TrainingBase | None) -> Values:
    from tasks.core.release import nf4  # noqa: PLC0415  PyTorch takes seconds

    values = nf4.unpacked(weight)
    digest = trained.tensors.get(weight.name) if trained else None
    if trained and digest:
        seen = nf4.cast(values, weight.dtype, trained.compute_type)
        if hashlib.sha256(seen).hexdigest() != digest:
            raise WorkError(
                f"{weight.name} does not have the values that the adapter was trained on:"
                f" {weight.shard.path.parent} is not the base of that training. Take that one."
            )
    return _held(values, weight.dtype)


def _held(values: memoryview, dtype: str) -> Values:
    return Values(dtype, lambda begin, end: values[begin:end])
