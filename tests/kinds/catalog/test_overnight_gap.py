"""overnight_gap: the overlay's direction, its size in effective exposure, and the fund's weight."""

import pytest

from tasks.core.kinds.catalog import overnight_gap
from tasks.core.strategy.deciding import settled
from tasks.core.strategy.rules import WEAK_REGIMES
from tasks.core.strategy.universe import find_etf
from tests.kinds.given import DAYS, each_regime, etfs_of, facts_of, parts_after
from tests.synthetic import scene_on

FUNDS = etfs_of("short_kospi", "leveraged_kospi")


def overlay(regime, us, vix):
    return settled(overnight_gap.decide(facts_of(regime, FUNDS, us_return_pct=us, vix=vix)))


@each_regime
def test_it_leans_with_the_regime_on_a_fund_that_is_bought(regime):
    position = overlay(regime, 0.0, 15.0)["overnight_strategy"]
    weak = regime in WEAK_REGIMES
    assert position["direction"] == ("INVERSE" if weak else "LONG")
    fund = find_etf(position["ticker"])
    assert fund.group == ("short_kospi" if weak else "leveraged_kospi")
    assert position["side"] == "BUY"
    assert position["effective_pct"] == position["weight_pct"] * fund.multiple


@pytest.mark.parametrize(
    ("regime", "us", "vix", "size"),
    [
        ("BEAR", -0.99, 24.9, 10),
        ("BEAR", -1.0, 24.9, 15),
        ("BEAR", -0.99, 25.0, 15),
        ("BEAR", -1.0, 25.0, 20),
        ("BEAR", 2.0, 24.9, 10),  # never against the US
        ("MILD_BULL", 0.99, 15.0, 10),
        ("MILD_BULL", 1.0, 15.0, 15),
        ("MILD_BULL", -1.49, 24.9, 10),  # never against the US
        ("MILD_BULL", 1.0, 40.0, 15),  # a high VIX is no reason to be long
    ],
)
def test_the_size_grows_in_the_positions_own_direction(regime, us, vix, size):
    decision = overlay(regime, us, vix)
    assert decision["working"][2].endswith(f"={size}")
    effective = abs(decision["overnight_strategy"]["effective_pct"])
    assert size <= effective <= size + 1  # a whole weight of a fund that moves twofold
    assert decision["max_overnight_nav_pct"] == effective


def test_the_working_weighs_every_fund_that_may_be_bought():
    assert overlay("SHORT_TERM_STRESS", -1.2, 18.0)["working"][1:] == [
        "SHORT_TERM_STRESS weak: INVERSE",
        "S&P -1.20 <= -1: +5; VIX 18.0 not >= 25: +0; 10+5+0=15",
        "114800, 123310 -1x: 15/1 up to 15; 15*-1=-15",
        "252670, 252710 -2x: 15/2 up to 8; 8*-2=-16",
    ]


SCENE = scene_on(overnight_gap, DAYS["BEAR"], us_return_pct=-0.2, vix=30.0)


def held(ticker, weight, effective, most):
    """The failed parts of the right answer in another fund."""

    def change(answer):
        answer["overnight_strategy"] |= {
            "ticker": ticker,
            "name": find_etf(ticker).name_ko,
            "weight_pct": weight,
            "effective_pct": effective,
        }
        answer["max_overnight_nav_pct"] = most

    return parts_after(overnight_gap, SCENE, change) - {"grounded", "argued"}


def test_any_offered_fund_of_the_group_is_right_with_the_weight_of_its_multiple():
    assert held("114800", 15, -15, 15) == held("252670", 8, -16, 16) == set()
    assert held("252670", 8, -16, 20) == set()  # a maximum may leave room
    assert held("252670", 15, -15, 16) == {"actions"}  # its multiple forgotten
    assert held("252670", 15, -30, 20) == {"actions"}
    assert held("122630", 8, 16, 16) >= {"actions"}  # a long fund in a bear market


def test_a_size_of_no_rule_or_a_maximum_below_it_is_wrong():
    assert held("114800", 11, -11, 15) == {"actions"}
    assert held("114800", 20, -20, 20) == {"actions"}
    assert held("114800", 15, -15, 10) == {"exposure"}


def test_it_is_closed_at_the_next_open():
    def later(answer):
        answer["unwind_plan"]["when"] = "NEXT_CLOSE"

    assert parts_after(overnight_gap, SCENE, later) - {"argued"} == {"actions"}


def test_the_card_shows_what_the_working_looks_like():
    assert overnight_gap.card.isascii()
    for step in overlay("WEAKENING", -1.2, 18.0)["working"][1:3]:
        assert f'"{step}"' in overnight_gap.card
    long = overlay("MILD_BULL", 0.3, 18.0)["working"]
    inverse = overlay("WEAKENING", -1.2, 18.0)["working"]
    assert long[2] in overnight_gap.card and inverse[-1] in overnight_gap.card
