"""The demo market: real codes with invented prices, for machines that have no data.

Writes a market folder (see folder.py) with GENERATED.json at its root, which says that the prices
are invented and marks every artifact made from them. The same seed gives the same bytes. All five
regimes occur on both sides of the usual T.
"""

import math
import shutil
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from random import Random

import pyarrow as pa

from tasks.core.errors import RequestError
from tasks.core.files.atomic import neighbour_of
from tasks.core.files.json_files import read_json, write_json
from tasks.core.market.folder import GENERATED, write_parquet
from tasks.core.market.partitions import partition_file
from tasks.core.strategy.universe import TIERS, Stock, sectors, stocks

VERSION = 1
"""Raised when the generator would write other bytes: an older demo market is then made anew."""
STOCKS = 40
"""Stocks of the demo market, unless another number is asked for."""
FIRST_DAY = date(2024, 1, 2)
LAST_DAY = date(2025, 12, 30)
# (month, day)
HOLIDAYS = {(1, 1), (3, 1), (5, 1), (5, 5), (6, 6), (8, 15), (10, 3), (10, 9), (12, 25), (12, 31)}


@dataclass(frozen=True)
class Phase:
    """Some trading days on which the market behaves alike."""

    days: int
    drift: float  # mean of the market's daily return in %
    deviation: float  # its standard deviation in %


USUAL_PHASES = (
    Phase(50, 0.15, 0.7),
    Phase(12, 0.9, 0.9),
    Phase(30, -0.08, 0.6),
    Phase(9, -1.6, 1.9),
    Phase(10, 1.0, 1.4),
)
LAST_PHASES = (
    Phase(18, 0.12, 0.7),
    Phase(8, -0.15, 0.5),
    Phase(8, -1.8, 1.8),
    Phase(10, 1.1, 1.2),
    Phase(22, 0.05, 0.7),
)
PHASES = 4 * USUAL_PHASES + LAST_PHASES
"""The last 60 days or so are held out, so that they pass through every phase once more."""
OWN_DEVIATION = 1.1
"""Standard deviation of a stock's own daily return in %, beside beta times the market's."""
HALT_DAYS = 3
DAILY_LIMIT = 30.0
"""KRX's limit of a day's price change in %, up or down."""
TICK_SIZES = ((2_000, 1), (5_000, 5), (20_000, 10), (50_000, 50), (200_000, 100), (500_000, 500))
"""KRX's tick sizes in won since 2023: the price below which each holds, and the size."""
LARGEST_TICK = 1_000
SCHEMA = pa.schema(
    [
        ("date", pa.date32()),
        ("ticker", pa.string()),
        ("open", pa.float64()),
        ("high", pa.float64()),
        ("low", pa.float64()),
        ("close", pa.float64()),
        ("volume", pa.int64()),
        ("market_cap", pa.float64()),
        ("pe_ratio", pa.float64()),
        ("pb_ratio", pa.float64()),
    ]
)


@dataclass(frozen=True)
class Bar:
    """A stock's day: prices in won, volume in shares."""

    open: float
    high: float
    low: float
    close: float
    volume: int


def ensure_demo_market(folder: Path, seed: int = 42) -> None:
    """Generates the demo market unless this very one lies there whole."""
    if not _is_whole(folder, seed):
        generate_demo_market(folder, seed)


def _is_whole(folder: Path, seed: int) -> bool:
    """Whether the folder holds the demo market of this seed and version, each file in full size."""
    try:
        marker = read_json(folder / GENERATED)
        sizes = {name: (folder / name).stat().st_size for name in marker["files"]}
        marked = (marker["version"], marker["seed"], marker["files"])
        count = marker.get("stocks", STOCKS)
    except (OSError, ValueError, KeyError, TypeError):  # absent or damaged
        return False
    return (*marked, count) == (VERSION, seed, sizes, STOCKS)


def generate_demo_market(folder: Path, seed: int = 42, count: int = STOCKS) -> None:
    """Writes about two years of `count` universe stocks; replaces an earlier generated market.

    Raises RequestError if the folder holds anything else, or the universe has fewer stocks.
    """
    if count > len(stocks()):
        raise RequestError(f"--stocks {count}: the universe has {len(stocks())} stocks.")
    if folder.exists() and any(folder.iterdir()) and not (folder / GENERATED).exists():
        raise RequestError(
            f"{folder} is not empty and not a generated market: its files stay."
            " Give `kospilot market demo` a new folder, or delete this one."
        )
    neighbour = neighbour_of(folder)
    _write_partitions(neighbour, _generate_rows(seed, count))
    _write_marker(neighbour, seed, count)
    shutil.rmtree(folder, ignore_errors=True)
    neighbour.rename(folder)


