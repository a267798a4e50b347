"""Training rows as conversations of several sorts: a release's figures come from all of them.

Reads rows.jsonl, whose sorts are kinds in a language, or rows.parquet, whose sorts are sources.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import pyarrow.parquet as parquet

from tasks.core.errors import WorkError
from tasks.core.files.json_files import read_lines

_LOOKED_AT = 5_000
"""Rows from a file's beginning; files are shuffled, so all sorts are among them."""


@dataclass(frozen=True)
class Row:
    """One conversation, and what sort it is of."""

    sort: str
    messages: list[dict[str, str]]


def read_rows(file: Path) -> list[Row]:
    """Returns the rows at the beginning of a file, at most 5,000. Raises WorkError without any."""
    values = _parquet_rows(file) if file.suffix == ".parquet" else read_lines(file)
    rows = [Row(_sort(value), value["messages"]) for value in islice(values, _LOOKED_AT)]
    if not rows:
        raise WorkError(f"{file} has no rows. Make the file again.")
    return rows


def _parquet_rows(file: Path) -> Iterator[dict[str, Any]]:
    with parquet.ParquetFile(file) as opened:
        for batch in opened.iter_batches(1_000):
            yield from batch.to_pylist()


def _sort(row: dict[str, Any]) -> str:
    metadata = row.get("metadata") or {}
    if metadata:
        return f"{metadata.get('kind')} {metadata.get('language')}"
    return str(row.get("source"))
