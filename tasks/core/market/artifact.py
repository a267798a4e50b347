"""The market artifact: the market's days and its universe stocks' days, split at T.

Reads a market folder (see folder.py) with DuckDB; writes the two parts (see records/market_days.py)
and market.json. A day's numbers depend on that day and the days before it, never on later ones.
"""

from bisect import bisect_right
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa

from tasks.core.files.json_files import write_json
from tasks.core.market.database import EVER, open_market, rows_until, sql
from tasks.core.market.folder import marks_of
from tasks.core.market.macro import load_macro, macro_of_days
from tasks.core.market.partitions import sound_partitions
from tasks.core.market.regimes import count_regimes
from tasks.core.market.snapshots import ALWAYS, MeasuredDays, Span, check_date, measure
from tasks.core.market.split import train_until
from tasks.core.records.market_days import (
    MACRO_MEASURES,
    SNAPSHOT_SCHEMA,
    STOCK_SCHEMA,
    Part,
    write_part,
)
from tasks.core.settings.tree import Market
from tasks.core.strategy.universe import stocks


@dataclass(frozen=True)
class _WholeMarket:
    """All of a market folder's days, as records and as tables."""

    measured: MeasuredDays
    part: Part


def build_market(folder: Path, market: Market, out: Path) -> dict[str, Any]:
    """Writes out/train, out/holdout and out/market.json; returns what market.json says.

    Raises RequestError as `snapshots`, `train_until` and macro.load_macro do.
    """
    wanted = Span(since=check_date(market.start or ALWAYS), weights=market.weights)
    whole = _read_market(folder, wanted)
    snapshots = whole.measured.snapshots
    days = [snapshot.date for snapshot in snapshots]
    last = train_until(days, market.train_until)
    cut = bisect_right(days, last)
    write_part(out / "train", whole.part.between(days[0], last))
    write_part(out / "holdout", whole.part.between(days[cut], days[-1]))
    report = {
        "days": len(days),
        "first": days[0],
        "last": days[-1],
        "weights": market.weights,
        "left_out": whole.measured.left_out,
        "beyond_limit": whole.measured.beyond_limit,
        "odd": whole.measured.odd,
        "train_until": last,
        "train": {"days": cut, "regimes": count_regimes(snapshots[:cut])},
        "holdout": {"days": len(days) - cut, "regimes": count_regimes(snapshots[cut:])},
        "universe_stocks": len(whole.part.stocks["ticker"].unique()),
        "macro": _known_measures(whole.part.macro),
        **whole.part.marks,
    }
    write_json(out / "market.json", report)
    return report


def write_days(folder: Path, out: Path) -> None:
    """Writes all of the market's days as one part, for a question about any of them."""
    write_part(out, _read_market(folder, Span()).part)


def _read_market(folder: Path, wanted: Span) -> _WholeMarket:
    partitions = sound_partitions(folder, EVER)
    with open_market(partitions) as connection:
        load_macro(connection, folder)
        measured = measure(connection, folder, partitions, wanted)
        days = [snapshot.date for snapshot in measured.snapshots]
        part = Part(
            pa.Table.from_pylist([vars(day) for day in measured.snapshots], schema=SNAPSHOT_SCHEMA),
            _stock_days(connection, partitions, days),
            macro_of_days(connection, days),
            marks_of(folder),
        )
    return _WholeMarket(measured, part)


def _stock_days(
    connection: duckdb.DuckDBPyConnection, partitions: list[Path], days: list[str]
) -> pa.Table:
    """Returns the universe's stocks on the snapshot days, as STOCK_SCHEMA."""
    parameters = rows_until(partitions, days[-1])
    parameters["tickers"] = [stock.ticker for stock in stocks()]
    parameters["days"] = days
    query = connection.sql(sql("stock_days.sql"), params=parameters)
    return query.to_arrow_table().cast(STOCK_SCHEMA)


def _known_measures(macro: pa.Table) -> list[str]:
    """Returns the macro measures that have a value on any day."""
    return [name for name in MACRO_MEASURES if macro[name].null_count < macro.num_rows]
