"""Where a stock's ratios lie among those that are usual in its sector."""

from typing import Literal

from tasks.core.records.facts import StockFacts
from tasks.core.strategy.rules import F_SCORE
from tasks.core.strategy.universe import sector_of

RATIOS = ("per", "pbr", "ev_ebitda", "roe_pct", "f_score")
"""The ratios of valuation and quality, by their names in the lexicon."""

_FINANCIALS = ("Banks", "Insurance", "Securities")
"""Sectors whose business is debt: EV/EBITDA says nothing of their price."""

POOR_F_SCORE = 3
"""An F-Score up to this is poor; from rules.F_SCORE it is good."""

Verdict = Literal["below", "usual", "above"]


def telling_ratios(stock: StockFacts) -> list[str]:
    """Returns the ratios that the question states of the stock and that say something of it."""
    stated = [ratio for ratio in RATIOS if ratio in stock.numbers]
    if sector_of(stock.ticker).name in _FINANCIALS and "ev_ebitda" in stated:
        stated.remove("ev_ebitda")
    return stated


def verdict(ratio: str, stock: StockFacts) -> Verdict:
    """Returns where the stock's ratio lies among its sector's. Raises KeyError if the question does
    not state the ratio, or the ticker is no stock of the universe.
    """
    low: float = POOR_F_SCORE + 1
    high: float = F_SCORE - 1
    if ratio != "f_score":
        low, high = sector_of(stock.ticker).usual(ratio)
    value = stock.numbers[ratio]
    if value < low:
        return "below"
    return "above" if value > high else "usual"
