"""The market's days: return, breadth, momentum and volatility of each.

Reads a market folder (see folder.py) with DuckDB. A day's numbers depend on that day and the days
before it, never on later ones.
"""

from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import duckdb

from tasks.core.errors import RequestError
from tasks.core.market.database import EVER, one_row, open_market, rows_until, sql
from tasks.core.market.partitions import sound_partitions
from tasks.core.records.market import Snapshot
from tasks.core.settings.tree import Weights

ALWAYS = "0001-01-01"
"""The day from which snapshots are wanted if nobody names one."""


@dataclass(frozen=True)
class Span:
    """Which days are wanted, and how their stocks are weighted."""

    since: str = ALWAYS  # YYYY-MM-DD; the days before warm the windows up
    until: str = EVER
    weights: Weights = "previous_day"


@dataclass(frozen=True)
class MeasuredDays:
    """A market's days, and what is to be said of them."""

    snapshots: list[Snapshot]  # oldest first
    beyond_limit: int  # their stocks' returns that KRX's limit forbids: splits in raw prices
    left_out: int  # days with few stocks or the last prices, and the first after a gap
    odd: list[str]  # why days are left out or may be wrong, one clause for each kind


def snapshots(
    folder: Path,
    start: str | None = None,
    end: str | None = None,
    weights: Weights = "previous_day",
) -> list[Snapshot]:
    """Returns the days from start to end (YYYY-MM-DD, both included), oldest first.

    Days before start warm the windows up. The first five trading days of a folder have no momentum
    or volatility and are no snapshots. weights is as in settings.Market. Raises RequestError, which
    names the file, if the folder cannot be read, if a date is malformed, and if no day is left.
    """
    return measure_days(folder, start, end, weights).snapshots


def measure_days(
    folder: Path, start: str | None, end: str | None, weights: Weights = "previous_day"
) -> MeasuredDays:
    """Returns what `snapshots` does, and what is to be said of those days."""
    wanted = Span(check_date(start or ALWAYS), check_date(end or EVER), weights)
    partitions = sound_partitions(folder, wanted.until)
    with open_market(partitions) as connection:
        return measure(connection, folder, partitions, wanted)


def measure(
    connection: duckdb.DuckDBPyConnection, folder: Path, partitions: list[Path], wanted: Span
) -> MeasuredDays:
    """Returns the wanted days, and leaves them unrounded in the table market_days.

    Raises RequestError if a ticker has a day twice, a market cap cannot be right, a day lies in the
    future, and if no day is left.
    """
    rows = rows_until(partitions, wanted.until)
    since = {"since": wanted.since}
    connection.execute(sql("market_sums.sql"), rows | {"weights": wanted.weights})
    faults = one_row(connection.execute(sql("market_faults.sql"), since))
    has_repeated, may_have_odd_caps, to_come, left_out = faults
    if has_repeated:
        raise RequestError(_repeated_rows(connection, rows))
    odd = _oddities(connection, wanted.since)
    if may_have_odd_caps:
        odd += _odd_caps(connection, folder, rows | since)
    if to_come is not None:
        raise RequestError(
            f"{folder} holds {to_come}, a day in the future. `kospilot market check {folder}`"
            " names the rows: delete them, or end before them."
        )
    connection.execute(sql("market_days.sql"))
    days = []
    beyond_limit = 0
    for row in connection.execute(sql("snapshots.sql"), since).fetchall():
        *numbers, leaps = row
        days.append(Snapshot(*numbers))
        beyond_limit += leaps
    if not days:
        raise RequestError(_no_days(folder, wanted))
    return MeasuredDays(days, beyond_limit, left_out, odd)


def _repeated_rows(connection: duckdb.DuckDBPyConnection, rows: dict[str, Any]) -> str:
    count, example, files = one_row(connection.execute(sql("repeated_rows.sql"), rows))
    return (
        f"{example} is more than once in {files}; {count:,} rows in all repeat a ticker's day."
        " Which one is right cannot be known: `kospilot market check DIR` lists them;"
        " delete those months and import them again."
    )


def _odd_caps(
    connection: duckdb.DuckDBPyConnection, folder: Path, rows: dict[str, Any]
) -> list[str]:
    """Returns whether caps seem to be in another unit. Raises RequestError if some must be."""
    found = one_row(connection.execute(sql("odd_caps.sql"), rows))
    wrong, example, first, days = found
    if wrong:
        raise RequestError(
            f"{folder}: {wrong:,} market caps cannot be right, e.g. {example}: they are above"
            " 100,000 tn won, or their unit changes while the price does not. Weights made of them"
            f" are wrong: import those months again in won. `kospilot market check {folder}` says"
            " more."
        )
    if not days:
        return []
    return [_first_of(f"market caps change their unit on {first}", days, "such days")]


def _oddities(connection: duckdb.DuckDBPyConnection, since: str) -> list[str]:
    found = connection.execute(sql("market_oddities.sql"), {"since": since}).fetchall()
    return [_first_of(first, count, kind) for first, count, kind in found]


def _first_of(first: str, count: int, kind: str) -> str:
    return f"{first} (the first of {count:,} {kind})" if count > 1 else first


def _no_days(folder: Path, wanted: Span) -> str:
    between = ""
    if (wanted.since, wanted.until) != (ALWAYS, EVER):
        between = f" from {wanted.since} to {wanted.until}"
    return (
        f"{folder} has no trading day{between} that can be judged: a day needs at least five market"
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
