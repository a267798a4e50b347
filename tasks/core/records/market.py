"""The market on one day and a stock on one day, as the market stage hands them to later stages."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Snapshot:
    """The market on one day, rounded as prompts print it.

    Its regime is what strategy.regime_of returns for these numbers.
    """

    date: str  # YYYY-MM-DD
    return_pct: float  # cap-weighted return of the day, 2 decimals
    breadth_pct: float  # share of tickers that rose, 1 decimal
    momentum_pct: float  # sum of the last 10 market returns, 2 decimals
    volatility_pct: float  # annualized, of the last 10 market returns, 2 decimals


@dataclass(frozen=True)
class StockDay:
    """One ticker on one day. A field is None if the data holds no value for it."""

    ticker: str  # six characters, e.g. 005930
    close: float  # won
    return_pct: float | None
    per: float | None
    pbr: float | None
    # Won, as the data gives it. A cap that was derived from a later listing serves only as a
    # weight, and the field is None.
    market_cap: float | None
    sma_20: float | None = None  # won, mean of the last 20 closes
    sma_60: float | None = None  # won, mean of the last 60 closes
    volatility_pct: float | None = None  # annualized, of the last 20 daily log returns
    beta: float | None = None  # against the market's own return, over its last 250 days
    # -1..1, with the US return of the session before, over the last 250 days
    us_correlation: float | None = None
