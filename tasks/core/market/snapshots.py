"""The market's days: return, breadth, momentum and volatility of each.

Reads a market folder (see folder.py) with DuckDB. A day's numbers depend on that day and the days
before it, never on later ones.
"""

from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import duckdb

from tasks.core.errors import RequestError
from tasks.core.market.database import EVER, one_row, open_market, rows_until, sql
from tasks.core.market.partitions import sound_partitions
from tasks.core.records.market import Snapshot

ALWAYS = "0001-01-01"
"""The day from which snapshots are wanted if nobody names one."""


@dataclass(frozen=True)
class MeasuredDays:
    """A market's days, and what may have distorted them."""

    snapshots: list[Snapshot]  # oldest first
    beyond_limit: (
        int  # returns of their stocks that KRX's daily limit forbids: splits in raw prices
    )
    odd: list[str]  # gaps between the days, and market caps that change their unit


def snapshots(folder: Path, start: str | None = None, end: str | None = None) -> list[Snapshot]:
    """Returns the days from start to end (YYYY-MM-DD, both included), oldest first.

    Days before start warm the windows up. The first five trading days of a folder have no momentum
    or volatility and are no snapshots. Raises RequestError, which names the file, if the folder
    cannot be read, if a date is malformed, and if no day is left.
    """
    return measure_days(folder, start, end).snapshots


def measure_days(folder: Path, start: str | None, end: str | None) -> MeasuredDays:
    """Returns what `snapshots` does, and what may have distorted the days."""
    since = check_date(start or ALWAYS)
    until = check_date(end or EVER)
    partitions = sound_partitions(folder, until)
    with open_market(partitions) as connection:
        return measure(connection, folder, partitions, since, until)


def measure(
    connection: duckdb.DuckDBPyConnection,
    folder: Path,
    partitions: list[Path],
    since: str = ALWAYS,
    until: str = EVER,
) -> MeasuredDays:
    """Returns the days from since to until, and leaves them unrounded in the table market_days.

    Raises RequestError if a ticker has a day twice, and if no day is left.
    """
    rows = rows_until(partitions, until)
    connection.execute(sql("market_days.sql"), rows)
    (has_repeated,) = one_row(connection.execute("SELECT bool_or(repeated > 0) FROM market_days"))
    if has_repeated:
        raise RequestError(_repeated_rows(connection, rows))
    days = []
    beyond_limit = 0
    for row in connection.execute(sql("snapshots.sql"), {"since": since}).fetchall():
        *numbers, leaps = row
        days.append(Snapshot(*numbers))
        beyond_limit += leaps
    if days and days[-1].date > (date.today() + timedelta(days=1)).isoformat():
        raise RequestError(
            f"{folder} holds {days[-1].date}, a day in the future. `kospilot market check {folder}`"
            " names the rows: delete them, or end before them."
        )
    if not days:
        raise RequestError(_no_days(folder, since, until))
    return MeasuredDays(days, beyond_limit, _odd(connection))


def _odd(connection: duckdb.DuckDBPyConnection) -> list[str]:
    """Returns what is odd in market_days, one clause for each kind."""
    row = one_row(connection.execute(sql("market_oddities.sql")))
    before, after, gaps, rescaled, changes = row
    odd = []
    if gaps:
        more = f" (the first of {gaps} gaps)" if gaps > 1 else ""
        odd.append(f"no day lies between {before} and {after}{more}")
    if changes:
        more = f" (the first of {changes} such days)" if changes > 1 else ""
        odd.append(f"market caps change their unit on {rescaled}{more}")
    return odd


def _repeated_rows(connection: duckdb.DuckDBPyConnection, rows: dict[str, Any]) -> str:
    count, example, files = one_row(connection.execute(sql("repeated_rows.sql"), rows))
    return (
        f"{example} is more than once in {files}; {count:,} rows in all repeat a ticker's day."
        " Which one is right cannot be known: `kospilot market check DIR` lists them;"
        " delete those months and import them again."
    )


def _no_days(folder: Path, since: str, until: str) -> str:
    span = ""
    if (since, until) != (ALWAYS, EVER):
        span = f" from {since} to {until}"
    return (
        f"{folder} has no trading day{span} that can be judged: a day needs at least five market"
        " returns up to it, of stocks with a market cap. Import more days, or ask for others;"
        " `kospilot market check DIR` says what is there."
    )


def check_date(text: str) -> str:
    """Returns the date as YYYY-MM-DD. Raises RequestError if the text is none."""
    try:
        return date.fromisoformat(text).isoformat()
    except ValueError as error:
        raise RequestError(
            f"{text!r} is not a date. Write it as YYYY-MM-DD, e.g. 2024-06-28."
        ) from error
