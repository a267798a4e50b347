"""Market folders for tests: rows of invented stocks, written as partitions and read back."""

from datetime import date, timedelta
from pathlib import Path
from random import Random

import pyarrow as pa
import pyarrow.parquet as parquet

from tasks.core.market.partitions import market_files

TICKERS = ("005930", "000660", "035420", "005380", "0126Z0", "068270", "105560")


def weekdays(first: str, count: int) -> list[str]:
    """Returns so many weekdays from a day on, as YYYY-MM-DD."""
    day = date.fromisoformat(first)
    days: list[str] = []
    while len(days) < count:
        if day.weekday() < 5:
            days.append(day.isoformat())
        day += timedelta(days=1)
    return days


def random_rows(days: list[str], seed: int = 7) -> list[dict]:
    """Returns a row for each ticker and day, with prices that walk at random."""
    rows = []
    for ticker in TICKERS:
        rng, close = Random(f"{seed}/{ticker}"), 50_000.0
        for day in days:
            close = float(round(close * (1 + rng.gauss(0, 0.02))))
            rows.append(
                {
                    "date": date.fromisoformat(day),
                    "ticker": ticker,
                    "open": close,
                    "close": close,
                    "volume": 1000,
                    "market_cap": close * 1e6 * rng.randint(1, 9),
                    "pe_ratio": 0.0,
                    "pb_ratio": 1.234,
                }
            )
    return rows


def write_market(folder: Path, rows: list[dict]) -> Path:
    """Writes the rows as a market folder, and returns it."""
    months: dict[tuple[int, int], list[dict]] = {}
    for row in rows:
        months.setdefault((row["date"].year, row["date"].month), []).append(row)
    for (year, month), part in months.items():
        file = folder / f"year={year}" / f"month={month}" / "data.parquet"
        file.parent.mkdir(parents=True, exist_ok=True)
        parquet.write_table(pa.Table.from_pylist(part), file)
    return folder


def changes_of_days(rows: list[dict]) -> dict[str, list[tuple[float, float]]]:
    """Returns each day's returns as fractions, each with the stock's market cap of the day before.

    A ticker's first day has no return, and a day without any return is absent.
    """
    before: dict[str, dict] = {}
    changes: dict[str, list[tuple[float, float]]] = {}
    for row in sorted(rows, key=lambda row: row["date"]):
        previous = before.get(row["ticker"])
        if previous is not None:
            pair = (row["close"] / previous["close"] - 1, previous["market_cap"])
            changes.setdefault(row["date"].isoformat(), []).append(pair)
        before[row["ticker"]] = row
    return changes


def market_return(changes: list[tuple[float, float]]) -> float:
    """Returns a day's cap-weighted return in %, unrounded."""
    return 100 * sum(change * cap for change, cap in changes) / sum(cap for _, cap in changes)


def write_source(file: Path, text: str, encoding: str = "utf-8") -> Path:
    """Writes a table as a user hands it in, and returns its path."""
    file.write_bytes(text.encode(encoding))
    return file


def rows_of(folder: Path) -> list[dict]:
    """Returns all rows of a market folder's partitions."""
    rows = []
    for file in market_files(folder):
        rows += parquet.read_table(file).to_pylist()
    return rows


def contents(folder: Path) -> dict[Path, bytes]:
    """Returns the bytes of every file below a folder."""
    files = [file for file in folder.rglob("*") if file.is_file()]
    return {file.relative_to(folder): file.read_bytes() for file in files}
