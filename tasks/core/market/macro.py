"""macro.parquet: numbers that prices do not hold, brought by the user.

Reads the file at a market folder's root: one row per date, with any of MACRO_MEASURES. Each row has
the date of its own session: a US session of a date ends after the Korean day of that date, so a
Korean day knows vix and us_return_pct of the session before it, and no other.
"""

import math
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as parquet

from tasks.core.errors import RequestError, did_you_mean
from tasks.core.market.database import one_row, sql
from tasks.core.market.folder import MACRO
from tasks.core.market.foreign_files import refuse_other_kinds
from tasks.core.records.market_days import MACRO_MEASURES, MACRO_SCHEMA

MOST_ROWS = 100_000
"""Rows that no macro file has: one for each date since 1956 are a quarter of it."""

_NEEDED = f"It needs date and any of {', '.join(MACRO_MEASURES)}"


def load_macro(connection: duckdb.DuckDBPyConnection, folder: Path) -> None:
    """Fills the connection's table macro, which stays empty if the folder has no macro.parquet.

    Raises RequestError if the file is no parquet or has other columns, if a measure holds no
    numbers, and if a row has no date or another row's.
    """
    file = folder / MACRO
    source = MACRO_SCHEMA.empty_table()
    if file.is_file():
        source = _read_macro(file)
    connection.register("source", source)
    try:
        connection.execute(sql("macro_table.sql"))
    except duckdb.Error as error:
        raise RequestError(
            f"{file}: {str(error).splitlines()[0]}. Write dates as dates or YYYY-MM-DD."
        ) from error
    finally:
        connection.unregister("source")
    _check_dates(connection, file)


def macro_of_days(connection: duckdb.DuckDBPyConnection, days: list[str]) -> pa.Table:
    """Returns what each day knew, as MACRO_SCHEMA, once load_macro has run.

    A day on which no measure is known is left out.
    """
    query = connection.sql(sql("macro_days.sql"), params={"days": days})
    table = query.to_arrow_table().cast(MACRO_SCHEMA)
    has_values = []
    for row in table.to_pylist():
        has_values.append(any(row[measure] is not None for measure in MACRO_MEASURES))
    return table.filter(pa.array(has_values, pa.bool_()))


def _read_macro(file: Path) -> pa.Table:
    """Returns the file's rows.

    Raises RequestError if it is no parquet, has other columns than it may, or holds no numbers.
    """
    refuse_other_kinds(file)
    try:
        rows = parquet.read_metadata(file).num_rows
        if rows > MOST_ROWS:
            raise RequestError(f"{file} holds {rows:,} rows. {_NEEDED}, one row for each date.")
        table = parquet.read_table(file)
    except (pa.ArrowException, OSError) as error:
        reason = str(error).splitlines()[0]
        raise RequestError(
            f"{file} cannot be read as parquet ({reason}). Write it anew, or delete it."
        ) from error
    _check_columns(file, table.column_names)
    for name in table.column_names:
        if name != "date":
            _check_numbers(file, name, table[name])
    return table


def _check_columns(file: Path, names: list[str]) -> None:
    for name in names:
        if name not in ("date", *MACRO_MEASURES):
            raise RequestError(
                f"{file} has a column {name!r}.{did_you_mean(name, MACRO_MEASURES)}"
                f" {_NEEDED}, and no others."
            )
    if "date" not in names or len(names) < 2 or len(set(names)) < len(names):
        raise RequestError(
            f"{file} has the columns {', '.join(names) or '(none)'}. {_NEEDED}, each once."
        )


def _check_numbers(file: Path, name: str, column: pa.ChunkedArray) -> None:
    kind = column.type
    if not (pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind)):
        raise RequestError(
            f"{file}: {name} holds {kind}, not numbers. Write them as numbers, e.g. 1385.2."
        )
    numbers = [value for value in column.to_pylist() if value is not None]
    if not numbers:
        raise RequestError(f"{file}: {name} holds no number. Fill it or leave the column out.")
    for number in numbers:
        if not math.isfinite(number):
            raise RequestError(
                f"{file}: {name} holds {number}. Leave a missing value empty (null)."
            )


def _check_dates(connection: duckdb.DuckDBPyConnection, file: Path) -> None:
    undated, repeated, example = one_row(connection.execute(sql("macro_dates.sql")))
    if undated:
        raise RequestError(
            f"{file} has {undated} rows without a date."
            " Give each its session's date, or delete them."
        )
    if repeated:
        raise RequestError(
            f"{file} has {repeated} rows that repeat a date, e.g. {example}. Keep one row for each."
        )
