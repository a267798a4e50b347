"""Rows through the disk: written as they are read, then taken and put into their final order in
bounded memory.

Reads and writes Arrow streams in a scratch folder; writes rows.parquet (messages: list<struct<role,
content>>, source, and the columns that a source carries).
"""

from array import array
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from tasks.core.data.chat import Chat

_BATCH_ROWS = 2_000
_BATCH_CHARS = 8_000_000  # held at once, however long the rows are
_GROUP_ROWS = 10_000  # of rows.parquet
_MOST_FILES = 64  # open at once while rows are dealt out; each holds whole row groups of the result
_RANK = "__rank__"  # the column of a row's place while rows are dealt out
_LZ4 = pa.ipc.IpcWriteOptions(compression="lz4")


def rows_schema(carried: Sequence[str] = ()) -> pa.Schema:
    """The columns of rows.parquet."""
    message = pa.struct([("role", pa.string()), ("content", pa.string())])
    return pa.schema(
        [
            ("messages", pa.list_(message)),
            ("source", pa.string()),
            *((c, pa.string()) for c in carried),
        ]
    )


class Scratch:
    """One source's cleaned rows on disk, in their order. A context manager: whole after its end."""

    def __init__(self, file: Path, schema: pa.Schema, source: str, prompt: str):
        self.file = file
        self._schema, self._source, self._prompt = schema, source, prompt
        self._chats: list[Chat] = []
        self._held = 0  # characters

    def __enter__(self) -> "Scratch":
        self._writer = pa.ipc.new_stream(self.file, self._schema, options=_LZ4)
        return self

    def __exit__(self, *_: object) -> None:
        self._flush()
        self._writer.close()

    def add(self, chat: Chat) -> int:
        """Takes a row, with the source's prompt where it has none; returns its characters, all
        messages.
        """
        chat = chat if chat.system else chat._replace(system=self._prompt)
        length = len(chat.system) + sum([len(text) for _, text in chat.turns])
        self._chats.append(chat)
        self._held += length
        if len(self._chats) == _BATCH_ROWS or self._held > _BATCH_CHARS:
            self._flush()
        return length

    def _flush(self) -> None:
        roles, texts, ends = [], [], array("i", [0])
        for chat in self._chats:
            for role, text in (("system", chat.system), *chat.turns):
                roles.append(role)
                texts.append(text)
            ends.append(len(texts))
        columns = {"source": [self._source] * len(self._chats)}
        for name in self._schema.names[2:]:
            columns[name] = [dict(chat.carried).get(name) for chat in self._chats]
        message = pa.StructArray.from_arrays(
            [pa.array(roles, pa.string()), pa.array(texts, pa.string())], names=["role", "content"]
        )
        messages = pa.ListArray.from_arrays(pa.array(ends, pa.int32()), message)
        arrays = [messages, *(pa.array(values, pa.string()) for values in columns.values())]
        self._writer.write_batch(pa.RecordBatch.from_arrays(arrays, schema=self._schema))
        self._chats.clear()
        self._held = 0


@dataclass(frozen=True)
class Chosen:
    """The rows taken from one source: their numbers in its scratch file, ascending, and their lots
    in the order.
    """

    file: Path
    numbers: np.ndarray
    places: np.ndarray


def write_shuffled(parts: Sequence[Chosen], schema: pa.Schema, scratch: Path, out: Path) -> None:
    """Writes the chosen rows of all parts to the parquet file out, by ascending place."""
    order = np.argsort(np.concatenate([part.places for part in parts]), kind="stable")
    ranks = np.empty_like(order)
    ranks[order] = np.arange(len(order))
    rows = -(-len(order) // _MOST_FILES)
    rows = max(-(-rows // _GROUP_ROWS), 1) * _GROUP_ROWS
    files = [scratch / f"dealt-{number}" for number in range(-(-len(order) // rows))]
    with ExitStack() as open_files:
        ranked = schema.append(pa.field(_RANK, pa.int64()))
        writers = [
            open_files.enter_context(pa.ipc.new_stream(file, ranked, options=_LZ4))
            for file in files
        ]
        start = 0
        for part in parts:
            _deal(part, ranks[start : start + len(part.numbers)], writers, rows)
            start += len(part.numbers)
    with pq.ParquetWriter(out, schema, compression="zstd") as writer:
        for file in files:
            table = pa.Table.from_batches(read_stream(file), ranked)
            table = table.take(np.argsort(table[_RANK].to_numpy())).select(schema.names)
            for first in range(0, len(table), _GROUP_ROWS):
                writer.write_table(table.slice(first, _GROUP_ROWS))
            file.unlink()


def _deal(
    part: Chosen, ranks: np.ndarray, writers: Sequence[pa.ipc.RecordBatchStreamWriter], rows: int
) -> None:
    """Writes each chosen row to the file of its place in the final order."""
    start = 0
    for batch in read_stream(part.file):
        here = slice(*np.searchsorted(part.numbers, [start, start + len(batch)]))
        numbers, rank = part.numbers[here] - start, ranks[here]
        start += len(batch)
        for file in np.unique(rank // rows):
            mine = rank // rows == file
            taken = batch.take(pa.array(numbers[mine])).append_column(_RANK, pa.array(rank[mine]))
            writers[file].write_batch(taken)


def read_stream(file: Path) -> Iterator[pa.RecordBatch]:
    with pa.OSFile(str(file)) as source, pa.ipc.open_stream(source) as batches:
        yield from batches
