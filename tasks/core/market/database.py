"""DuckDB over a market folder: in memory, on two threads.

Reads the queries in sql/, and partitions through market_rows(files, until), which
sql/market_rows.sql defines: all queries see the same rows in the same shape.
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

THREADS = 2
MEMORY = "2GB"
SPILLED = "8GB"  # on disk, at most, of what MEMORY does not hold
EVER = "9999-12-31"
"""The day up to which rows count if nobody names one."""


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
    return connection


@contextmanager
def open_market(partitions: list[Path]) -> Iterator[duckdb.DuckDBPyConnection]:
    """Opens a connection that knows market_rows.

    If a query in the block fails on a partition's content, RequestError names that file.
    """
    with connect() as connection:
        connection.execute(sql("market_rows.sql"))
        try:
            yield connection
        except duckdb.Error:
            # DuckDB says what is wrong but not always where.
            refuse_unreadable(partitions)
            raise


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
    with connect() as connection:
        connection.execute(sql("market_rows.sql"))
        try:
            connection.execute(sql("every_used_value.sql"), rows_until(partitions)).fetchall()
        except duckdb.Error as error:
            names = ", ".join(str(file) for file in partitions)
            reason = str(error).splitlines()[0]
            advice = "Delete it and import its month again with `kospilot market import`."
            if isinstance(error, (duckdb.ConversionException, duckdb.BinderException)):
                advice = (
                    "Its values have another form than a partition's:"
                    f" `kospilot market import {names} --market NEW` reads the usual ones;"
                    " else delete it and import its month again."
                )
            return f"The rows of {names} cannot be read ({reason}). {advice}"
    return None
