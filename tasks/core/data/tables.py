"""Rows of a local data file in bounded memory: parquet, JSON in its shapes, or CSV with a header.

Every row of the file comes out, in its order, as a dict or as the reason why it is none, so that
counts add up.
"""

import csv
import itertools
import json
from collections import Counter
from collections.abc import Callable, Collection, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from tasks.core.data.json_rows import LONGEST_ROW, lines_of, read_json_values
from tasks.core.errors import RequestError
from tasks.core.files.foreign import refuse_pointer

FORMATS = (".parquet", ".jsonl", ".json", ".csv")
"""Endings of the files that can be read, the preferred one first."""

_BATCH_ROWS = 1_000
_BUFFER_BYTES = 1 << 20  # of a parquet column, so that a row group is never held whole
_PEEK_ROWS = 100  # rows of a JSON file whose keys are its columns
_UTF16_MARKS = (b"\xff\xfe", b"\xfe\xff")

Rows = Iterator[dict[str, Any] | str]


def read_rows(file: Path, columns: Collection[str] | None = None) -> Rows:
    """The file's rows as dicts of the named columns (None: all), or a reason in place of a row that
    has no dict.

    Raises RequestError with the file, and the line if there is one, for what is not the format its
    name says.
    """
    read = _reader_for(file)
    _refuse_without_text(file)
    try:
        yield from read(file, columns)
    except UnicodeDecodeError as error:
        raise _not_utf8(file, error) from error


def read_columns(file: Path) -> list[str]:
    """The file's column names; of a JSON file, the keys of its first rows."""
    _refuse_without_text(file)
    if file.suffix.lower() == ".parquet":
        return _open_parquet(file).schema_arrow.names
    if file.suffix.lower() == ".csv":
        return _csv_header(file)
    names: dict[str, None] = {}
    for row in itertools.islice(read_rows(file), _PEEK_ROWS):
        if isinstance(row, dict):
            names.update(dict.fromkeys(row))
    return list(names)


def table_files(folder: Path, name: str) -> list[Path]:
    """The files NAME.EXT, or NAME.00000.EXT and on, in their order."""
    return sorted(file for file in folder.glob(f"{name}.*") if file.suffix in FORMATS)


def _reader_for(file: Path) -> Callable[[Path, Collection[str] | None], Rows]:
    readers = {
        ".parquet": _read_parquet,
        ".jsonl": _read_json,
        ".json": _read_json,
        ".csv": _read_csv,
    }
    ending = file.suffix.lower()
    if ending not in readers:
        raise RequestError(
            f"{file} is none of {', '.join(FORMATS)}: convert it, or give it its true ending."
        )
    return readers[ending]


def _refuse_without_text(file: Path) -> None:
    """Refuses what holds no text at all, before a reader says something less clear about it."""
    if not file.is_file():
        fault = "a folder" if file.is_dir() else "not there"
        raise RequestError(f"{file} is {fault}: name a file.")
    refuse_pointer(file)
    with file.open("rb") as start:
        head = start.read(4)
    if not head:
        raise RequestError(
            f"{file} is empty (0 bytes): write or fetch it again, or name another file."
        )
    is_text = file.suffix.lower() != ".parquet"
    if is_text and (head.startswith(_UTF16_MARKS) or b"\0" in head):
        raise RequestError(
            f"{file} is not UTF-8 but looks like UTF-16, or was never written out: save it as"
            " UTF-8."
        )


def _read_parquet(file: Path, columns: Collection[str] | None) -> Rows:
    with _open_parquet(file) as parquet:
        names = parquet.schema_arrow.names
        if columns is not None:
            names = [name for name in names if name in columns]
        try:
            for batch in parquet.iter_batches(_BATCH_ROWS, columns=names, use_threads=False):
                yield from _as_text(batch).to_pylist()
        except (pa.ArrowException, OSError) as error:
            raise _broken_parquet(file, error) from error


def _as_text(batch: pa.RecordBatch) -> pa.RecordBatch:
    """The batch with columns of bytes as text, as far as they are UTF-8: some writers keep no
    string type.
    """
    for index, field in enumerate(batch.schema):
        if pa.types.is_binary(field.type) or pa.types.is_large_binary(field.type):
            try:
                texts = batch.column(index).cast(pa.string())
            except pa.ArrowInvalid:
                continue
            batch = batch.set_column(index, field.name, texts)
    return batch


def _open_parquet(file: Path) -> pq.ParquetFile:
    try:
        return pq.ParquetFile(file, buffer_size=_BUFFER_BYTES, pre_buffer=False)
    except (pa.ArrowException, OSError) as error:
        raise _broken_parquet(file, error) from error


def _broken_parquet(file: Path, error: Exception) -> RequestError:
    return RequestError(f"{file} is not a whole parquet file ({error}): fetch or write it again.")


def _read_json(file: Path, columns: Collection[str] | None) -> Rows:
    for value in read_json_values(file):
        yield _pick(value, columns)


def _read_csv(file: Path, columns: Collection[str] | None) -> Rows:
    """The rows of a CSV as RFC 4180 has it.

    An open quote is refused: read leniently, it would swallow the rest of the file.
    """
    csv.field_size_limit(LONGEST_ROW)
    with file.open(encoding="utf-8-sig", newline="") as text:
        reader = csv.reader(lines_of(text, file), strict=True)
        try:
            header = next(reader, [])
            _refuse_twins(file, header, columns)
            for fields in reader:
                if not fields:
                    continue  # an empty line is no row
                if len(fields) != len(header):
                    yield "wrong number of fields"
                    continue
                yield _pick(dict(zip(header, fields, strict=True)), columns)
        except csv.Error as error:
            raise RequestError(
                f"{file}, line {reader.line_num}, is not CSV ({error}): quote fields that hold"
                " commas, quotes or line breaks, and double the quotes inside."
            ) from error


def _refuse_twins(file: Path, header: list[str], columns: Collection[str] | None) -> None:
    """Of two columns of one name, either could be meant. Those without a name are nobody's."""
    read = [name for name in header if name and (columns is None or name in columns)]
    twins = [name for name, count in Counter(read).items() if count > 1]
    if twins:
        raise RequestError(
            f"{file} has the column {twins[0]!r} twice: rename or remove one, so that it is clear"
            " which is meant."
        )


def _csv_header(file: Path) -> list[str]:
    try:
        with file.open(encoding="utf-8-sig", newline="") as text:
            return next(csv.reader(lines_of(text, file)), [])
    except csv.Error as error:
        raise RequestError(f"{file}, line 1, is not a CSV header ({error}).") from error
    except UnicodeDecodeError as error:
        raise _not_utf8(file, error) from error


def _not_utf8(file: Path, error: UnicodeDecodeError) -> RequestError:
    return RequestError(
        f"{file} is not UTF-8 ({error.reason} at byte {error.start}): save it as UTF-8."
    )


def _pick(row: Any, columns: Collection[str] | None) -> dict[str, Any] | str:
    """The row's values in the named columns, or why there are none.

    A row that was written as the text of its JSON is that JSON.
    """
    if isinstance(row, str) and row.startswith("{"):
        row = _parsed(row)
    if not isinstance(row, dict):
        return "not an object"
    if columns is None:
        return row
    return {name: row[name] for name in columns if name in row}


def _parsed(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text
