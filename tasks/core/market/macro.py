"""macro.parquet: numbers that prices do not hold, brought by the user. One row per date, any of
MACRO_MEASURES.

Reads the file at a market folder's root. Each row has the date of its own session: a US session of
a date ends after the Korean day of that date, so a Korean day knows vix and us_return_pct of the
session before it, and no other.
"""

import difflib
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as parquet

from tasks.core.errors import RequestError
from tasks.core.market.files import MACRO
from tasks.core.market.rows import sql
from tasks.core.records.market_days import MACRO_MEASURES, MACRO_SCHEMA

_NEEDED = f"It needs date and any of {', '.join(MACRO_MEASURES)}"


def load_macro(connection: duckdb.DuckDBPyConnection, folder: Path) -> list[str]:
    """Fills the table macro, which stays empty where the folder has no such file; returns the
    measures it has.

    Raises RequestError for a file that is no parquet, has other columns, no numbers in them, or a
    date twice or not.
    """
    file = folder / MACRO
    source = read_macro_file(file) if file.is_file() else MACRO_SCHEMA.empty_table()
    connection.register("source", source)
    try:
        connection.execute(sql("macro_load.sql"))
    except duckdb.Error as error:
        raise RequestError(
            f"{file}: {str(error).splitlines()[0]}. Write dates as dates or YYYY-MM-DD."
        ) from error
    finally:
        connection.unregister("source")
    odd = "SELECT count(*) FILTER (date IS NULL), count(date) - count(DISTINCT date), mode(date) FROM macro"
    undated, repeated, example = connection.execute(odd).fetchone()
    if undated:
        raise RequestError(
            f"{file} has {undated} rows without a date. Give each its session's date, or delete them."
        )
    if repeated:
        raise RequestError(
            f"{file} has {repeated} rows that repeat a date, e.g. {example}. Keep one row for each."
        )
    return [name for name in source.column_names if name != "date"] if file.is_file() else []


def macro_of_days(connection: duckdb.DuckDBPyConnection, days: list[str]) -> pa.Table:
    """What each day knew, after load_macro: MACRO_SCHEMA, a day without any number left out."""
    found = (
        connection.sql(sql("macro_days.sql"), params={"days": days})
        .to_arrow_table()
        .cast(MACRO_SCHEMA)
    )
    known = [any(row[name] is not None for name in MACRO_MEASURES) for row in found.to_pylist()]
    return found.filter(pa.array(known, pa.bool_()))


def read_macro_file(file: Path) -> pa.Table:
    """The file's rows. Raises RequestError for one that is no parquet, has other columns or no
    numbers in them.
    """
    try:
        table = parquet.read_table(file)
    except (pa.ArrowException, OSError) as error:
        reason = str(error).splitlines()[0]
        raise RequestError(
            f"{file} cannot be read as parquet ({reason}). Write it anew, or delete it."
        ) from error
    names = table.column_names
    unknown = next((name for name in names if name not in ("date", *MACRO_MEASURES)), None)
    if unknown is not None:
        near = difflib.get_close_matches(unknown, MACRO_MEASURES, 1)
        meant = f" Did you mean {near[0]}?" if near else ""
        raise RequestError(f"{file} has a column {unknown!r}.{meant} {_NEEDED}, and no others.")
    if "date" not in names or len(names) < 2 or len(set(names)) < len(names):
        raise RequestError(
            f"{file} has the columns {', '.join(names) or '(none)'}. {_NEEDED}, each once."
        )
    for name in names:
        if name != "date":
            _check_numbers(file, table[name], name)
    return table


def _check_numbers(file: Path, column: pa.ChunkedArray, name: str) -> None:
    kind = column.type
    if not (pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind)):
        raise RequestError(
            f"{file}: {name} holds {kind}, not numbers. Write them as numbers, e.g. 1385.2."
        )
    values = [value for value in column.to_pylist() if value is not None]
    if not values:
        raise RequestError(f"{file}: {name} holds no number. Fill it or leave the column out.")
    odd = next((value for value in values if not float("-inf") < value < float("inf")), None)
    if odd is not None:
        raise RequestError(f"{file}: {name} holds {odd}. Leave a missing value empty (null).")
