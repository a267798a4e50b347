"""Every kind's decision at its edges, from the numbers of a question alone."""

import pytest

from tasks.core.kinds import kind_named
from tasks.core.records.facts import Facts, StockFacts
from tasks.core.strategy.deciding import Choice, settled
from tasks.core.strategy.holdings import ratios
from tasks.core.strategy.rules import EXPOSURES, NUMBERS, REGIMES
from tasks.core.strategy.universe import etfs, stocks

DAYS = {
    "BEAR": (-3.2, 18.0, -7.5, 31.0),
    "SHORT_TERM_STRESS": (-1.8, 33.0, -2.0, 27.0),
    "WEAKENING": (-0.6, 42.0, -1.0, 16.0),
    "MILD_BULL": (0.4, 55.0, 1.0, 14.0),
    "STRONG_BULL": (1.9, 74.0, 5.2, 18.0),
}
each_regime = pytest.mark.parametrize("regime", REGIMES)


def facts_of(regime, offered=(), words=None, **numbers):
    return Facts(
        {**dict(zip(NUMBERS, DAYS[regime], strict=True)), **numbers}, tuple(offered), words or {}
    )


def stocks_of(number, **numbers):
    return [
        StockFacts(stock.ticker, {"beta": stock.beta, **numbers}) for stock in stocks()[:number]
    ]


def etfs_of(*groups):
    return [StockFacts(etf.ticker) for group in groups for etf in etfs() if etf.group == group]


def test_a_choice_allows_its_value_its_span_and_its_others():
    assert [size for size in range(8, 22) if Choice(15, 10, 20).allows(size)] == list(range(10, 21))
    assert Choice("a", others=("b",)).allows("b") and not Choice("a", others=("b",)).allows("c")
    assert not Choice(15, 10, 20).allows("15") and not Choice(15, 10, 20).allows(None)


def test_ratios_become_integers_and_absent_ones_stay_absent():
    stock = StockFacts("005930", {"per": 12.3, "pbr": 1.15})
    assert ratios(stock) == {"per_x10": 123, "pbr_x100": 115}
    assert ratios(StockFacts("005930", {"per": 0.6})) == {"per_x10": 6}
    assert ratios(StockFacts("005930")) == {}


@each_regime
def test_with_a_regime_given_the_decision_is_that_regimes(regime):
    """What a mistaken reader would decide: the rejected answers are made of it."""
    other = "BEAR" if regime != "BEAR" else "STRONG_BULL"
    decision = settled(kind_named("full_analysis").decide(facts_of(other, stocks_of(8)), regime))
    assert decision["regime"] == regime
    assert EXPOSURES[regime].net[0] <= decision["net_exposure_pct"] <= EXPOSURES[regime].net[1]
