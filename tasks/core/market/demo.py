"""The demo market: real codes with invented prices, for machines that have no data.

Writes a market folder (see files.py) with GENERATED.json at its root, which says that the prices
are invented and marks every artifact made from them. The same seed gives the same bytes. All five
regimes occur on both sides of the usual T.
"""

import json
import math
import os
import shutil
from datetime import date, timedelta
from pathlib import Path
from random import Random

import pyarrow as pa

from tasks.core.errors import RequestError
from tasks.core.files.json_files import write_json
from tasks.core.market.files import GENERATED, partition_file, write_partition
from tasks.core.strategy.universe import TIERS, Stock, sectors, stocks

VERSION = 1
"""Raised when the generator would write other bytes: an older demo market is then made anew."""
STOCKS = 40
FIRST_DAY, LAST_DAY = date(2024, 1, 2), date(2025, 12, 30)
HOLIDAYS = {
    (1, 1),
    (3, 1),
    (5, 1),
    (5, 5),
    (6, 6),
    (8, 15),
    (10, 3),
    (10, 9),
    (12, 25),
    (12, 31),
}  # (month, day)

PHASES = (
    # Trading days, then drift and standard deviation of the market's daily return in %. The last 60
    # days or so are
    # held out, so that they pass through every phase once more.
    *((50, 0.15, 0.7), (12, 0.9, 0.9), (30, -0.08, 0.6), (9, -1.6, 1.9), (10, 1.0, 1.4)) * 4,
    *((18, 0.12, 0.7), (8, -0.15, 0.5), (8, -1.8, 1.8), (10, 1.1, 1.2), (22, 0.05, 0.7)),
)
OWN_DEVIATION = 1.1
"""Standard deviation of a stock's own daily return in %, beside beta times the market's."""
DAILY_LIMIT = 30.0
"""KRX's limit of a day's price change in %, up or down."""
SCHEMA = pa.schema(
    [
        ("date", pa.date32()),
        ("ticker", pa.string()),
        *((name, pa.float64()) for name in ("open", "high", "low", "close")),
        ("volume", pa.int64()),
        *((name, pa.float64()) for name in ("market_cap", "pe_ratio", "pb_ratio")),
    ]
)


def ensure_demo_market(folder: Path, seed: int = 42) -> None:
    """Generates the demo market unless this very one lies there whole."""
    try:
        marker = json.loads((folder / GENERATED).read_text(encoding="utf-8"))
        sizes = {name: (folder / name).stat().st_size for name in marker["files"]}
        if (marker["version"], marker["seed"], marker["files"]) == (VERSION, seed, sizes):
            return
    except (
        OSError,
        ValueError,
        KeyError,
        TypeError,
    ):  # absent or damaged: made anew, its bytes are known
        pass
    generate_demo_market(folder, seed)


def generate_demo_market(folder: Path, seed: int = 42) -> None:
    """Writes about two years of 40 universe stocks; an earlier generated market there is replaced.

    Raises RequestError where the folder holds anything else.
    """
    if folder.exists() and any(folder.iterdir()) and not (folder / GENERATED).exists():
        raise RequestError(
            f"{folder} is not empty and not a generated market: its files stay."
            " Give `kospilot market demo` a new folder, or delete this one."
        )
    days = trading_days()
    market = _market_returns(len(days), Random(f"{seed}/market"))
    tables = [
        _stock_table(stock, days, market, Random(f"{seed}/{stock.ticker}"))
        for stock in demo_stocks()
    ]
    neighbour = folder.with_name(f".{folder.name}.{os.getpid()}")
    shutil.rmtree(neighbour, ignore_errors=True)
    _write_partitions(
        neighbour,
        pa.concat_tables(tables).sort_by([("date", "ascending"), ("ticker", "ascending")]),
    )
    files = sorted(file.relative_to(neighbour).as_posix() for file in neighbour.rglob("*.parquet"))
    note = {
        "generated": True,
        "note": "Invented prices for real codes: good for trying kospilot, worthless as market data.",
        "seed": seed,
        "version": VERSION,
        "files": {name: (neighbour / name).stat().st_size for name in files},
    }
    write_json(neighbour / GENERATED, note)
    shutil.rmtree(folder, ignore_errors=True)
    neighbour.rename(folder)


