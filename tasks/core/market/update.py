"""`kospilot market update`: the days that a market folder lacks, from KRX; a new folder is filled
with the universe.

Reads the folder's last days and a source of prices (krx.py's, or a test's); writes through the
import (importer.py), which joins by ticker and day. Market caps of the new days are closes times
the listing's shares, and marked so.
"""

import tempfile
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pyarrow as pa
import pyarrow.parquet as parquet

from tasks.core.errors import RequestError
from tasks.core.market.files import GENERATED, is_generated, sound_partitions
from tasks.core.market.importer import import_tables
from tasks.core.market.rows import EVER, database, sql
from tasks.core.market.snapshots import check_date
from tasks.core.records.artifacts import Progress
from tasks.core.strategy.universe import stocks

Prices = Callable[[str, str, str], pa.Table | None]
"""Ticker, first and last day to date, open, high, low, close, volume, ticker; None where there are
no such days.
"""
FIRST_DAY = "2020-01-02"
RESTATED = 0.005
"""A last close that differs by more was adjusted since: a split. Then the ticker's whole history is
read again.
"""
CLOSED = timedelta(hours=16)
"""After this time in Seoul the day's prices are final."""


def update_market(
    folder: Path, prices: Prices, listing: pa.Table, last: str, told: Progress
) -> dict[str, Any]:
    """Adds the days up to last (YYYY-MM-DD) of the folder's and the universe's tickers; returns the
    import's report.

    Raises RequestError for a generated or damaged folder and where there is no new day; nothing is
    changed then, nor where prices fails.
    """
    if is_generated(folder):
        raise RequestError(f"{folder} is a generated market ({GENERATED}): update another folder.")
    known = _known(folder)
    tickers = sorted({*known, *(stock.ticker for stock in stocks())})
    tables = []
    for done, ticker in enumerate(tickers):
        told(done / len(tickers), f"{done} / {len(tickers)} tickers")
        tables.append(_fetch_missing(ticker, known.get(ticker), prices, check_date(last)))
    found = [table for table in tables if table is not None]
    if not found:
        raise RequestError(
            f"{folder} has every day up to {last} already: there is nothing new to add."
        )
    with tempfile.TemporaryDirectory() as scratch:
        new, shares = (
            Path(scratch) / f"krx_{last}.parquet",
            Path(scratch) / f"listing_{last}.parquet",
        )
        parquet.write_table(pa.concat_tables(found, promote_options="permissive"), new)
        parquet.write_table(listing, shares)
        return import_tables([new], folder, shares)


def last_closed_day(now: datetime) -> str:
    """The last day, trading or not, whose prices are final in Seoul."""
    return (now.astimezone(ZoneInfo("Asia/Seoul")) - CLOSED).date().isoformat()


def _known(folder: Path) -> dict[str, tuple[str, str, float]]:
    """First day, last day and last close of each ticker; empty where there is no folder yet."""
    if not any(folder.glob("year=*/month=*/data.parquet")):
        return {}
    partitions = sound_partitions(folder, EVER)
    with database(partitions) as connection:
        values = {"files": [str(file) for file in partitions], "until": EVER}
        return {
            ticker: facts
            for ticker, *facts in connection.execute(sql("known.sql"), values).fetchall()
        }


def _fetch_missing(ticker: str, known: tuple | None, prices: Prices, last: str) -> pa.Table | None:
    """The ticker's new days; all of its days where its history was restated; None where nothing is
    new.
    """
    if known is None:
        return prices(ticker, FIRST_DAY, last)
    first_day, last_day, close = known
    if last_day >= last:
        return None
    table = prices(ticker, last_day, last)
    if table is None:
        return None
    days = [str(day)[:10] for day in table["date"].to_pylist()]
    overlap = table["close"][days.index(last_day)].as_py() if last_day in days else close
    if abs(overlap / close - 1) > RESTATED:
        return prices(ticker, first_day, last)
    new = pa.array([day > last_day for day in days])
    return table.filter(new) if any(new.to_pylist()) else None
