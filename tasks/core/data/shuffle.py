"""The rows that were taken, out of the scratch file into their final order, in bounded memory.

Reads the scratch file; writes rows.parquet. The rows are first dealt to files by their place in the
order: each file holds a run of the result that fits in memory, and is sorted there. (DuckDB's ORDER
BY sorts such long rows in two to four times the memory, and fails if it may not have it.)
"""

from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from tasks.core.data.scratch import LZ4, Scratch, read_batches

_GROUP_ROWS = 10_000  # of a row group of rows.parquet
_MOST_FILES = 64  # open at once while rows are dealt out; each holds whole row groups
_RANK = "__rank__"  # the column of a row's place in the order while rows are dealt out
_LEFT_OUT = -1


def write_shuffled(scratch: Scratch, order: np.ndarray, out: Path) -> None:
    """Writes the scratch rows whose numbers are in `order`, in that order, as a parquet file."""
    ranks = np.full(scratch.rows, _LEFT_OUT)
    ranks[order] = np.arange(len(order))
    rows_a_file = _rows_a_file(len(order))
    count = _ceiling(len(order), rows_a_file)
    files = [scratch.file.with_name(f"dealt-{number}") for number in range(count)]
    _deal(scratch, ranks, files, rows_a_file)
    with pq.ParquetWriter(out, scratch.schema, compression="zstd") as writer:
        for file in files:
            _write_sorted(file, writer)
            file.unlink()


def _rows_a_file(rows: int) -> int:
    """How many rows a file gets: whole row groups, one at least, so that no more files are open
    than may be.
    """
    groups = _ceiling(_ceiling(rows, _MOST_FILES), _GROUP_ROWS)
    return max(groups, 1) * _GROUP_ROWS


def _deal(scratch: Scratch, ranks: np.ndarray, files: Sequence[Path], rows_a_file: int) -> None:
    """Writes each row that is taken, with its rank, to the file of its rank."""
    schema = scratch.schema.append(pa.field(_RANK, pa.int64()))
    with ExitStack() as stack:
        writers = []
        for file in files:
            writers.append(stack.enter_context(pa.ipc.new_stream(file, schema, options=LZ4)))
        first = 0
        for batch in read_batches(scratch.file):
            batch_ranks = ranks[first : first + len(batch)]
            first += len(batch)
            ranked = batch.append_column(_RANK, pa.array(batch_ranks))
            numbers = batch_ranks // rows_a_file  # negative for a row that is left out
            for number in np.unique(numbers[numbers >= 0]):
                rows = pa.array(np.flatnonzero(numbers == number))
                writers[number].write_batch(ranked.take(rows))


def _write_sorted(file: Path, writer: pq.ParquetWriter) -> None:
    """Writes the rows of a file by ascending rank, without the rank."""
    table = pa.Table.from_batches(read_batches(file))
    table = table.take(np.argsort(table[_RANK].to_numpy())).drop_columns(_RANK)
    for first in range(0, len(table), _GROUP_ROWS):
        writer.write_table(table.slice(first, _GROUP_ROWS))


def _ceiling(numerator: int, denominator: int) -> int:
    return -(-numerator // denominator)
