"""What a merged model consists of: each of its tensors, in its file and order, and its origin.

What is wrong with an adapter and its base is found here, before anything is written.
"""

import math
from collections.abc import Iterator
from copy import deepcopy
from dataclasses import dataclass, replace
from typing import Any

from tasks.core.errors import WorkError
from tasks.core.release.adapter import Adapter, Change, Update
from tasks.core.release.base_weights import Base, Weight
from tasks.core.release.weights import DTYPES, Header, build_header, read_bytes

_HEAD = "lm_head.weight"
_EMBEDDINGS = ("embed_tokens.weight", "wte.weight")


@dataclass(frozen=True)
class Piece:
    """One tensor of the merged model: a weight of the base or a value of the adapter, updated."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    weight: Weight
    value: str | None = None  # the adapter's tensor that takes the weight's place
    update: Update | None = None


@dataclass(frozen=True)
class Shard:
    """One file of the merged model."""

    header: Header
    pieces: tuple[Piece, ...]


@dataclass(frozen=True)
class MergePlan:
    """The merged model's files, and its configuration."""

    shards: tuple[Shard, ...]
    config: dict[str, Any]
    resized: bool  # whether the adapter brought an embedding for other tokens

    @property
    def size(self) -> int:
        """The bytes of all files with weights."""
        return sum(shard.header.size for shard in self.shards)

    @property
    def adapted(self) -> int:
        """How many tensors the adapter changes."""
        pieces = [piece for shard in self.shards for piece in shard.pieces]
        return sum(1 for piece in pieces if piece.update or piece.value)


def plan_merge(base: Base, adapter: Adapter | None) -> MergePlan:
    """Returns what the merged model will consist of.

    Raises WorkError if the adapter is not one of this base.
    """
    config = deepcopy(base.config)
    config.pop("quantization_config", None)
    pieces = {name: _piece(name, weight) for name, weight in base.weights.items()}
    resized = False
    if adapter:
        changes = dict(adapter.changes)
        _settle_head(pieces, changes, config, adapter)
        _check_layers(pieces, changes, adapter, base)
        for name, change in changes.items():
            pieces[name] = _changed(pieces[name], change, adapter)
            _check_shape(pieces[name], adapter, base)
        resized = _take_size(pieces, config)
        _take_float16(pieces, config)
    shards = tuple(_shard(shard, pieces) for shard in base.shards)
    return MergePlan(shards, config, resized)


def _piece(name: str, weight: Weight) -> Piece:
    return Piece(name, weight.dtype, weight.shape, weight)


def _changed(piece: Piece, change: Change, adapter: Adapter) -> Piece:
    """A tensor with its change, in the type of the base's and the shape of what it starts from."""
    if piece.dtype not in DTYPES:
        raise WorkError(
            f"{piece.name} in {piece.weight.shard.path} is {piece.dtype}; only"
            f" {', '.join(DTYPES)} weights merge. Take the model's 16-bit version."
        )
    value = change.value or piece.value
    shape = adapter.tensors.entries[value].shape if value else piece.shape
    return replace(piece, shape=shape, value=value, update=change.update)


def _settle_head(
    pieces: dict[str, Piece], changes: dict[str, Change], config: dict[str, Any], adapter: Adapter
) -> None:
    """Gives an output layer that was tied to the embedding a tensor of its own if the adapter made
    them differ.

    PEFT trains them apart: an adapter of the one does not act on the other.
    """
    embedding = _find_embedding(pieces)
    tied = _language_part(config).get("tie_word_embeddings", _HEAD not in pieces)
    if not tied or embedding is None or not {embedding, _HEAD} & changes.keys():
        return
    pieces.pop(_HEAD, None)
    if _stay_tied(pieces[embedding], changes, adapter):
        changes.pop(_HEAD, None)
        return
    of_embedding = changes.get(embedding, Change())
    # an embedding that is adapted was saved as it was before, which is what the head had of it
    value = of_embedding.value if of_embedding.beneath else None
    pieces[_HEAD] = replace(pieces[embedding], name=_HEAD, value=value)
    changes.setdefault(_HEAD, Change(value))
    config["tie_word_embeddings"] = False
    _language_part(config)["tie_word_embeddings"] = False


def _language_part(config: dict[str, Any]) -> dict[str, Any]:
    """Where a configuration describes the language model; one that also sees has a part for it."""
    part: dict[str, Any] = config.get("text_config") or config
    return part


def _find_embedding(pieces: dict[str, Piece]) -> str | None:
    return next((name for name in pieces if name.endswith(_EMBEDDINGS)), None)


