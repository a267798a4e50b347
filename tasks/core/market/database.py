"""DuckDB over a market folder: in memory, on two threads.

Reads the queries in sql/, and partitions through partition_rows(files) and market_rows(files,
until): all queries see the same rows in the same shape.
"""

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

import duckdb

from tasks.core.errors import RequestError
from tasks.core.files.scratch import scratch_path
from tasks.core.market.partitions import numbered_partitions

THREADS = 2
MEMORY = "2GB"
SPILLED = "8GB"  # on disk, at most, of what MEMORY does not hold
EVER = "9999-12-31"
"""The day up to which rows count if nobody names one."""
_OTHER_FORM = (duckdb.ConversionException, duckdb.BinderException, duckdb.InvalidInputException)


@cache
def sql(name: str) -> str:
    """Returns the text of a query in the folder sql/."""
    return (files("tasks.core.market") / "sql" / name).read_text(encoding="utf-8")


def connect() -> duckdb.DuckDBPyConnection:
    """Returns an empty database in memory, to be used in a `with` block."""
    spilled = scratch_path(f"duckdb-{uuid.uuid4().hex[:8]}")
    connection = duckdb.connect(
        config={
            "threads": THREADS,
            "memory_limit": MEMORY,
            # DuckDB's own choice is the folder that the user stands in, without a limit.
            "temp_directory": str(spilled),
            "max_temp_directory_size": SPILLED,
        }
    )
    # A timestamp with a zone is a day in Seoul: midnight there is still the day before in UTC.
    connection.execute("SET TimeZone = 'Asia/Seoul'")
    connection.execute(sql("krx_limits.sql"))
    return connection


@contextmanager
def open_market(partitions: list[Path]) -> Iterator[duckdb.DuckDBPyConnection]:
    """Opens a connection that knows partition_rows and market_rows of these files.

    If a query in the block fails on a partition's content, RequestError names that file.
    """
    with open_rows(partitions) as connection:
        try:
            yield connection
        except duckdb.Error:
            # DuckDB says what is wrong but not always where.
            refuse_unreadable(partitions)
            raise


def open_rows(partitions: list[Path]) -> duckdb.DuckDBPyConnection:
    """Returns a connection that knows partition_rows and market_rows, for a `with` block."""
    connection = connect()
    numbered = numbered_partitions(partitions)
    if numbered:
        connection.execute(sql("cell_days.sql"))
    define_partition_rows(connection, partitions, numbered)
    connection.execute(sql("market_rows.sql"))
    return connection


def define_partition_rows(
    connection: duckdb.DuckDBPyConnection, partitions: list[Path], numbered: list[Path]
) -> None:
    """Defines partition_rows, whose dates are days; the numbered ones' need cell_days.sql."""
    if not numbered:
        connection.execute(sql("partition_rows.sql"))
    elif len(numbered) == len(partitions):
        connection.execute(sql("partition_rows_numbered.sql"))
    else:
        names = [str(file) for file in numbered]
        connection.execute("SET VARIABLE numbered = $names", {"names": names})
        connection.execute(sql("partition_rows_mixed.sql"))


def rows_until(partitions: list[Path], until: str = EVER) -> dict[str, Any]:
    """Returns the parameters with which a query sees the rows up to a day (YYYY-MM-DD)."""
    return {"files": [str(file) for file in partitions], "until": until}


def one_row(result: duckdb.DuckDBPyConnection) -> tuple[Any, ...]:
    """Returns the only row of a query that adds up its rows."""
    (row,) = result.fetchall()
    return row


def refuse_unreadable(partitions: list[Path]) -> None:
    """Raises RequestError for the first partition whose rows cannot be read, if there is one."""
    for file in partitions:
        reason = why_unreadable([file])
        if reason is not None:
            raise RequestError(reason) from None


def why_unreadable(partitions: list[Path]) -> str | None:
    """Returns what is wrong with the partitions' rows and what to do about it, or None.

    None means that every value that a query uses can be read.
    """
    with open_rows(partitions) as connection:
        try:
            connection.execute(sql("every_used_value.sql"), rows_until(partitions)).fetchall()
        except duckdb.Error as error:
            return _why(partitions, error)
    return None


def _why(partitions: list[Path], error: duckdb.Error) -> str:
    names = ", ".join(str(file) for file in partitions)
    reason = str(error).splitlines()[0]
    advice = "Delete it and import its month again with `kospilot market import`."
    if isinstance(error, _OTHER_FORM):
        advice = (
            "Its values have another form than a partition's:"
            f" `kospilot market import {names} --market NEW` reads the usual ones;"
            " else delete it and import its month again."
        )
    return f"The rows of {names} cannot be read ({reason}). {advice}"
