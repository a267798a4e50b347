"""The stocks, ETFs and sectors that the model may speak of, shipped with the package.

Reads universe.csv, etfs.csv and sectors.csv in the folder tables, on first use. Codes and Korean
names are KRX's own.

Where the columns come from: tier is the market cap of 2026-03-20; beta is the slope of daily
returns against the KOSPI, 2020-2025, and for names without that history the mean of their sector's
measured betas; US correlation, business and the sectors' ranges are judgements about the company.
What a market folder measures on a day overrules tier, beta and US correlation: tier_of, beta_of and
us_correlation_of give the value and which of the two it is.
"""

import csv
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Generic, Literal, NamedTuple, TypeVar, get_args

from tasks.core.records.market import StockDay

Tier = Literal["large", "mid_large", "mid", "small_mid"]
Group = Literal["long_us", "inverse_us", "long_kospi", "short_kospi", "leveraged_kospi"]
Level = Literal["high", "medium", "low"]
Business = Literal["exporter", "overseas", "importer", "dollar_debt", "domestic"]
BUSINESSES: tuple[Business, ...] = get_args(Business)
"""How the won reaches a company's profit: it sells for dollars, it earns abroad in other money or
from visitors, it buys fuel or materials for dollars, it owes dollars, or none of these.
"""
Origin = Literal["measured", "table"]
"""Whether a value comes from the market folder's own data up to the day, or from the shipped
table.
"""

Value = TypeVar("Value")
Word = TypeVar("Word", bound=str)

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
    """One listed company, as universe.csv describes it."""

    ticker: str  # six characters
    name_ko: str
    name_en: str
    sector: str  # Sector.name
    tier: Tier
    beta: float
    us_correlation: Level
    business: Business


@dataclass(frozen=True)
class Etf:
    """One exchange-traded fund, as etfs.csv describes it."""

    ticker: str
    name_ko: str  # in English text too: these are brand names
    group: Group
    multiple: int  # of its index's daily return: -2 falls by twice what the index rises


@dataclass(frozen=True)
class Sector:
    """A sector's usual valuation ranges, low and high.

    PER, PBR and EV/EBITDA are multiples, ROE is in %.
    """

    name: str
    name_ko: str
    per: tuple[float, float]
    pbr: tuple[float, float]
    ev_ebitda: tuple[float, float]
    roe: tuple[float, float]

    def usual(self, ratio: str) -> tuple[float, float]:
        """Returns the usual range of per, pbr, ev_ebitda or roe_pct."""
        ranges = {
            "per": self.per,
            "pbr": self.pbr,
            "ev_ebitda": self.ev_ebitda,
            "roe_pct": self.roe,
        }
        return ranges[ratio]


class Sourced(NamedTuple, Generic[Value]):
    """A value and where it comes from."""

    value: Value
    origin: Origin


# The tables.


@cache
def stocks() -> tuple[Stock, ...]:
    """Returns all stocks, grouped by sector."""
    return tuple(_stock(row) for row in _rows("universe.csv"))


@cache
def etfs() -> tuple[Etf, ...]:
    """Returns all ETFs, in the order of the file."""
    return tuple(_etf(row) for row in _rows("etfs.csv"))


@cache
def sectors() -> tuple[Sector, ...]:
    """Returns all sectors, in the order of the file."""
    return tuple(_sector(row) for row in _rows("sectors.csv"))


def _rows(name: str) -> list[dict[str, str]]:
    table = files("tasks.core.strategy") / "tables" / name
    return list(csv.DictReader(table.read_text(encoding="utf-8").splitlines()))


def _stock(row: dict[str, str]) -> Stock:
    return Stock(
        ticker=row["ticker"],
        name_ko=row["name_ko"],
        name_en=row["name_en"],
        sector=row["sector"],
        tier=_one_of(TIERS, row["tier"]),
        beta=float(row["beta"]),
        us_correlation=_one_of(US_LEVELS, row["us_correlation"]),
        business=_one_of(BUSINESSES, row["business"]),
    )