def demo_stocks() -> tuple[Stock, ...]:
    """Stocks spread evenly over the universe, hence over sectors and tiers."""
    entire = stocks()
    return tuple(entire[position * len(entire) // STOCKS] for position in range(STOCKS))


def trading_days() -> list[date]:
    """Weekdays without the fixed holidays; the demo knows no lunar ones."""
    span = (FIRST_DAY + timedelta(days=passed) for passed in range((LAST_DAY - FIRST_DAY).days + 1))
    return [day for day in span if day.weekday() < 5 and (day.month, day.day) not in HOLIDAYS]


def _market_returns(count: int, rng: Random) -> list[float]:
    """The market's daily returns in %, phase after phase; the last phases end with the last day."""
    returns = [
        rng.gauss(drift, deviation) for days, drift, deviation in PHASES for _ in range(days)
    ]
    assert len(returns) >= count, "the phases must cover the demo's days"
    return returns[len(returns) - count :]


def _stock_table(stock: Stock, days: list[date], market: list[float], rng: Random) -> pa.Table:
    """One stock's rows: prices in won on KRX's ticks, volume in shares, market cap in won, PER and
    PBR.
    """
    close = first = float(on_tick(math.exp(rng.uniform(math.log(8_000), math.log(300_000)))))
    shares = round(_first_cap(stock, rng) / first)
    per, pbr = _first_multiples(stock, rng)
    halt = rng.randrange(60, 300) if rng.random() < 0.1 else None
    rows = []
    for position, (day, move) in enumerate(zip(days, market, strict=True)):
        bar = _bar(close, stock.beta * move + rng.gauss(0, OWN_DEVIATION), shares, rng)
        if halt is not None and halt <= position < halt + 3:
            bar = (
                0.0,
                0.0,
                0.0,
                close,
                0,
            )  # a trading halt as KRX prints it: only the close is carried on
        close = bar[3]
        ratio = close / first
        rows.append(
            (day, stock.ticker, *bar, close * shares, round(per * ratio, 2), round(pbr * ratio, 2))
        )
    columns = zip(*rows, strict=True)
    return pa.table(
        [pa.array(column, kind) for column, kind in zip(columns, SCHEMA.types, strict=True)],
        schema=SCHEMA,
    )


def _bar(
    previous: float, change: float, shares: int, rng: Random
) -> tuple[float, float, float, float, int]:
    """Open, high, low, close in won and volume in shares, of a day on which the price changes by
    `change` %.
    """
    limit = max(-DAILY_LIMIT, min(DAILY_LIMIT, change))
    close = float(on_tick(previous * (1 + limit / 100)))
    opening = float(on_tick(previous * (1 + rng.gauss(0.2 * limit, 0.4) / 100)))
    high = float(on_tick(max(opening, close) * (1 + abs(rng.gauss(0, 0.5)) / 100)))
    low = float(on_tick(min(opening, close) * (1 - abs(rng.gauss(0, 0.5)) / 100)))
    volume = round(shares * 0.003 * math.exp(rng.gauss(0, 0.4)) * (1 + abs(change) / 3))
    return opening, high, low, close, volume


def _first_cap(stock: Stock, rng: Random) -> float:
    """A market cap in won well inside the stock's tier."""
    low, high = TIERS[stock.tier]
    return math.exp(rng.uniform(math.log(low * 1.3), math.log(min(high * 0.7, low * 10))))


def _first_multiples(stock: Stock, rng: Random) -> tuple[float, float]:
    """PER and PBR from the middle of the sector's range; one PER in ten is 0, KRX's "no value"."""
    sector = next(entry for entry in sectors() if entry.name == stock.sector)
    per, pbr = (
        low + (high - low) * rng.uniform(0.1, 0.6) for low, high in (sector.per, sector.pbr)
    )
    return (0.0 if rng.random() < 0.1 else per), pbr


def on_tick(price: float) -> int:
    """A price in won, rounded to KRX's tick size (its table since 2023)."""
    steps = ((2_000, 1), (5_000, 5), (20_000, 10), (50_000, 50), (200_000, 100), (500_000, 500))
    tick = next((size for below, size in steps if price < below), 1_000)
    return max(tick, round(price / tick) * tick)


def _write_partitions(folder: Path, rows: pa.Table) -> None:
    months: dict[tuple[int, int], list[int]] = {}
    for position, day in enumerate(rows["date"].to_pylist()):
        months.setdefault((day.year, day.month), []).append(position)
    for (year, month), positions in months.items():
        write_partition(partition_file(folder, year, month), rows[positions[0] : positions[-1] + 1])
