"""`kospilot market update`: the days that a market folder lacks, from KRX.

A new folder is filled with the universe. Reads the folder's last days and a source of prices
(krx.py's, or a test's); writes through the import (importer.py), which joins by ticker and day.
Market caps of the new days are closes times the listing's shares, and marked so.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pyarrow as pa
import pyarrow.parquet as parquet

from tasks.core.errors import RequestError, WorkError
from tasks.core.files.scratch import scratch_folder
from tasks.core.market.database import EVER, open_market, rows_until, sql
from tasks.core.market.folder import GENERATED, is_generated
from tasks.core.market.importer import import_tables
from tasks.core.market.partitions import find_partitions, sound_partitions
from tasks.core.market.snapshots import check_date
from tasks.core.records.artifacts import Progress
from tasks.core.strategy.universe import stocks

Prices = Callable[[str, str, str], pa.Table | None]
"""Takes a ticker, a first and a last day; returns date, open, high, low, close, volume and ticker
of the days between, or None if there are no such days.
"""
FIRST_DAY = "2020-01-02"
RESTATED = 0.005
"""A last close that differs by a larger fraction was adjusted since then: a split. The ticker's
whole history is read again.
"""
CLOSED = timedelta(hours=16)
"""After this time in Seoul the day's prices are final."""


@dataclass(frozen=True)
class History:
    """The days of one ticker that a market folder has."""

    first_day: str  # YYYY-MM-DD
    last_day: str
    last_close: float  # won


def update_market(
    folder: Path, prices: Prices, listing: pa.Table, last: str, progress: Progress
) -> dict[str, Any]:
    """Adds the days up to last (YYYY-MM-DD) of the folder's and the universe's tickers.

    Returns the import's report. Raises RequestError if the folder is generated or damaged, and if
    there is no new day; WorkError if the source gives no prices at all. Nothing is changed then,
    nor if `prices` fails.
    """
    if is_generated(folder):
        raise RequestError(f"{folder} is a generated market ({GENERATED}): update another folder.")
    histories = _read_histories(folder)
    tickers = sorted({*histories, *(stock.ticker for stock in stocks())})
    tables = []
    silent = []
    for done, ticker in enumerate(tickers):
        progress(done / len(tickers), f"{done} / {len(tickers)} tickers")
        history = histories.get(ticker)
        if history is not None and history.last_day >= check_date(last):
            continue
        table = _fetch_missing(ticker, history, prices, last)
        if table is None:
            silent.append(ticker)
        elif table.num_rows:
            tables.append(table)
    if not tables:
        raise _nothing_new(folder, histories, silent, last)
    with scratch_folder() as scratch:
        prices_file = Path(scratch) / f"krx_{last}.parquet"
        listing_file = Path(scratch) / f"listing_{last}.parquet"
        parquet.write_table(pa.concat_tables(tables, promote_options="permissive"), prices_file)
        parquet.write_table(listing, listing_file)
        return import_tables([prices_file], folder, listing_file, progress)


def _nothing_new(
    folder: Path, histories: dict[str, History], silent: list[str], last: str
) -> RequestError | WorkError:
    """Returns why there is nothing to add: KRX has no newer day, or it gave nothing at all."""
    asked = [ticker for ticker in silent if ticker in histories]
    if not histories or len(asked) == len(histories):  # none is up to date, and none has a price
        newest = max((history.last_day for history in histories.values()), default="none")
        return WorkError(
            f"KRX gave no prices of any ticker up to {last} (asked for {len(silent)},"
            f" e.g. {silent[0]}); the last day in {folder} is {newest}."
            " Nothing was changed: try again later, or update FinanceDataReader."
        )
    return RequestError(
        f"{folder} has every day up to {last} already: there is nothing new to add."
    )


def last_closed_day(now: datetime) -> str:
    """Returns the last day, trading or not, whose prices are final in Seoul."""
    return (now.astimezone(ZoneInfo("Asia/Seoul")) - CLOSED).date().isoformat()


def _read_histories(folder: Path) -> dict[str, History]:
    """Returns each ticker's history in the folder; there is none if the folder is not there yet."""
    if not find_partitions(folder):
        return {}
    partitions = sound_partitions(folder, EVER)
    with open_market(partitions) as connection:
        rows = connection.execute(sql("ticker_histories.sql"), rows_until(partitions)).fetchall()
    histories = {}
    for ticker, first_day, last_day, last_close in rows:
        histories[ticker] = History(first_day, last_day, last_close)
    return histories


def _fetch_missing(
    ticker: str, history: History | None, prices: Prices, last: str
) -> pa.Table | None:
    """Returns the ticker's new days, or all of its days if its history was restated.

    A table without rows means that there is nothing new, None that the source knows no day, not
    even the one that is there.
    """
    if history is None:
        return prices(ticker, FIRST_DAY, last)
    table = prices(ticker, history.last_day, last)
    if table is None:
        return None
    days = [str(day)[:10] for day in table["date"].to_pylist()]
    if history.last_day in days:
        close = table["close"][days.index(history.last_day)].as_py()
        if _is_price(close) and abs(close / history.last_close - 1) > RESTATED:
            return prices(ticker, history.first_day, last)
    is_new = [day > history.last_day for day in days]
    return table.filter(pa.array(is_new))


def _is_price(value: float | None) -> bool:
    """Whether a source gave a number: it leaves a gap or a NaN on a day that it does not know."""
    return value is not None and math.isfinite(value)