def _etf(row: dict[str, str]) -> Etf:
    groups: tuple[Group, ...] = get_args(Group)
    group = _one_of(groups, row["group"])
    return Etf(row["ticker"], row["name_ko"], group, int(row["multiple"]))


def _sector(row: dict[str, str]) -> Sector:
    def span(ratio: str) -> tuple[float, float]:
        return float(row[f"{ratio}_low"]), float(row[f"{ratio}_high"])

    return Sector(
        name=row["name"],
        name_ko=row["name_ko"],
        per=span("per"),
        pbr=span("pbr"),
        ev_ebitda=span("ev_ebitda"),
        roe=span("roe"),
    )


def _one_of(allowed: Iterable[Word], word: str) -> Word:
    for candidate in allowed:
        if candidate == word:
            return candidate
    raise ValueError(f"A table of the universe has {word!r}, which its column does not allow.")


# Looking one up.


def find_stock(ticker: str) -> Stock | None:
    """Returns the stock with this six-character code, or None if the universe has none."""
    return _stocks_by_ticker().get(ticker)


def get_stock(ticker: str) -> Stock:
    """Returns the stock with this six-character code. Raises KeyError if the universe has none."""
    return _stocks_by_ticker()[ticker]


def find_etf(ticker: str) -> Etf | None:
    """Returns the ETF with this six-character code, or None if the universe has none."""
    for etf in etfs():
        if etf.ticker == ticker:
            return etf
    return None


@cache
def sector_of(ticker: str) -> Sector:
    """Returns the sector of the stock with this code. Raises KeyError if the universe has none."""
    return {sector.name: sector for sector in sectors()}[get_stock(ticker).sector]


def names(ticker: str) -> tuple[str, ...]:
    """Returns every accepted name of a stock or an ETF, KRX's Korean one first.

    The tuple is empty for a code outside the universe.
    """
    return _names_by_ticker().get(ticker, ())


@cache
def _stocks_by_ticker() -> dict[str, Stock]:
    return {stock.ticker: stock for stock in stocks()}


@cache
def _names_by_ticker() -> dict[str, tuple[str, ...]]:
    known: dict[str, tuple[str, ...]] = {}
    for etf in etfs():
        known[etf.ticker] = (etf.name_ko,)
    for stock in stocks():
        both = (stock.name_ko, stock.name_en)
        known[stock.ticker] = tuple(dict.fromkeys(both))  # one name if they are the same
    return known


# What a market folder measures overrules the table.


def tier_of(day: StockDay) -> Sourced[Tier]:
    """Returns the cap tier by that day's market cap, or the table's if the cap is unknown.

    A cap below the lowest tier is still small_mid. Raises KeyError if the cap is unknown and the
    ticker is outside the universe.
    """
    if day.market_cap is None:
        return Sourced(get_stock(day.ticker).tier, "table")
    for tier, (least, _) in TIERS.items():
        if day.market_cap >= least:
            return Sourced(tier, "measured")
    return Sourced("small_mid", "measured")


def beta_of(day: StockDay) -> Sourced[float]:
    """Returns the beta measured up to that day, or the table's if none was.

    Raises KeyError if none was measured and the ticker is outside the universe.
    """
    if day.beta is None:
        return Sourced(get_stock(day.ticker).beta, "table")
    return Sourced(day.beta, "measured")


def us_correlation_of(day: StockDay) -> Sourced[Level]:
    """Returns how closely the stock follows the US market, measured up to that day, or the table's.

    It is measured if the market folder's macro.parquet has us_return_pct: the correlation of the
    stock's daily return with the US return of the session before it, over the last 250 days with
    120 pairs at least (see US_LEVELS). Raises KeyError if it was not measured and the ticker is
    outside the universe.
    """
    if day.us_correlation is None:
        return Sourced(get_stock(day.ticker).us_correlation, "table")
    return Sourced(_level_of(day.us_correlation), "measured")


def _level_of(correlation: float) -> Level:
    return next(level for level, least in US_LEVELS.items() if correlation >= least)
