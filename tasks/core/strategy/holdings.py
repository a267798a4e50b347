"""What a book holds: the stocks that a regime prefers, their weights, and the ETFs beside them."""

from functools import cache
from typing import Any

from tasks.core.records.facts import Facts, StockFacts
from tasks.core.strategy.rules import WEAK_REGIMES, long_weights
from tasks.core.strategy.universe import etfs, find_etf


def preferred(facts: Facts, regime: str) -> list[StockFacts]:
    """Returns the stocks as the regime's stance likes them.

    Low betas come first in weak regimes, high ones in the others; equal ones go by ticker.
    """
    sign = 1 if regime in WEAK_REGIMES else -1
    return sorted(facts.stocks, key=lambda stock: (sign * stock.numbers["beta"], stock.ticker))


@cache
def hedges() -> tuple[str, ...]:
    """Returns the ETFs that short the index; the first is the one that training teaches."""
    return tuple(etf.ticker for etf in etfs() if etf.group == "short_kospi")


def ratios(stock: StockFacts) -> dict[str, int]:
    """Returns PER in tenths and PBR in hundredths, as integers because a grammar can bound these.

    A ratio that the question does not state is absent.
    """
    scaled = {}
    if "per" in stock.numbers:
        scaled["per_x10"] = round(stock.numbers["per"] * 10)
    if "pbr" in stock.numbers:
        scaled["pbr_x100"] = round(stock.numbers["pbr"] * 100)
    return scaled


def even_longs(stocks: list[StockFacts], long_gross: int) -> list[dict[str, Any]]:
    """Returns entries for the first of the stocks, as few as the limit per stock allows."""
    longs = []
    for stock, weight in zip(stocks, long_weights(long_gross), strict=False):
        longs.append({"ticker": stock.ticker, "weight_pct": weight, **ratios(stock)})
    return longs


def fund_order(ticker: str, exposure_pct: int) -> dict[str, Any]:
    """Returns the order of a fund for an exposure of this size, in % of NAV: a fund is bought, even
    one that shorts its index, and its weight times its multiple is the effective exposure.

    The weight is rounded up to a whole %. Raises KeyError for a ticker that is no fund's.
    """
    multiple = multiple_of(ticker)
    weight = -(-exposure_pct // abs(multiple))
    return {
        "ticker": ticker,
        "side": "BUY",
        "weight_pct": weight,
        "effective_pct": weight * multiple,
    }


def multiple_of(ticker: str) -> int:
    """Returns a fund's multiple of its index. Raises KeyError for a ticker that is no fund's."""
    etf = find_etf(ticker)
    if etf is None:
        raise KeyError(ticker)
    return etf.multiple


def offered_etfs(facts: Facts, group: str) -> list[str]:
    """Returns the codes of the ETFs of a group that the question offers, in its order."""
    offered = []
    for stock in facts.stocks:
        etf = find_etf(stock.ticker)
        if etf and etf.group == group:
            offered.append(etf.ticker)
    return offered
