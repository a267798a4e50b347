"""Cleaned rows on disk, in the order in which they were read, so that no file is read or cleaned
twice.

Writes and reads one Arrow stream, whose columns are those of rows.parquet.
"""

from array import array
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import pyarrow as pa

from tasks.core.data.chat import Turn

LZ4 = pa.ipc.IpcWriteOptions(compression="lz4")

_BATCH_ROWS = 2_000
_BATCH_CHARS = 8_000_000  # held at once, however long the rows are


def rows_schema(carried: Sequence[str] = ()) -> pa.Schema:
    """The columns of rows.parquet: messages, source, and those that a source carries along."""
    message = pa.struct([("role", pa.string()), ("content", pa.string())])
    columns = [("messages", pa.list_(message)), ("source", pa.string())]
    for name in carried:
        columns.append((name, pa.string()))
    return pa.schema(columns)


def read_batches(file: Path) -> Iterator[pa.RecordBatch]:
    """The batches of an Arrow stream, one at a time."""
    with pa.OSFile(str(file)) as stream, pa.ipc.open_stream(stream) as batches:
        yield from batches


@dataclass(frozen=True, slots=True)
class CleanRow:
    """A row as rows.parquet holds it."""

    source: str
    turns: tuple[Turn, ...]  # the system prompt is the first
    carried: Mapping[str, str | None]

    @property
    def characters(self) -> int:
        """The length of all messages together."""
        return sum([len(turn.text) for turn in self.turns])


class Scratch:
    """The cleaned rows of all sources. A context manager: the file is whole after its end."""

    def __init__(self, file: Path, schema: pa.Schema):
        self.file = file
        self.schema = schema
        self.rows = 0
        self._held: list[CleanRow] = []
        self._held_characters = 0

    def __enter__(self) -> Self:
        self._writer = pa.ipc.new_stream(self.file, self.schema, options=LZ4)
        return self

    def __exit__(self, *_: object) -> None:
        self._flush()
        self._writer.close()

    def add(self, row: CleanRow) -> None:
        """Takes a row, and writes a batch if enough rows or characters are held."""
        self.rows += 1
        self._held.append(row)
        self._held_characters += row.characters
        if len(self._held) == _BATCH_ROWS or self._held_characters > _BATCH_CHARS:
            self._flush()

    def _flush(self) -> None:
        columns = [_messages_of(self._held)]
        columns.append(pa.array([row.source for row in self._held], pa.string()))
        for name in self.schema.names[2:]:
            columns.append(pa.array([row.carried.get(name) for row in self._held], pa.string()))
        self._writer.write_batch(pa.RecordBatch.from_arrays(columns, schema=self.schema))
        self._held.clear()
        self._held_characters = 0


def _messages_of(rows: Sequence[CleanRow]) -> pa.ListArray:
    roles = []
    texts = []
    ends = array("i", [0])
    for row in rows:
        for turn in row.turns:
            roles.append(turn.role)
            texts.append(turn.text)
        ends.append(len(texts))
    fields = [pa.array(roles, pa.string()), pa.array(texts, pa.string())]
    messages = pa.StructArray.from_arrays(fields, names=["role", "content"])
    return pa.ListArray.from_arrays(pa.array(ends, pa.int32()), messages)
