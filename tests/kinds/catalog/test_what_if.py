"""what_if: the shocked numbers, the regime that they make, and a hedge that is a fund to buy."""

import re
from random import Random

import pytest

from tasks.core.kinds.catalog import what_if
from tasks.core.strategy.deciding import settled
from tasks.core.strategy.rules import EXPOSURES, SHOCKS
from tasks.core.strategy.universe import find_etf, names
from tests.kinds.given import DAYS, each_regime, facts_of, parts_after
from tests.synthetic import LANGUAGES, scene_on


def shaken(before, shock, size):
    return what_if.decide(facts_of(before, words={"shock": shock}, shock_pct=size))


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
def test_the_regime_after_the_shock_decides(before, shock, size, after, action):
    decision = shaken(before, shock, size)
    scenario = decision["scenario_analysis"]
    assert (scenario["regime_now"], scenario["regime_after"]) == (before, after)
    assert decision["recommended_action"]["action"] == action
    net = decision["recommended_action"]["net_exposure_pct"]
    assert (net.low, net.high) == EXPOSURES[after].net


@pytest.mark.parametrize("shock", SHOCKS)
def test_a_shock_of_nothing_changes_nothing(shock):
    assert shaken("WEAKENING", shock, 0.0)["recommended_action"]["action"] == "KEEP"


def test_the_working_shocks_each_number_and_compares_it():
    assert shaken("MILD_BULL", "index_drop", 3.0)["working"][1:] == [
        "index_drop: return -1*3.0=-3.00, 0.40-3.00=-2.60; breadth -6*3.0=-18.0, 55.0-18.0=37.0;"
        " momentum -1*3.0=-3.00, 1.00-3.00=-2.00; volatility 2*3.0=6.00, 14.00+6.00=20.00",
        "return -2.60: below -2; breadth 37.0: 35 to 50; momentum -2.00: -5 to 3;"
        " volatility 20.00: below 25; rule 4: WEAKENING",
        "MILD_BULL -> WEAKENING: CUT",
        "long 60+20*37.0%=67; short 20-10*37.0%=16; net 67-16=51",
        "hedge 114800 16*-1=-16",
    ]


def test_a_breadth_that_is_shocked_below_nothing_is_nothing():
    step = shaken("MILD_BULL", "index_drop", 9.5)["working"][1]
    assert "; breadth -6*9.5=-57.0, 55.0-57.0=-2.0: 0.0; momentum" in step


@each_regime
@pytest.mark.parametrize("shock", SHOCKS)
def test_the_book_adds_up_and_its_hedge_is_bought(regime, shock):
    decision = settled(shaken(regime, shock, 2.0))
    positions = decision["positions"]
    effective = sum(order["effective_pct"] for order in positions["hedge"])
    assert effective == -positions["index_short_pct"]
    net = decision["recommended_action"]["net_exposure_pct"]
    assert positions["long_gross_pct"] + effective == net
    for order in positions["hedge"]:
        from_the_us = shock == "us_selloff" and positions["long_gross_pct"]
        group = find_etf(order["ticker"]).group
        assert group == ("inverse_us" if from_the_us else "short_kospi")
        assert order["side"] == "BUY"


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_book_without_a_short_is_never_told_to_change_it(language):
    scene = scene_on(what_if, DAYS["STRONG_BULL"], language, shock="index_rally", shock_pct=1.0)
    for seed in range(200):
        contingency = what_if.answer(scene, Random(seed))["contingency"]
        assert not re.search(r"(?<!\d)0 ?%", contingency), contingency


STRESSED = scene_on(what_if, DAYS["MILD_BULL"], shock="us_selloff", shock_pct=4.0)


def hedged(*orders, **positions):
    """The failed parts of the right answer to a US selloff with other positions."""

    def change(answer):
        entries = []
        for ticker, weight, effective in orders:
            name, reason = names(ticker)[0], "It shorts what falls."
            entry = {"ticker": ticker, "name": name, "reason": reason, "side": "BUY"}
            entries.append({**entry, "weight_pct": weight, "effective_pct": effective})
        answer["positions"] |= {"hedge": entries, **positions}

    return parts_after(what_if, STRESSED, change) - {"grounded", "argued"}


def test_any_fund_that_shorts_what_falls_is_right_and_no_other():
    taught = what_if.answer(STRESSED, Random(1))["positions"]
    short = taught["index_short_pct"]
    assert taught["hedge"][0]["ticker"] == "225030" and short > 10
    assert hedged(("225030", short, -short)) == hedged(("114800", short, -short)) == set()
    both = (("225030", short - 10, 10 - short), ("252670", 5, -10))
    assert hedged(*both) == set()
    assert hedged(("122630", short, -short)) == {"actions"}  # a fund that gains
    assert hedged(("252670", short, -short)) == {"actions"}  # twice that
    assert hedged(("005930", short, -short)) == {"actions"}  # a stock
    assert hedged() == {"exposure"}
    assert hedged(("114800", short - 4, 4 - short)) == {"exposure"}
    wrong_net = {"long_gross_pct": taught["long_gross_pct"] + 5}
    assert hedged(("114800", short, -short), **wrong_net) == {"exposure"}


def test_the_card_shows_what_the_working_looks_like():
    steps = shaken("MILD_BULL", "index_drop", 3.0)["working"]
    assert what_if.card.isascii()
    assert steps[1].split("; momentum")[0] in what_if.card
    assert all(f'"{step}"' in what_if.card for step in steps[3:])
    for shock, effects in SHOCKS.items():
        assert f"{shock} {', '.join(f'{effect:g}' for effect in effects)}" in what_if.card
