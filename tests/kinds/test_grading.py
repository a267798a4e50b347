"""What each kind's grader sees."""

import json
from random import Random

from tasks.core.kinds.catalog import (
    fx_impact,
    stop_loss_management,
)
from tasks.core.kinds.texts import to_text
from tasks.core.strategy.universe import stocks
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
