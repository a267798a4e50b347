"""A stage's rows as text, read one after the other: a file of any size takes the same memory.

Reads rows.parquet or rows.jsonl (`messages`) for SFT, pairs.jsonl (`prompt`, `chosen`, `rejected`)
for DPO.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow.parquet as parquet
from pyarrow import ArrowInvalid

from tasks.core.errors import WorkError
from tasks.core.files.json_files import LineError, read_lines

_COLUMNS = {"sft": ("messages",), "dpo": ("prompt", "chosen", "rejected")}
_ROWS_AT_ONCE = 1_000


@dataclass(frozen=True)
class RowFile:
    """The file of a stage's rows, and the method (sft or dpo) that says what they hold."""

    path: Path
    method: str

    def read(self) -> Iterator[dict[str, Any]]:
        """Yields the rows in the file's order.

        Raises WorkError naming the line that is not JSON, or the row that lacks what it must have.
        """
        number = 0
        for number, row in enumerate(self._values(), 1):
            self._check(row, number)
            yield row
        if not number:
            raise WorkError(f"{self.path} has no rows. Make the file again.")

    def count(self) -> int:
        """Returns how many rows there are, whether they can be used or not."""
        if self._is_parquet:
            with self._opened() as file:
                return file.metadata.num_rows
        with self.path.open("rb") as lines:
            return sum(1 for line in lines if line.strip())

    def pick(self, numbers: Iterable[int]) -> dict[int, dict[str, Any]]:
        """Returns the rows of these numbers, counted from 0, by their numbers."""
        wanted = set(numbers)
        return {number: row for number, row in enumerate(self.read()) if number in wanted}

    @property
    def _is_parquet(self) -> bool:
        return self.path.suffix == ".parquet"

    def _check(self, row: Any, number: int) -> None:
        for name in _COLUMNS[self.method]:
            if not isinstance(row, dict) or not row.get(name):
                raise WorkError(f"{self.path}, row {number} has no {name}. Make the file again.")

    def _values(self) -> Iterator[Any]:
        if self._is_parquet:
            yield from self._parquet_rows()
            return
        try:
            yield from read_lines(self.path)
        except LineError as error:
            raise WorkError(f"{error} Make the file again.") from error

    def _parquet_rows(self) -> Iterator[dict[str, Any]]:
        with self._opened() as file:
            try:
                for batch in file.iter_batches(_ROWS_AT_ONCE):
                    yield from batch.to_pylist()
            except (OSError, ArrowInvalid) as error:
                raise self._unreadable(error) from error

    def _opened(self) -> parquet.ParquetFile:
        try:
            return parquet.ParquetFile(self.path)
        except (OSError, ArrowInvalid) as error:
            raise self._unreadable(error) from error

    def _unreadable(self, error: Exception) -> WorkError:
        return WorkError(f"{self.path} cannot be read: {error}. Make the file again.")
