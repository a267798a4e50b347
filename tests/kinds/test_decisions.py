"""Every kind's decision at its edges, from the numbers of a question alone."""

import pytest

from tasks.core.kinds import kind_named
from tasks.core.records.facts import Facts, StockFacts
from tasks.core.strategy.deciding import Choice, settled
from tasks.core.strategy.holdings import hedges, ratios
from tasks.core.strategy.rules import EXPOSURES, MAX_LONG_WEIGHT_PCT, NUMBERS, REGIMES, SHOCKS
from tasks.core.strategy.universe import etfs, find_etf, stocks

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
def test_overnight_leans_with_the_regime_on_an_offered_fund(regime):
    decision = kind_named("overnight_gap").decide(
        facts_of(regime, etfs_of("short_kospi", "leveraged_kospi"), us_return_pct=-1.0, vix=25.0)
    )["overnight_strategy"]
    bearish = regime in ("WEAKENING", "SHORT_TERM_STRESS", "BEAR")
    assert decision["direction"] == ("INVERSE" if bearish else "LONG")
    assert decision["weight_pct"].value == 20
    group = "short_kospi" if bearish else "leveraged_kospi"
    right = (decision["ticker"].value, *decision["ticker"].others)
    assert all(find_etf(ticker).group == group for ticker in right)
    other = etfs_of("leveraged_kospi" if bearish else "short_kospi")[0].ticker
    assert not decision["ticker"].allows(other)


@pytest.mark.parametrize(
    ("before", "to", "now", "urgency", "first"),
    [
        ("MILD_BULL", "MILD_BULL", 91, "NONE", 91),
        ("MILD_BULL", "WEAKENING", 90, "GRADUAL", 71),
        ("MILD_BULL", "SHORT_TERM_STRESS", 90, "IMMEDIATE", 44),
        ("BEAR", "BEAR", -60, "NONE", -70),
        ("STRONG_BULL", "BEAR", 120, "IMMEDIATE", -16),
    ],
)
def test_regime_transition(before, to, now, urgency, first):
    decision = kind_named("regime_transition").decide(
        facts_of(to, words={"previous_regime": before}, net_now_pct=float(now))
    )
    target = decision["target_net_exposure_pct"].value
    assert (decision["transition"], decision["urgency"]) == ({"from": before, "to": to}, urgency)
    assert decision["execution_plan"]["day_2"]["net_exposure_pct"].value == target
    day_1 = decision["execution_plan"]["day_1"]["net_exposure_pct"]
    assert day_1.value == first and day_1.allows(target)
    assert not day_1.allows(now - 31 if target > now else now + 31)


@pytest.mark.parametrize(
    ("numbers", "words", "expected"),
    [
        ((3.0, 3.0, 6), ("low", "large"), (0, "WEAK", "SKIP", 0, 0)),
        ((3.1, 3.0, 6), ("high", "large"), (2, "MODERATE", "ADD", 3, 155)),
        ((3.1, 3.1, 7), ("low", "large"), (3, "STRONG", "ADD", 5, 155)),
        ((9.0, 3.1, 7), ("high", "mid"), (5, "STRONG", "ADD", 8, 450)),
        ((-4.2, 3.1, 7), ("low", "large"), (2, "MODERATE", "ADD", 3, 210)),
    ],
)
def test_opening_momentum(numbers, words, expected):
    keys = ("gap_pct", "volume_x", "f_score"), ("us_correlation", "tier")
    stock = StockFacts(
        "005930", dict(zip(keys[0], numbers, strict=True)), dict(zip(keys[1], words, strict=True))
    )
    entry = settled(kind_named("opening_momentum").decide(Facts({}, (stock,))))["opening_analysis"][
        0
    ]
    assert tuple(entry.values()) == ("005930", *expected)


def test_a_weight_for_an_opening_gap_may_lie_anywhere_between_three_and_eight():
    stock = StockFacts(
        "005930",
        {"gap_pct": 5.0, "volume_x": 4.0, "f_score": 8},
        {"us_correlation": "low", "tier": "mid"},
    )
    weight = kind_named("opening_momentum").decide(Facts({}, (stock,)))["opening_analysis"][0][
        "weight_pct"
    ]
    assert [size for size in range(12) if weight.allows(size)] == [3, 4, 5, 6, 7, 8]


@pytest.mark.parametrize(
    ("before", "shock", "size", "after", "action"),
    [
        ("MILD_BULL", "index_drop", 1.0, "WEAKENING", "CUT"),
        ("MILD_BULL", "index_drop", 7.0, "BEAR", "CUT"),
        ("MILD_BULL", "oil_spike", 1.0, "MILD_BULL", "KEEP"),
        ("MILD_BULL", "index_rally", 5.0, "STRONG_BULL", "ADD"),
        ("WEAKENING", "index_rally", 3.0, "MILD_BULL", "ADD"),
    ],
)
def test_what_if(before, shock, size, after, action):
    decision = kind_named("what_if").decide(
        facts_of(before, words={"shock": shock}, shock_pct=size)
    )
    scenario = decision["scenario_analysis"]
    assert scenario["regime_now"] == before
    assert (scenario["regime_after"], decision["recommended_action"]["action"]) == (after, action)
    net = decision["recommended_action"]["net_exposure_pct"]
    assert (net.low, net.high) == EXPOSURES[after].net


@pytest.mark.parametrize("shock", SHOCKS)
def test_a_shock_of_nothing_changes_nothing(shock):
    decision = kind_named("what_if").decide(
        facts_of("WEAKENING", words={"shock": shock}, shock_pct=0.0)
    )
    assert decision["recommended_action"]["action"] == "KEEP"


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