def demo_stocks(count: int = STOCKS) -> tuple[Stock, ...]:
    """Returns stocks spread evenly over the universe, hence over sectors and tiers."""
    universe = stocks()
    return tuple(universe[position * len(universe) // count] for position in range(count))


def trading_days() -> list[date]:
    """Returns the weekdays without the fixed holidays; the demo knows no lunar ones."""
    days = []
    day = FIRST_DAY
    while day <= LAST_DAY:
        if day.weekday() < 5 and (day.month, day.day) not in HOLIDAYS:
            days.append(day)
        day += timedelta(days=1)
    return days


def on_tick(price: float) -> int:
    """Returns a price in won, rounded to KRX's tick size."""
    tick = LARGEST_TICK
    for limit, size in reversed(TICK_SIZES):
        if price < limit:
            tick = size
    return max(tick, round(price / tick) * tick)


def _generate_rows(seed: int, count: int) -> pa.Table:
    """Returns all stocks' rows as SCHEMA, by day and ticker."""
    days = trading_days()
    market = _market_returns(len(days), Random(f"{seed}/market"))
    tables = []
    for stock in demo_stocks(count):
        tables.append(_stock_table(stock, days, market, Random(f"{seed}/{stock.ticker}")))
    return pa.concat_tables(tables).sort_by([("date", "ascending"), ("ticker", "ascending")])


def _market_returns(count: int, rng: Random) -> list[float]:
    """Returns the market's daily returns in %, phase after phase.

    The last phases end with the last day.
    """
    returns = []
    for phase in PHASES:
        for _ in range(phase.days):
            returns.append(rng.gauss(phase.drift, phase.deviation))
    assert len(returns) >= count, "the phases must cover the demo's days"
    return returns[len(returns) - count :]


def _stock_table(stock: Stock, days: list[date], market: list[float], rng: Random) -> pa.Table:
    """Returns one stock's rows as SCHEMA: prices in won on KRX's ticks and market caps in won."""
    first = float(on_tick(math.exp(rng.uniform(math.log(8_000), math.log(300_000)))))
    shares = round(_first_cap(stock, rng) / first)
    per, pbr = _first_multiples(stock, rng)
    halted = _halted_days(rng)
    close = first
    rows = []
    for position, (day, move) in enumerate(zip(days, market, strict=True)):
        change = stock.beta * move + rng.gauss(0, OWN_DEVIATION)
        bar = _draw_bar(close, change, shares, rng)
        if position in halted:
            # A trading halt as KRX prints it: only the close is carried on.
            bar = Bar(0.0, 0.0, 0.0, close, 0)
        close = bar.close
        ratio = close / first
        rows.append(
            {
                "date": day,
                "ticker": stock.ticker,
                **vars(bar),
                "market_cap": close * shares,
                "pe_ratio": round(per * ratio, 2),
                "pb_ratio": round(pbr * ratio, 2),
            }
        )
    return pa.Table.from_pylist(rows, schema=SCHEMA)


def _halted_days(rng: Random) -> range:
    """Returns the positions of the days on which a stock is halted: none for nine in ten stocks."""
    if rng.random() >= 0.1:
        return range(0)
    first = rng.randrange(60, 300)
    return range(first, first + HALT_DAYS)


def _draw_bar(previous: float, change: float, shares: int, rng: Random) -> Bar:
    """Returns a day on which the price changes from the previous close by `change` %."""
    limited = max(-DAILY_LIMIT, min(DAILY_LIMIT, change))
    close = float(on_tick(previous * (1 + limited / 100)))
    opening = float(on_tick(previous * (1 + rng.gauss(0.2 * limited, 0.4) / 100)))
    high = float(on_tick(max(opening, close) * (1 + abs(rng.gauss(0, 0.5)) / 100)))
    low = float(on_tick(min(opening, close) * (1 - abs(rng.gauss(0, 0.5)) / 100)))
    volume = round(shares * 0.003 * math.exp(rng.gauss(0, 0.4)) * (1 + abs(change) / 3))
    return Bar(opening, high, low, close, volume)


def _first_cap(stock: Stock, rng: Random) -> float:
    """Returns a market cap in won well inside the stock's tier."""
    low, high = TIERS[stock.tier]
    return math.exp(rng.uniform(math.log(low * 1.3), math.log(min(high * 0.7, low * 10))))


def _first_multiples(stock: Stock, rng: Random) -> tuple[float, float]:
    """Returns a PER and a PBR from the middle of the sector's ranges.

    One PER in ten is 0, which is KRX's "no value".
    """
    sector = next(entry for entry in sectors() if entry.name == stock.sector)
    per = _draw_multiple(sector.per, rng)
    pbr = _draw_multiple(sector.pbr, rng)
    if rng.random() < 0.1:
        per = 0.0
    return per, pbr


def _draw_multiple(usual: tuple[float, float], rng: Random) -> float:
    low, high = usual
    return low + (high - low) * rng.uniform(0.1, 0.6)


def _write_partitions(folder: Path, rows: pa.Table) -> None:
    months: dict[tuple[int, int], list[int]] = {}
    for position, day in enumerate(rows["date"].to_pylist()):
        months.setdefault((day.year, day.month), []).append(position)
    for (year, month), positions in months.items():
        file = partition_file(folder, year, month)
        write_parquet(file, rows[positions[0] : positions[-1] + 1])


def _write_marker(folder: Path, seed: int, count: int) -> None:
    """Writes GENERATED.json, which names every partition with its size."""
    files = sorted(file.relative_to(folder).as_posix() for file in folder.rglob("*.parquet"))
    marker = {
        "generated": True,
        "note": "Invented prices for real codes: good for trying kospilot,"
        " worthless as market data.",
        "seed": seed,
        "version": VERSION,
        "files": {name: (folder / name).stat().st_size for name in files},
    }
    if count != STOCKS:
        marker["stocks"] = count
    write_json(folder / GENERATED, marker)
