"""DuckDB over a market folder's partitions: in memory, on two threads, with every .sql file's view
of the rows.

Reads partitions through rows.sql's market_rows(files, until).
"""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from importlib.resources import files
from pathlib import Path

import duckdb

from tasks.core.errors import RequestError

THREADS, MEMORY = 2, "2GB"
SEOUL = "SET TimeZone = 'Asia/Seoul'"
"""A timestamp with a zone is a day in Seoul: midnight there is still the day before in UTC."""
EVER = "9999-12-31"


@cache
def sql(name: str) -> str:
    """The text of a .sql file beside this module."""
    return (files("tasks.core.market") / name).read_text(encoding="utf-8")


@contextmanager
def database(partitions: list[Path]) -> Iterator[duckdb.DuckDBPyConnection]:
    """A connection that knows market_rows. Where it fails on a partition's content, RequestError
    names that file.
    """
    with duckdb.connect(config={"threads": THREADS, "memory_limit": MEMORY}) as connection:
        connection.execute(SEOUL).execute(sql("rows.sql"))
        try:
            yield connection
        except duckdb.Error:
            for file in partitions:  # DuckDB says what is wrong but not always where
                reason = why_unreadable(file)
                if reason:
                    raise RequestError(reason) from None
            raise


def why_unreadable(*partitions: Path) -> str | None:
    """What is wrong with the rows of some partitions and what to do about it, or None where they
    can be read.
    """
    with duckdb.connect(config={"threads": THREADS, "memory_limit": MEMORY}) as connection:
        connection.execute(SEOUL).execute(sql("rows.sql"))
        names = [str(file) for file in partitions]
        try:
            connection.execute(sql("readable.sql"), {"files": names, "until": EVER}).fetchall()
        except duckdb.Error as error:
            reason = str(error).splitlines()[0]
            return (
                f"The rows of {', '.join(names)} cannot be read ({reason})."
                " Delete it and import its month again with `kospilot market import`."
            )
    return None
