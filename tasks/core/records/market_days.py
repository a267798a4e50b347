"""The market artifact: its two parts as files, and the readers that later stages use.

A part is a folder, train/ or holdout/, with snapshots.parquet (one row per day), stocks.parquet
(one row per universe stock and day), marks.json (whether the prices are invented, and which
listings its market caps come from) and, where the market folder has one, macro.parquet (one row per
day). A part's bytes depend on nothing but its own days and those before them.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as parquet
from pyarrow.compute import field

from tasks.core.files.json_files import write_json
from tasks.core.records.market import Snapshot, StockDay

SNAPSHOT_SCHEMA = pa.schema(
    [
        ("date", pa.string()),
        *(
            (name, pa.float64())
            for name in ("return_pct", "breadth_pct", "momentum_pct", "volatility_pct")
        ),
    ]
)
STOCK_SCHEMA = pa.schema(
    [
        ("date", pa.string()),
        ("ticker", pa.string()),
        *((name, pa.float64()) for name in ("close", "return_pct", "per", "pbr", "market_cap")),
        *(
            (name, pa.float64())
            for name in ("sma_20", "sma_60", "volatility_pct", "beta", "us_correlation")
        ),
    ]
)
MACRO_MEASURES = ("vix", "usdkrw", "us_return_pct", "foreign_net_buy_100m_krw", "sentiment_pct")
"""VIX and the US return are those of the session before the Korean day; the others are the day's
own.
"""
MACRO_SCHEMA = pa.schema(
    [("date", pa.string()), *((name, pa.float64()) for name in MACRO_MEASURES)]
)


@dataclass(frozen=True)
class Part:
    """A part's tables, in order of date, and its marks; macro may be empty."""

    snapshots: pa.Table
    stocks: pa.Table
    macro: pa.Table
    marks: dict[str, Any]

    def between(self, first: str, last: str) -> "Part":
        """The days from first to last, both included."""
        days = (field("date") >= first) & (field("date") <= last)
        return Part(
            self.snapshots.filter(days),
            self.stocks.filter(days),
            self.macro.filter(days),
            self.marks,
        )


def write_part(folder: Path, part: Part) -> None:
    """Writes a part's files: macro.parquet only where there is something in it."""
    folder.mkdir(parents=True, exist_ok=True)
    tables = {"snapshots": part.snapshots, "stocks": part.stocks, "macro": part.macro}
    for name, table in tables.items():
        if name != "macro" or table.num_rows:
            # One chunk: how a table was put together must not show in the bytes.
            parquet.write_table(
                table.combine_chunks(), folder / f"{name}.parquet", compression="zstd"
            )
    write_json(folder / "marks.json", part.marks)


def read_snapshots(part: Path) -> list[Snapshot]:
    """The part's days, oldest first."""
    columns = _columns(part / "snapshots.parquet", SNAPSHOT_SCHEMA)
    return [Snapshot(*values) for values in zip(*columns, strict=True)]


def read_stocks(part: Path) -> dict[str, list[StockDay]]:
    """The part's stocks by day (YYYY-MM-DD), each day's in order of ticker. A day without any is
    absent.
    """
    days: dict[str, list[StockDay]] = {}
    for date, *values in zip(*_columns(part / "stocks.parquet", STOCK_SCHEMA), strict=True):
        days.setdefault(date, []).append(StockDay(*values))
    return days


def read_macro(part: Path) -> dict[str, dict[str, float]]:
    """What each day (YYYY-MM-DD) knew of MACRO_MEASURES; what nobody gave is absent."""
    file = part / "macro.parquet"
    if not file.is_file():
        return {}
    days = zip(*_columns(file, MACRO_SCHEMA), strict=True)
    return {
        date: {
            name: value
            for name, value in zip(MACRO_MEASURES, values, strict=True)
            if value is not None
        }
        for date, *values in days
    }


def read_marks(part: Path) -> dict[str, Any]:
    """{"generated": bool, "market_cap_listings": [date, ...]}: said of all that is made from it."""
    return json.loads((part / "marks.json").read_text(encoding="utf-8"))


def _columns(file: Path, schema: pa.Schema) -> list[list[Any]]:
    # ParquetFile, not read_table: that one loads pyarrow.dataset, half a second for files of a few
    # hundred kilobytes.
    table = parquet.ParquetFile(file).read()
    return [table.column(name).to_pylist() for name in schema.names]
