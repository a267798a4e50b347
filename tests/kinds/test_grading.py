"""What each kind's grader sees."""

import json
from random import Random

from tasks.core.kinds.catalog import (
    full_analysis,
    fx_impact,
    stop_loss_management,
)
from tasks.core.kinds.texts import to_text
from tasks.core.strategy.universe import etfs, stocks
from tests.kinds.test_decisions import DAYS
from tests.synthetic import scene_on


def answered(of_kind, scene):
    return json.loads(to_text(of_kind.answer(scene, Random(1))))


def parts_after(of_kind, scene, change):
    """The failed parts of the right answer with one change made to it."""
    answer = answered(of_kind, scene)
    change(answer)
    return {
        part for part, passed in of_kind.grade(scene, to_text(answer)).parts.items() if not passed
    }


def outsider(scene):
    """A stock that exists and that the prompt does not offer."""
    offered = {stock.ticker for stock in scene.facts.stocks}
    return next(stock for stock in stocks() if stock.ticker not in offered)


# books


def test_a_single_stock_long_in_a_bear_market_is_out_of_band():
    scene = scene_on(full_analysis, DAYS["BEAR"])
    stock = stocks()[0]

    def buy(answer):
        answer["positions"]["long"] = [
            {
                "ticker": stock.ticker,
                "name": stock.name_en,
                "weight_pct": 1,
                "reason": "a beta of 1.05 is small",
            }
        ]

    assert parts_after(full_analysis, scene, buy) == {"exposure"}


def test_an_index_short_that_the_regime_does_not_allow_is_out_of_band():
    scene = scene_on(full_analysis, DAYS["MILD_BULL"])
    hedge = next(fund for fund in etfs() if fund.group == "short_kospi")

    def hedged(answer):
        answer["positions"]["short"] = [
            {
                "ticker": hedge.ticker,
                "name": hedge.name_ko,
                "weight_pct": 10,
                "reason": "a hedge of 10%",
            }
        ]
        answer["net_exposure_pct"] -= 10

    assert parts_after(full_analysis, scene, hedged) == {"exposure"}


def test_a_stock_sold_short_is_no_index_hedge():
    scene = scene_on(full_analysis, DAYS["WEAKENING"])
    stock = outsider(scene)

    def sell(answer):
        answer["positions"]["short"][0] |= {"ticker": stock.ticker, "name": stock.name_en}

    assert parts_after(full_analysis, scene, sell) == {"exposure"}


def test_a_stock_that_was_not_offered_is_made_up():
    scene = scene_on(full_analysis, DAYS["MILD_BULL"])
    stock = outsider(scene)

    def swap(answer):
        answer["positions"]["long"][0] |= {"ticker": stock.ticker, "name": stock.name_en}

    assert parts_after(full_analysis, scene, swap) == {"tickers"}


def test_a_stock_twice_in_the_book_is_a_bad_book_and_one_above_its_limit_breaks_the_schema():
    scene = scene_on(full_analysis, DAYS["MILD_BULL"])

    def twice(answer):
        longs = answer["positions"]["long"]
        longs[1] = {**longs[0], "weight_pct": longs[1]["weight_pct"]}

    def heavy(answer):
        answer["positions"]["long"][0]["weight_pct"] = 19

    assert parts_after(full_analysis, scene, twice) == {"book"}
    assert parts_after(full_analysis, scene, heavy) == {"schema"}


def test_another_book_inside_the_bands_is_as_right():
    scene = scene_on(full_analysis, DAYS["MILD_BULL"])

    def reversed_book(answer):
        longs = answer["positions"]["long"]
        longs.reverse()
        longs[0]["weight_pct"], longs[1]["weight_pct"] = (
            longs[0]["weight_pct"] - 1,
            longs[1]["weight_pct"] + 1,
        )

    assert parts_after(full_analysis, scene, reversed_book) == set()


def test_a_ratio_that_the_prompt_does_not_give_is_not_grounded():
    scene = scene_on(full_analysis, DAYS["MILD_BULL"])

    def dearer(answer):
        answer["positions"]["long"][0]["per_x10"] = 96

    assert parts_after(full_analysis, scene, dearer) == {"grounded"}


# lists of positions


def test_a_review_of_a_stock_that_is_not_held_is_made_up():
    scene = scene_on(stop_loss_management, DAYS["WEAKENING"])
    stock = outsider(scene)

    def swap(answer):
        answer["position_review"][0] |= {"ticker": stock.ticker, "name": stock.name_en}

    assert parts_after(stop_loss_management, scene, swap) == {"tickers"}


def test_a_position_left_out_or_judged_wrongly_is_seen():
    scene = scene_on(stop_loss_management, DAYS["WEAKENING"])

    def left_out(answer):
        del answer["position_review"][-1]

    def wrong(answer):
        entry = answer["position_review"][0]
        entry["action"] = "HOLD" if entry["action"] != "HOLD" else "STOP_LOSS"

    assert parts_after(stop_loss_management, scene, left_out) == {"book"}
    assert parts_after(stop_loss_management, scene, wrong) == {"actions"}


def test_a_winner_among_the_losers_is_a_wrong_decision_and_a_strange_name_made_up():
    scene = scene_on(fx_impact, DAYS["MILD_BULL"], usdkrw=1300.0, usdkrw_change_pct=0.9)

    def moved(answer):
        answer["negatively_affected"].append(answer["beneficiaries"].pop(0))

    def renamed(answer):
        answer["beneficiaries"][0]["name"] = "Hanbit Test"

    assert "actions" in parts_after(fx_impact, scene, moved)
    assert parts_after(fx_impact, scene, renamed) == {"tickers"}


# where the strategy leaves room
