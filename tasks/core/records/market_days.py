"""The market artifact: its two parts as files, and the readers that later stages use.

A part is a folder, train/ or holdout/, with snapshots.parquet (one row per day), stocks.parquet
(one row per universe stock and day), marks.json (whether the prices are invented, and which
listings its market caps come from) and, if the market folder has one, macro.parquet (one row per
day). A part's bytes depend on nothing but its own days and those before them.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as parquet
from pyarrow.compute import field

from tasks.core.files.json_files import read_json, write_json
from tasks.core.records.market import Snapshot, StockDay

MACRO_MEASURES = ("vix", "usdkrw", "us_return_pct", "foreign_net_buy_100m_krw", "sentiment_pct")
"""VIX and the US return are those of the session before the Korean day; the other measures are the
day's own.
"""
SNAPSHOT_SCHEMA = pa.schema(
    [
        ("date", pa.string()),
        ("return_pct", pa.float64()),
        ("breadth_pct", pa.float64()),
        ("momentum_pct", pa.float64()),
        ("volatility_pct", pa.float64()),
    ]
)
STOCK_SCHEMA = pa.schema(
    [
        ("date", pa.string()),
        ("ticker", pa.string()),
        ("close", pa.float64()),
        ("return_pct", pa.float64()),
        ("per", pa.float64()),
        ("pbr", pa.float64()),
        ("market_cap", pa.float64()),
        ("sma_20", pa.float64()),
        ("sma_60", pa.float64()),
        ("volatility_pct", pa.float64()),
        ("beta", pa.float64()),
        ("us_correlation", pa.float64()),
    ]
)
MACRO_SCHEMA = pa.schema(
    [("date", pa.string()), *((measure, pa.float64()) for measure in MACRO_MEASURES)]
)


@dataclass(frozen=True)
class Part:
    """A part's tables, in order of date, and its marks. The macro table may be empty."""

    snapshots: pa.Table  # SNAPSHOT_SCHEMA
    stocks: pa.Table  # STOCK_SCHEMA
    macro: pa.Table  # MACRO_SCHEMA
    marks: dict[str, Any]

    def between(self, first: str, last: str) -> "Part":
        """Returns the part with the days from first to last, both included."""
        days = (field("date") >= first) & (field("date") <= last)
        return Part(
            self.snapshots.filter(days),
            self.stocks.filter(days),
            self.macro.filter(days),
            self.marks,
        )


def write_part(folder: Path, part: Part) -> None:
    """Writes a part's files. An empty macro table gets no file."""
    folder.mkdir(parents=True, exist_ok=True)
    _write_table(folder / "snapshots.parquet", part.snapshots)
    _write_table(folder / "stocks.parquet", part.stocks)
    if part.macro.num_rows:
        _write_table(folder / "macro.parquet", part.macro)
    write_json(folder / "marks.json", part.marks)


def read_snapshots(part: Path) -> list[Snapshot]:
    """Returns the part's days, oldest first."""
    columns = _read_columns(part / "snapshots.parquet", SNAPSHOT_SCHEMA)
    return [Snapshot(*values) for values in zip(*columns, strict=True)]


def read_stocks(part: Path) -> dict[str, list[StockDay]]:
    """Returns the part's stocks by day (YYYY-MM-DD), each day's in order of ticker.

    A day on which no stock has data is absent.
    """
    columns = _read_columns(part / "stocks.parquet", STOCK_SCHEMA)
    days: dict[str, list[StockDay]] = {}
    for date, *values in zip(*columns, strict=True):
        days.setdefault(date, []).append(StockDay(*values))
    return days


def read_macro(part: Path) -> dict[str, dict[str, float]]:
    """Returns what each day (YYYY-MM-DD) knew of MACRO_MEASURES.

    A measure that has no value on a day is absent from that day.
    """
    file = part / "macro.parquet"
    if not file.is_file():
        return {}
    known: dict[str, dict[str, float]] = {}
    for date, *values in zip(*_read_columns(file, MACRO_SCHEMA), strict=True):
        known[date] = {}
        for measure, value in zip(MACRO_MEASURES, values, strict=True):
            if value is not None:
                known[date][measure] = value
    return known


def read_marks(part: Path) -> dict[str, Any]:
    """Returns {"generated": bool, "market_cap_listings": [date, ...]}.

    All that is made from the part must say so.
    """
    return read_json(part / "marks.json")


def _write_table(file: Path, table: pa.Table) -> None:
    # One chunk: how a table was put together must not show in the bytes.
    parquet.write_table(table.combine_chunks(), file, compression="zstd")


def _read_columns(file: Path, schema: pa.Schema) -> list[list[Any]]:
    # ParquetFile, not read_table: read_table loads pyarrow.dataset, which takes half a second for
    # files of a few hundred kilobytes.
    table = parquet.ParquetFile(file).read()
    return [table.column(name).to_pylist() for name in schema.names]
