"""The stocks, ETFs and sectors that the model may speak of, shipped with the package.

Reads universe.csv, etfs.csv and sectors.csv beside this file, on first use. Codes and Korean names
are KRX's own.

Where the columns come from: tier is the market cap of 2026-03-20; beta is the slope of daily
returns against the KOSPI, 2020-2025, and for names without that history the mean of their sector's
measured betas; US correlation, exporter and the sectors' ranges are judgements about the business.
What a market folder measures on a day overrules tier, beta and US correlation: tier_of, beta_of and
us_correlation_of give the value and which of the two it is.
"""

import csv
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Literal

from tasks.core.records.market import StockDay

Tier = Literal["large", "mid_large", "mid", "small_mid"]
Group = Literal["long_us", "inverse_us", "short_kospi", "leveraged_kospi"]
Level = Literal["high", "medium", "low"]
Origin = Literal["measured", "table"]
"""Whether a value comes from the market folder's own data up to the day, or from the shipped table."""

TIERS: dict[Tier, tuple[float, float]] = {
    "large": (10e12, float("inf")),
    "mid_large": (1e12, 10e12),
    "mid": (0.3e12, 1e12),
    "small_mid": (0.1e12, 0.3e12),
}
"""Market cap in won: from the first value, below the second."""
US_LEVELS: dict[Level, float] = {"high": 0.45, "medium": 0.25, "low": -1.0}
"""The least correlation of a stock's daily return with the US return of the session before it."""


@dataclass(frozen=True)
class Stock:
    ticker: str  # six characters
    name_ko: str
    name_en: str
    sector: str  # Sector.name
    tier: Tier
    beta: float
    us_correlation: Level
    exporter: bool  # earns mostly abroad: a weak won helps it


@dataclass(frozen=True)
class Etf:
    ticker: str
    name_ko: str  # in English text too: these are brand names
    group: Group


@dataclass(frozen=True)
class Sector:
    """A sector's usual valuation range, low and high: PER, PBR and EV/EBITDA as multiples, ROE in
    %.
    """

    name: str
    name_ko: str
    per: tuple[float, float]
    pbr: tuple[float, float]
    ev_ebitda: tuple[float, float]
    roe: tuple[float, float]


@cache
def stocks() -> tuple[Stock, ...]:
    """The stocks, grouped by sector."""
    return tuple(
        Stock(**{**row, "beta": float(row["beta"]), "exporter": row["exporter"] == "yes"})
        for row in _rows("universe.csv")
    )


@cache
def etfs() -> tuple[Etf, ...]:
    return tuple(Etf(**row) for row in _rows("etfs.csv"))


@cache
def sectors() -> tuple[Sector, ...]:
    return tuple(
        Sector(
            row["name"],
            row["name_ko"],
            *(
                (float(row[f"{ratio}_low"]), float(row[f"{ratio}_high"]))
                for ratio in ("per", "pbr", "ev_ebitda", "roe")
            ),
        )
        for row in _rows("sectors.csv")
    )


def find_stock(ticker: str) -> Stock | None:
    """The stock with this six-character code, or None."""
    return _stocks_by_ticker().get(ticker)


def get_stock(ticker: str) -> Stock:
    """The stock with this six-character code. Raises KeyError for a code outside the universe."""
    return _stocks_by_ticker()[ticker]


def find_etf(ticker: str) -> Etf | None:
    """The ETF with this six-character code, or None."""
    return next((found for found in etfs() if found.ticker == ticker), None)


def names(ticker: str) -> tuple[str, ...]:
    """Every accepted name of a stock or an ETF, KRX's Korean one first; empty for a code outside
    the universe.
    """
    return _names_by_ticker().get(ticker, ())


def tier_of(day: StockDay) -> tuple[Tier, Origin] | None:
    """The cap tier by that day's market cap, else the table's; below the lowest tier is still
    small_mid.

    None for a ticker outside the universe whose market cap is unknown.
    """
    if day.market_cap is not None:
        return next(
            (tier for tier, (low, _) in TIERS.items() if day.market_cap >= low), "small_mid"
        ), "measured"
    shipped = find_stock(day.ticker)
    return (shipped.tier, "table") if shipped else None


def beta_of(day: StockDay) -> tuple[float, Origin] | None:
    """The beta measured up to that day, else the table's; None where neither knows it."""
    if day.beta is not None:
        return day.beta, "measured"
    shipped = find_stock(day.ticker)
    return (shipped.beta, "table") if shipped else None


def us_correlation_of(day: StockDay) -> tuple[Level, Origin] | None:
    """How closely the stock follows the US market, measured up to that day, else the table's; None
    where unknown.

    Measured where the market folder's macro.parquet has us_return_pct: the correlation of the
    stock's daily return with the US return of the session before it, over the last 250 days with
    120 pairs at least (see US_LEVELS).
    """
    if day.us_correlation is not None:
        return next(
            level for level, least in US_LEVELS.items() if day.us_correlation >= least
        ), "measured"
    shipped = find_stock(day.ticker)
    return (shipped.us_correlation, "table") if shipped else None


@cache
def _names_by_ticker() -> dict[str, tuple[str, ...]]:
    of_stocks = {
        found.ticker: tuple(dict.fromkeys((found.name_ko, found.name_en))) for found in stocks()
    }
    return {**{fund.ticker: (fund.name_ko,) for fund in etfs()}, **of_stocks}


@cache
def _stocks_by_ticker() -> dict[str, Stock]:
    return {entry.ticker: entry for entry in stocks()}


def _rows(name: str) -> list[dict[str, str]]:
    text = (files("tasks.core.strategy") / "tables" / name).read_text(encoding="utf-8")
    return list(csv.DictReader(text.splitlines()))
