"""Tables as the world hands them out: parquet, CSV and its kin, packed by gzip or not.

Opens one file and streams its rows with kospilot's column names, so that a small file that unpacks
to gigabytes does not fill the memory; the values stay as they are in the file.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as parquet

from tasks.core.errors import RequestError
from tasks.core.market.foreign_files import refuse_other_kinds
from tasks.core.market.headers import MEASURED, Header, check_needed, known_headers
from tasks.core.market.text_tables import find_layout, read_text

MOST_ROWS = 100_000_000
"""More than four times all days of all stocks since KRX opened."""

_PARQUET = (".parquet", ".parq", ".pq")
_TEXT = (".csv", ".tsv", ".txt")
_BATCH = 1 << 17  # rows
_UNREADABLE = (pa.ArrowException, OSError, UnicodeError)


@dataclass(frozen=True)
class SourceTable:
    """A file's columns, and its rows to be read once."""

    file: Path
    headers: list[str]  # all of them, as in the file
    columns: dict[str, Header]  # ours
    above: list[str]  # lines of a text above its header
    schema: pa.Schema  # ours, and `row`: the number of the row, from 1
    rows: Callable[[], Iterator[pa.RecordBatch]]

    def unused(self) -> list[str]:
        """Returns the headers that are of no use to us."""
        used = {header.position for header in self.columns.values()}
        named = enumerate(self.headers)
        return [name for position, name in named if name and position not in used]

    def units(self) -> dict[str, float]:
        """Returns the unit of each column that may have one."""
        return {name: self.columns.get(name, Header(0, name)).unit for name in MEASURED}


def open_table(file: Path, needed: tuple[str, ...]) -> SourceTable:
    """Opens a table whose rows are read later, in batches.

    Raises RequestError if the file is absent, of another kind, damaged, or lacks a needed column.
    """
    if not file.is_file():
        raise RequestError(
            f"There is no file {file}. Give the path of a parquet, CSV or CSV.gz table."
        )
    try:
        if _is_parquet(file):
            return _open_parquet(file, needed)
        return _open_text(file, needed)
    except _UNREADABLE as error:
        raise unreadable(file, error) from error


def numbered_rows(table: SourceTable) -> Iterator[pa.RecordBatch]:
    """Yields the table's rows as its schema says.

    Raises RequestError if they cannot be read or are more than MOST_ROWS.
    """
    count = 0
    try:
        for batch in table.rows():
            numbers = pa.array(range(count + 1, count + 1 + batch.num_rows), pa.int64())
            yield pa.RecordBatch.from_arrays([*batch.columns, numbers], schema=table.schema)
            count += batch.num_rows
            _refuse_many(table.file, count)
    except _UNREADABLE as error:
        raise unreadable(table.file, error) from error


def unreadable(file: Path, error: Exception) -> RequestError:
    """Returns the refusal of a file whose content is damaged."""
    reason = str(error).splitlines()[0]
    return RequestError(f"{file} cannot be read ({reason}). It is damaged or another kind of file.")


def _is_parquet(file: Path) -> bool:
    """Whether a table is parquet rather than text. Raises RequestError if it is neither."""
    name = file.name.lower().removesuffix(".gz")
    if not name.endswith((*_PARQUET, *_TEXT)):
        raise RequestError(
            f"{file} is neither .parquet, .csv nor .csv.gz. Convert it to one of these."
        )
    refuse_other_kinds(file)
    with file.open("rb") as stream:
        return stream.read(4) == b"PAR1" or name.endswith(_PARQUET)


def _open_text(file: Path, needed: tuple[str, ...]) -> SourceTable:
    layout = find_layout(file)
    columns = known_headers(file, layout.headers)
    check_needed(file, layout.headers, columns, needed)
    positions = [header.position for header in columns.values()]
    fields = [(name, pa.string()) for name in columns]
    return SourceTable(
        file=file,
        headers=layout.headers,
        columns=columns,
        above=layout.above,
        schema=pa.schema([*fields, ("row", pa.int64())]),
        rows=lambda: read_text(file, layout, positions),
    )


def _open_parquet(file: Path, needed: tuple[str, ...]) -> SourceTable:
    schema = parquet.read_schema(file)
    columns = known_headers(file, schema.names)
    check_needed(file, schema.names, columns, needed)
    names = [header.name for header in columns.values()]
    _refuse_types(file, schema, names)
    # Repeated text stays a dictionary: a few pages can hold gigabytes of it.
    texts = [name for name in names if _is_text(schema.field(name).type)]
    opened = parquet.ParquetFile(file, read_dictionary=texts)
    _refuse_many(file, opened.metadata.num_rows)
    read = opened.schema_arrow
    kinds = [_kind_read(read.field(name).type) for name in names]
    fields = list(zip(columns, kinds, strict=True))

    def rows() -> Iterator[pa.RecordBatch]:
        for batch in opened.iter_batches(_BATCH, columns=names):
            yield batch.select(names).cast(pa.schema(zip(names, kinds, strict=True)))

    return SourceTable(
        file=file,
        headers=schema.names,
        columns=columns,
        above=[],
        schema=pa.schema([*fields, ("row", pa.int64())]),
        rows=rows,
    )


def _kind_read(kind: pa.DataType) -> pa.DataType:
    """Returns the type in which a column is read: bytes are text that nobody called so."""
    if pa.types.is_binary(kind) or pa.types.is_large_binary(kind):
        return pa.string()
    return kind


def _is_text(kind: pa.DataType) -> bool:
    return pa.types.is_string(kind) or pa.types.is_large_string(kind)


def _refuse_types(file: Path, schema: pa.Schema, names: list[str]) -> None:
    """Raises RequestError if a column's values cannot be days, codes or numbers."""
    for name in names:
        kind = schema.field(name).type
        if pa.types.is_float16(kind):
            raise RequestError(
                f"{file}: {name} holds half floats, which end at 65504 and round prices."
                " Write it as double."
            )
        if pa.types.is_nested(kind):
            raise RequestError(f"{file}: {name} holds {kind}, not one value a row. Unfold it.")


def _refuse_many(file: Path, rows: int) -> None:
    if rows > MOST_ROWS:
        raise RequestError(
            f"{file} holds more than {MOST_ROWS:,} rows, which KRX never had. It is another kind of"
            " table."
        )
