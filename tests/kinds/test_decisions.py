"""Every kind's decision at its edges, from the numbers of a question alone."""

import pytest

from tasks.core.kinds import kind_named
from tasks.core.records.facts import Facts, StockFacts
from tasks.core.strategy.deciding import Choice, settled
from tasks.core.strategy.holdings import hedges, ratios
from tasks.core.strategy.rules import EXPOSURES, MAX_LONG_WEIGHT_PCT, NUMBERS, REGIMES
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


@each_regime
def test_regime_classification(regime):
    decision = kind_named("regime_classification").decide(facts_of(regime))
    assert decision["regime"] == regime and "missing_inputs" not in decision
    net = decision["recommended_net_exposure_pct"]
    assert (net.low, net.high) == EXPOSURES[regime].net
    assert net.allows(settled(net))


def test_what_nobody_gave_is_neutral_named_and_lowers_the_confidence():
    decision = kind_named("regime_classification").decide(Facts({"return_pct": -3.2}))
    assert decision["regime"] == "WEAKENING" and decision["missing_inputs"] == list(NUMBERS[1:])
    assert decision["confidence_pct"].value <= 50 and not decision["confidence_pct"].allows(51)
    assert _regime({"return_pct": -0.4}) == "WEAKENING"
    assert _regime({"return_pct": 0.4}) == "MILD_BULL"


@each_regime
@pytest.mark.parametrize("offered", [6, 7, 8])
def test_a_book_is_inside_every_band_with_as_few_names_as_the_limit_allows(regime, offered):
    decision = settled(kind_named("full_analysis").decide(facts_of(regime, stocks_of(offered))))
    longs, shorts = decision["positions"]["long"], decision["positions"]["short"]
    gross = sum(entry["weight_pct"] for entry in longs)
    short = sum(entry["weight_pct"] for entry in shorts)
    band = EXPOSURES[regime]
    assert band.long_gross[0] <= gross <= band.long_gross[1]
    assert band.index_short[0] <= short <= band.index_short[1]
    assert band.net[0] <= gross - short <= band.net[1]
    assert decision["net_exposure_pct"] == gross - short
    assert all(entry["weight_pct"] <= MAX_LONG_WEIGHT_PCT for entry in longs)
    assert len(longs) == -(-gross // MAX_LONG_WEIGHT_PCT)
    assert [entry["ticker"] for entry in shorts] == [hedges()[0]] * bool(short)


def test_weak_regimes_hold_the_calmest_names_and_strong_ones_the_liveliest():
    offered = stocks_of(8)
    by_beta = [stock.ticker for stock in sorted(offered, key=lambda stock: stock.numbers["beta"])]
    longs = {
        regime: [
            entry["ticker"]
            for entry in kind_named("full_analysis").decide(facts_of(regime, offered))["positions"][
                "long"
            ]
        ]
        for regime in ("WEAKENING", "STRONG_BULL")
    }
    assert longs["WEAKENING"][0] == by_beta[0] and longs["STRONG_BULL"][0] == by_beta[-1]


def test_ratios_become_integers_and_absent_ones_stay_absent():
    stock = StockFacts("005930", {"per": 12.3, "pbr": 1.15})
    assert ratios(stock) == {"per_x10": 123, "pbr_x100": 115}
    assert ratios(StockFacts("005930", {"per": 0.6})) == {"per_x10": 6}
    assert ratios(StockFacts("005930")) == {}


@each_regime
def test_multi_step(regime):
    decision = settled(
        kind_named("multi_step").decide(facts_of(regime, stocks_of(5), drawdown_pct=62.5))
    )
    book, risk = decision["step_2_portfolio"], decision["step_3_risk"]
    assert decision["step_1_regime"]["regime"] == regime
    assert book["long_gross_pct"] - book["index_short_pct"] == book["net_exposure_pct"]
    assert len(book["core_longs"]) == (0 if regime == "BEAR" else 3)
    assert risk == {"max_leverage_x100": 160, "stop_loss_pct": -8, "take_profit_pct": 15}


@each_regime
def test_with_a_regime_given_the_decision_is_that_regimes(regime):
    """What a mistaken reader would decide: the rejected answers are made of it."""
    other = "BEAR" if regime != "BEAR" else "STRONG_BULL"
    decision = settled(kind_named("full_analysis").decide(facts_of(other, stocks_of(8)), regime))
    assert decision["regime"] == regime
    assert EXPOSURES[regime].net[0] <= decision["net_exposure_pct"] <= EXPOSURES[regime].net[1]
