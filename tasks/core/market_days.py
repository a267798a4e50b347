"""The market artifact: its two parts as files, and the readers that later stages use.

A part is a folder, train/ or holdout/, with snapshots.parquet (one row per day), stocks.parquet (one row per universe
stock and day) and marks.json (whether the prices are invented, and which listings its market caps come from). A part's
bytes depend on nothing but its own days and those before them.
"""

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as parquet

from tasks.core.digests import write_json
from tasks.core.records import Snapshot, StockDay

SNAPSHOT_SCHEMA = pa.schema(
    [
        ("date", pa.string()),
        *((name, pa.float64()) for name in ("return_pct", "breadth_pct", "momentum_pct", "volatility_pct")),
    ]
)
STOCK_SCHEMA = pa.schema(
    [
        ("date", pa.string()),
        ("ticker", pa.string()),
        *((name, pa.float64()) for name in ("close", "return_pct", "per", "pbr", "market_cap")),
    ]
)


def write_part(part: Path, snapshots: pa.Table, stocks: pa.Table, marks: dict[str, Any]) -> None:
    """Writes a part's three files; the tables have the two schemas above and are sorted."""
    part.mkdir(parents=True, exist_ok=True)
    # One chunk: how a table was put together must not show in the bytes.
    parquet.write_table(snapshots.combine_chunks(), part / "snapshots.parquet", compression="zstd")
    parquet.write_table(stocks.combine_chunks(), part / "stocks.parquet", compression="zstd")
    write_json(part / "marks.json", marks)


def read_snapshots(part: Path) -> list[Snapshot]:
    """The part's days, oldest first."""
    columns = _columns(part / "snapshots.parquet", SNAPSHOT_SCHEMA)
    return [Snapshot(*values) for values in zip(*columns, strict=True)]


def read_stocks(part: Path) -> dict[str, list[StockDay]]:
    """The part's stocks by day (YYYY-MM-DD), each day's in order of ticker. A day without any is absent."""
    days: dict[str, list[StockDay]] = {}
    for date, *values in zip(*_columns(part / "stocks.parquet", STOCK_SCHEMA), strict=True):
        days.setdefault(date, []).append(StockDay(*values))
    return days


def read_marks(part: Path) -> dict[str, Any]:
    """{"generated": bool, "market_cap_listings": [date, ...]}: said of all that is made from it."""
    return json.loads((part / "marks.json").read_text(encoding="utf-8"))


def _columns(file: Path, schema: pa.Schema) -> list[list[Any]]:
    table = parquet.read_table(file, schema=schema)
    return [column.to_pylist() for column in table.columns]