def _stay_tied(embedding: Piece, changes: dict[str, Change], adapter: Adapter) -> bool:
    """Whether embedding and output layer are still one: replaced by one tensor, and no more."""
    of_embedding = changes.get(embedding.name, Change())
    if of_embedding.value is None or of_embedding.update:
        return False
    of_head = changes.get(_HEAD)
    entries = adapter.tensors.entries
    if of_head is None:
        return entries[of_embedding.value].shape != embedding.shape
    if of_head.value is None or of_head.update:
        return False
    values = (of_embedding.value, of_head.value)
    first, second = (read_bytes(adapter.tensors, name) for name in values)
    return first == second


def _check_layers(
    pieces: dict[str, Piece], changes: dict[str, Change], adapter: Adapter, base: Base
) -> None:
    missing = sorted(changes.keys() - pieces.keys())
    if missing:
        raise WorkError(
            f"{len(missing)} of the {len(changes)} layers that {adapter.folder} adapts are not in"
            f" {base.folder}, the first is {missing[0]}: it is an adapter of another base model."
        )


def _check_shape(piece: Piece, adapter: Adapter, base: Base) -> None:
    """Refuses a change that does not have the shape of its tensor, which only a vocabulary may
    leave.
    """
    may_grow = piece.name == _HEAD or piece.name.endswith(_EMBEDDINGS)
    first = 1 if may_grow else 0
    fits = piece.shape[first:] == piece.weight.shape[first:]
    if fits and (piece.update is None or _shape_of(piece.update, adapter) == piece.shape):
        return
    parts = ", ".join(_describe(name, adapter) for name in _parts(piece))
    raise WorkError(
        f"{adapter.folder} adapts {piece.name} with {parts}; in {base.folder} it is"
        f" {piece.weight.shape}: it is an adapter of another base model."
    )


def _shape_of(update: Update, adapter: Adapter) -> tuple[int, ...]:
    """The shape of what an update adds; none if its parts do not fit each other."""
    entries = adapter.tensors.entries
    left = entries[update.left].shape
    if update.right is None:
        return left
    right = entries[update.right].shape
    if update.transposed:
        return (left[1], right[0])
    if update.magnitude and math.prod(entries[update.magnitude].shape) != left[0]:
        return ()
    return (left[0], right[1])


def _parts(piece: Piece) -> Iterator[str]:
    """The adapter's tensors that make a piece."""
    if piece.value:
        yield piece.value
    if piece.update:
        names = (piece.update.left, piece.update.right, piece.update.magnitude)
        yield from (name for name in names if name)


def _describe(name: str, adapter: Adapter) -> str:
    kind = name.rpartition("lora_")[2].removesuffix(".weight")
    return f"{kind} {adapter.tensors.entries[name].shape}"


def _take_size(pieces: dict[str, Piece], config: dict[str, Any]) -> bool:
    """Writes the embedding's rows into the configuration, and says whether they changed."""
    name = _find_embedding(pieces)
    if name is None or pieces[name].shape == pieces[name].weight.shape:
        return False
    rows = pieces[name].shape[0]
    if _HEAD in pieces and pieces[_HEAD].shape[0] != rows:
        raise WorkError(
            f"The adapter's embedding has {rows} rows, the output layer {pieces[_HEAD].shape[0]}:"
            " PEFT did not save the one that was trained. Train with modules_to_save=[lm_head]."
        )
    _language_part(config)["vocab_size"] = rows
    return True


def _take_float16(pieces: dict[str, Piece], config: dict[str, Any]) -> None:
    """Makes bfloat16 weights F16, which rounds each sum eight times as finely.

    Updates are small: rounded to bfloat16, the sums cost a barely trained adapter 0.07 nats a token
    on right answers, and in F16 0.0001. The GGUF is F16 in any case.
    """
    for name, piece in pieces.items():
        if piece.dtype == "BF16":
            pieces[name] = replace(piece, dtype="F16")
    for part in (config, _language_part(config)):
        for key in ("dtype", "torch_dtype"):
            if part.get(key) == "bfloat16":
                part[key] = "float16"


def _shard(shard: Header, pieces: dict[str, Piece]) -> Shard:
    """One file: the base's header if the tensors of it keep their places, else a new one."""
    own = tuple(piece for piece in pieces.values() if piece.weight.shard is shard)
    layout = {piece.name: (piece.dtype, piece.shape) for piece in own}
    before = {name: (entry.dtype, entry.shape) for name, entry in shard.entries.items()}
    if layout == before:
        return Shard(shard, own)
    return Shard(build_header(shard.path, layout, shard.metadata), own)
