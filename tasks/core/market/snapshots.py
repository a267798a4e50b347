"""The market's days: return, breadth, momentum and volatility of each, split into training and
held-out days.

Reads a market folder (see files.py) with DuckDB; writes the market artifact (see market_days.py)
and market.json. A day's numbers depend on that day and the days before it, never on later ones.
"""

from bisect import bisect_right
from collections import Counter
from datetime import date
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa

from tasks.core.errors import RequestError
from tasks.core.files.json_files import write_json
from tasks.core.market.files import marks, sound_partitions
from tasks.core.market.macro import load_macro, macro_of_days
from tasks.core.market.rows import EVER, database, sql
from tasks.core.records.market import Snapshot
from tasks.core.records.market_days import (
    MACRO_MEASURES,
    SNAPSHOT_SCHEMA,
    STOCK_SCHEMA,
    Part,
    write_part,
)
from tasks.core.settings.tree import Market
from tasks.core.strategy.rules import REGIMES, regime_of
from tasks.core.strategy.universe import stocks

DAYS_AFTER_MONTH_END = 60
"""Trading days that the rule `month` leaves for evaluation, at the least."""
ALWAYS = "0001-01-01"


def snapshots(folder: Path, start: str | None = None, end: str | None = None) -> list[Snapshot]:
    """The days from start to end (YYYY-MM-DD, both included), oldest first; days before start warm
    the windows up.

    The first five trading days of a folder have no momentum or volatility and are no snapshots.
    Raises RequestError for a folder that cannot be read (naming the file), for a malformed date,
    and where no day is left.
    """
    return judged_days(folder, start, end)[0]


def judged_days(folder: Path, start: str | None, end: str | None) -> tuple[list[Snapshot], int]:
    """As `snapshots`, and how many of their stocks' returns lie beyond KRX's daily limit: splits in
    raw prices.
    """
    since, until = check_date(start or ALWAYS), check_date(end or EVER)
    partitions = sound_partitions(folder, until)
    with database(partitions) as connection:
        return _judge(connection, folder, partitions, (since, until))


def _judge(
    connection: duckdb.DuckDBPyConnection,
    folder: Path,
    partitions: list[Path],
    span: tuple[str, str],
) -> tuple[list[Snapshot], int]:
    """Leaves the unrounded days in the connection's table market_days."""
    since, until = span
    values = {"files": [str(file) for file in partitions], "until": until}
    connection.execute(sql("days.sql"), values)
    if connection.execute("SELECT bool_or(repeated > 0) FROM market_days").fetchone()[0]:
        count, example, held_by = connection.execute(sql("repeated.sql"), values).fetchone()
        raise RequestError(
            f"{example} is more than once in {held_by}; {count:,} rows in all repeat a ticker's day. Which one is right"
            " cannot be known: `kospilot market check DIR` lists them; delete those months and import them again."
        )
    rows = connection.execute(sql("snapshots.sql"), {"since": since}).fetchall()
    if not rows:
        asked = "" if (since, until) == (ALWAYS, EVER) else f" from {since} to {until}"
        raise RequestError(
            f"{folder} has no trading day{asked} that can be judged: a day needs at least five market returns up to it,"
            " of stocks with a market cap. Import more days, or ask for others;"
            " `kospilot market check DIR` says what is there."
        )
    return [Snapshot(*row[:-1]) for row in rows], sum(row[-1] for row in rows)


def check_date(text: str) -> str:
    """The date, if it is one. Raises RequestError otherwise."""
    try:
        return date.fromisoformat(text).isoformat()
    except ValueError as error:
        raise RequestError(
            f"{text!r} is not a date. Write it as YYYY-MM-DD, e.g. 2024-06-28."
        ) from error


def train_until(days: list[str], rule: str) -> str:
    """The last training day T among the snapshot days, by a rule: a date, `latest-N` or `month`
    (see settings.Market).

    Raises RequestError for another rule, and for one that leaves no training or no evaluation day.
    A market too short for `month` is split at its last fifth.
    """
    if rule == "month":
        before = _last_month_end(days)
    elif rule.startswith("latest-") and rule[7:].isdecimal():
        before = len(days) - int(rule[7:])
    elif rule[:1].isdecimal():
        before = sum(day <= check_date(rule) for day in days)
    else:
        raise RequestError(
            f"market.train_until={rule!r} is neither a date (YYYY-MM-DD), `latest-N` nor `month`."
        )
    if not 0 < before < len(days):
        raise RequestError(
            f"market.train_until={rule} leaves {'no training' if before <= 0 else 'no evaluation'} day:"
            f" the market's {len(days)} days run from {days[0]} to {days[-1]}. Choose a T between them, or `month`."
        )
    return days[before - 1]


def _last_month_end(days: list[str]) -> int:
    """How many days lie before the last month end that leaves enough after it, else before the last
    fifth.
    """
    for before in range(len(days) - DAYS_AFTER_MONTH_END, 0, -1):
        if days[before - 1][:7] != days[before][:7]:
            return before
    return len(days) - max(1, len(days) // 5)


def build_market(folder: Path, market: Market, out: Path) -> dict[str, Any]:
    """Writes out/train, out/holdout and out/market.json; returns what market.json says.

    Raises RequestError as `snapshots`, `train_until` and macro.load_macro do.
    """
    found, entire = _read_market(folder)
    days = [snapshot.date for snapshot in found]
    last = train_until(days, market.train_until)
    cut = bisect_right(days, last)
    for name, part_days in (("train", days[:cut]), ("holdout", days[cut:])):
        write_part(out / name, entire.between(part_days[0], part_days[-1]))
    report = {
        "days": len(days),
        "first": days[0],
        "last": days[-1],
        "train_until": last,
        "train": {"days": cut, "regimes": count_regimes(found[:cut])},
        "holdout": {"days": len(days) - cut, "regimes": count_regimes(found[cut:])},
        "universe_stocks": len(entire.stocks["ticker"].unique()),
        "macro": [
            name for name in MACRO_MEASURES if entire.macro[name].null_count < entire.macro.num_rows
        ],
        **entire.marks,
    }
    write_json(out / "market.json", report)
    return report


def write_days(folder: Path, out: Path) -> None:
    """Writes all of the market's days as one part (see market_days.py), for a question about any of
    them.
    """
    write_part(out, _read_market(folder)[1])


def _read_market(folder: Path) -> tuple[list[Snapshot], Part]:
    partitions = sound_partitions(folder, EVER)
    with database(partitions) as connection:
        load_macro(connection, folder)
        found, _ = _judge(connection, folder, partitions, (ALWAYS, EVER))
        days = [snapshot.date for snapshot in found]
        values = {
            "files": [str(file) for file in partitions],
            "until": days[-1],
            "tickers": [stock.ticker for stock in stocks()],
            "days": days,
        }
        facts = connection.sql(sql("stocks.sql"), params=values).to_arrow_table().cast(STOCK_SCHEMA)
        table = pa.Table.from_pylist([vars(day) for day in found], schema=SNAPSHOT_SCHEMA)
        return found, Part(table, facts, macro_of_days(connection, days), marks(folder))


def count_regimes(days: list[Snapshot]) -> dict[str, int]:
    """How many days each regime has, in the order of strategy.REGIMES."""
    counts = Counter(regime_of_day(day) for day in days)
    return {regime: counts[regime] for regime in REGIMES}


def regime_of_day(day: Snapshot) -> str:
    return regime_of(day.return_pct, day.breadth_pct, day.momentum_pct, day.volatility_pct)
