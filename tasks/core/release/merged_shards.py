"""Writes the files with a merged model's weights: some tensors at once, a few rows of each."""

import ctypes
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from tasks.core.records.artifacts import Progress
from tasks.core.records.training_base import TrainingBase
from tasks.core.release.adapter import Adapter
from tasks.core.release.base_weights import TYPE_NAMES
from tasks.core.release.fold import Folding, Write, copy, fold, load_delta
from tasks.core.release.merge_plan import MergePlan, Piece, Shard
from tasks.core.release.training_values import Values, stored, values_of
from tasks.core.release.weights import DTYPES, ITEM_BYTES

_TRIM_THRESHOLD = -1  # of glibc's malloc.h
_MMAP_THRESHOLD = -3
_THREADS = min(8, os.cpu_count() or 1)  # each has a tensor, some rows of which are in memory


@dataclass(frozen=True)
class Source:
    """What is folded into the base, and what the base was when that was trained."""

    adapter: Adapter | None
    trained: TrainingBase | None


def write_shards(plan: MergePlan, source: Source, out: Path, progress: Progress) -> None:
    """Writes every file of a merged model's weights into a folder.

    Raises WorkError if the base's values are not those that training saw.
    """
    _keep_freed_memory()
    done = 0
    for shard in plan.shards:
        for size in _write_shard(shard, source, out / shard.header.path.name):
            done += size
            progress(done / plan.size, f"{done / 1e6:.0f} / {plan.size / 1e6:.0f} MB merged")


def _keep_freed_memory() -> None:
    """Makes glibc keep blocks of up to 32 MB that are freed; other C libraries stay as they are.

    It would give each one back to the system, and take fresh pages for the same rows' next values:
    in a virtual machine that took two thirds of a merge's time.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if os.name == "posix" else None
    if mallopt:
        mallopt(_TRIM_THRESHOLD, 1 << 30)
        mallopt(_MMAP_THRESHOLD, 1 << 25)


def _write_shard(shard: Shard, source: Source, target: Path) -> Iterator[int]:
    """Writes one file, and yields the size of each tensor in bytes when it is written."""
    with target.open("wb", buffering=0) as file:
        file.write(shard.header.raw)
        file.truncate(shard.header.size)

        def write(piece: Piece) -> int:
            entry = shard.header.entries[piece.name]
            begin = len(shard.header.raw) + entry.begin
            size = entry.end - entry.begin
            _write_piece(piece, size, source, partial(_write_at, file.fileno(), begin))
            return size

        # NumPy, SHA-256 and the system leave Python's lock to other threads.
        with ThreadPoolExecutor(_THREADS) as pool:
            yield from pool.map(write, shard.pieces)


def _write_at(file: int, begin: int, position: int, data: bytes | memoryview) -> None:
    """Writes bytes at a position counted from `begin`; threads may do so at once."""
    position += begin
    unwritten = memoryview(data)
    while unwritten:
        count = os.pwrite(file, unwritten, position)
        position += count
        unwritten = unwritten[count:]


def _write_piece(piece: Piece, size: int, source: Source, write: Write) -> None:
    if size == 0:
        return
    values = _values(piece, source)
    cast = _cast(piece, values, source.trained)
    delta = load_delta(piece.update, source.adapter)
    if cast is None and delta is None and values.dtype == piece.dtype:
        copy(values, size, write)
        return
    fold(values, Folding(piece.name, piece.dtype, piece.shape, cast, delta), write)


def _values(piece: Piece, source: Source) -> Values:
    """What a tensor is before its update, as training held it."""
    if piece.value:
        assert source.adapter, "a value is the adapter's"
        return stored(source.adapter.tensors, piece.value)
    return values_of(piece.weight, source.trained)


def _cast(piece: Piece, values: Values, trained: TrainingBase | None) -> str | None:
    """The type that training rounded a weight to, if it can hold less than the weight's own."""
    if trained is None or piece.value or values.dtype not in DTYPES:
        return None
    compute = TYPE_NAMES[trained.compute_type]
    if compute == values.dtype or ITEM_BYTES[compute] > ITEM_BYTES[values.dtype]:
        return None
    return compute
