"""What a book holds: the stocks that a regime prefers, their weights, and the ETFs beside them."""

from collections.abc import Iterable
from functools import cache
from typing import Any

from tasks.core.records.facts import Facts, StockFacts
from tasks.core.strategy.rules import MAX_LONG_WEIGHT_PCT, WEAK_REGIMES, long_weights
from tasks.core.strategy.universe import Group, etfs, find_etf, names


def preferred(facts: Facts, regime: str) -> list[StockFacts]:
    """Returns the stocks as the regime's stance likes them.

    Low betas come first in weak regimes, high ones in a strong bull market, and in a mild one those
    nearest to the market's; equal ones go by ticker.
    """

    def rank(stock: StockFacts) -> tuple[float, str]:
        beta = stock.numbers["beta"]
        if regime in WEAK_REGIMES:
            return beta, stock.ticker
        if regime == "STRONG_BULL":
            return -beta, stock.ticker
        return round(abs(beta - 1), 2), stock.ticker

    return sorted(facts.stocks, key=rank)


@cache
def hedges() -> tuple[str, ...]:
    """Returns the ETFs that short the index; the first is the one that training teaches."""
    return tuple(etf.ticker for etf in etfs() if etf.group == "short_kospi")


def ratios(stock: StockFacts) -> dict[str, int]:
    """Returns PER in tenths, PBR in hundredths and so on, as integers because a grammar can bound
    these.

    A ratio that the question does not state is absent.
    """
    scaled = {}
    for name, scale in _SCALES.items():
        if name in stock.numbers:
            scaled[_scaled_key(name, scale)] = round(stock.numbers[name] * scale)
    return scaled


def quotes_ratios(positions: Iterable[dict[str, Any]], offered: Iterable[StockFacts]) -> bool:
    """Whether every ratio that a position of an offered stock quotes is the stated one."""
    stated = {stock.ticker: ratios(stock) for stock in offered}
    for entry in positions:
        known = stated.get(entry["ticker"])
        for name, scale in _SCALES.items():
            key = _scaled_key(name, scale)
            if known is not None and key in entry and entry[key] != known.get(key):
                return False
    return True


def _scaled_key(name: str, scale: int) -> str:
    return f"{name}_x{scale}" if scale > 1 else name


_SCALES = {"per": 10, "pbr": 100, "ev_ebitda": 10, "roe_pct": 10, "f_score": 1}


def even_longs(stocks: list[StockFacts], long_gross: int) -> list[dict[str, Any]]:
    """Returns entries for the first of the stocks, as few as the limit per stock allows."""
    longs = []
    for stock, weight in zip(stocks, long_weights(long_gross), strict=False):
        longs.append({"ticker": stock.ticker, **ratios(stock), "weight_pct": weight})
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


INDEX_FUND, LEVERAGED_FUND = "069500", "122630"
"""The funds of the KOSPI 200 that training teaches: once and twice the index."""


@cache
def index_funds() -> frozenset[str]:
    """Returns the ETFs that hold the index long, once or twice."""
    groups = ("long_kospi", "leveraged_kospi")
    return frozenset(etf.ticker for etf in etfs() if etf.group in groups)


def index_longs(long_gross: int) -> list[dict[str, Any]]:
    """Returns orders of index funds for this long gross in % of NAV. What exceeds the cash comes
    from a fund of twice the index: of 115 %, 85 % once and 15 % twice.
    """
    if not long_gross:
        return []
    beyond = max(0, long_gross - 100)
    orders = [fund_order(INDEX_FUND, long_gross - 2 * beyond)]
    if beyond:
        orders.append(fund_order(LEVERAGED_FUND, 2 * beyond))
    return orders


def exposure_of(positions: Iterable[dict[str, Any]]) -> int:
    """Returns what positions add to the net exposure, in % of NAV: a fund by its multiple."""
    return sum(entry.get("effective_pct", entry["weight_pct"]) for entry in positions)


def adds_up(positions: list[dict[str, Any]], net: int) -> bool:
    """Whether the exposures make this net, to a point, and no ticker is held twice."""
    tickers = {entry["ticker"] for entry in positions}
    return len(tickers) == len(positions) and abs(exposure_of(positions) - net) <= 1


def keeps_limit(positions: Iterable[dict[str, Any]]) -> bool:
    """Whether no stock weighs more than the limit; funds have none."""
    return all(
        entry["weight_pct"] <= MAX_LONG_WEIGHT_PCT or find_etf(entry["ticker"])
        for entry in positions
    )


def knows_multiples(positions: Iterable[dict[str, Any]]) -> bool:
    """Whether each fund has the exposure that its weight and multiple give."""
    for entry in positions:
        fund = find_etf(entry["ticker"])
        if fund and entry.get("effective_pct") != entry["weight_pct"] * fund.multiple:
            return False
    return True


def are_funds_of(orders: Iterable[dict[str, Any]], *groups: Group) -> bool:
    """Whether each order is of a fund of one of the groups. A ticker that nobody has is made up,
    which is another flaw.
    """
    for order in orders:
        fund = find_etf(order["ticker"])
        is_stock = fund is None and bool(names(order["ticker"]))
        if is_stock or (fund and fund.group not in groups):
            return False
    return True


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
