"""The stocks, ETFs and sectors that the model may speak of, shipped with the package.

Reads universe.csv, etfs.csv and sectors.csv beside this file, on first use. Codes and Korean names are KRX's own.

Where the columns come from: tier is the market cap of 2026-03-20; beta is the slope of daily returns against the KOSPI,
2020-2025, and for names without that history the mean of their sector's measured betas; US correlation, exporter and
the sectors' ranges are judgements about the business, to be overruled by measured values where there are any.
"""

import csv
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Literal

Tier = Literal["large", "mid_large", "mid", "small_mid"]
Group = Literal["long_us", "inverse_us", "short_kospi", "leveraged_kospi"]

TIERS: dict[Tier, tuple[float, float]] = {
    "large": (10e12, float("inf")),
    "mid_large": (1e12, 10e12),
    "mid": (0.3e12, 1e12),
    "small_mid": (0.1e12, 0.3e12),
}
"""Market cap in won: from the first value, below the second."""


@dataclass(frozen=True)
class Stock:
    ticker: str  # six characters
    name_ko: str
    name_en: str
    sector: str  # Sector.name
    tier: Tier
    beta: float
    us_correlation: Literal["high", "medium", "low"]
    exporter: bool  # earns mostly abroad: a weak won helps it


@dataclass(frozen=True)
class Etf:
    ticker: str
    name_ko: str  # in English text too: these are brand names
    group: Group


@dataclass(frozen=True)
class Sector:
    """A sector's usual valuation range, low and high: PER, PBR and EV/EBITDA as multiples, ROE in %."""

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


def stock(ticker: str) -> Stock | None:
    """The stock with this six-character code, or None."""
    return _stocks_by_ticker().get(ticker)


def etf(ticker: str) -> Etf | None:
    """The ETF with this six-character code, or None."""
    return next((found for found in etfs() if found.ticker == ticker), None)


def names(ticker: str) -> tuple[str, ...]:
    """Every accepted name of a stock or an ETF, KRX's Korean one first; empty for a code outside the universe."""
    found = stock(ticker)
    if found is not None:
        return tuple(dict.fromkeys((found.name_ko, found.name_en)))
    return (fund.name_ko,) if (fund := etf(ticker)) else ()


@cache
def _stocks_by_ticker() -> dict[str, Stock]:
    return {entry.ticker: entry for entry in stocks()}


def _rows(name: str) -> list[dict[str, str]]:
    text = (files("tasks.core") / name).read_text(encoding="utf-8")
    return list(csv.DictReader(text.splitlines()))
