"""What each kind's grader sees, what its prompts never say twice, and arguments at the rule's borders."""

import json
from dataclasses import replace
from random import Random

import pytest

from tasks.core.errors import RequestError
from tasks.core.kinds import KINDS, full_analysis, kind, regime_classification, stop_loss_management
from tasks.core.kinds.base import NUMBERS, Scene
from tasks.core.kinds.grading import grounded, numbers_in, to_text
from tasks.core.kinds.scenes import HELD_TEMPLATES
from tasks.core.kinds.wording import argue, nearest_turn
from tasks.core.records import Snapshot, StockDay
from tasks.core.strategy import REGIMES, regime_of
from tasks.core.universe import etfs, stocks

DAYS = {
    "BEAR": (-3.2, 18.0, -7.5, 31.0),
    "SHORT_TERM_STRESS": (-1.8, 33.0, -2.0, 27.0),
    "WEAKENING": (-0.6, 42.0, -1.0, 16.0),
    "MILD_BULL": (0.4, 55.0, 1.0, 14.0),
    "STRONG_BULL": (1.9, 74.0, 5.2, 18.0),
}


def scene_of(of_kind, numbers, language="en", given=NUMBERS):
    days = tuple(StockDay(stock.ticker, 10_000.0, 0.1, 9.5, 1.1, 1e12) for stock in stocks()[: of_kind.stocks[1]])
    snapshot = Snapshot("2024-05-02", *numbers)
    return Scene(of_kind.name, language, 0, "bullets", snapshot, given=given, stocks=days, seed=5)


def parts_after(of_kind, scene, change):
    """The failed parts of the right answer with one change made to it."""
    answer = json.loads(to_text(of_kind.answer(scene, Random(1))))
    change(answer)
    return {part for part, passed in of_kind.grade(scene, to_text(answer)).parts.items() if not passed}


def outsider(scene):
    """A stock that exists and that the prompt does not offer."""
    return next(stock for stock in stocks() if stock.ticker not in {day.ticker for day in scene.stocks})


@pytest.mark.parametrize("regime", REGIMES)
def test_a_book_is_inside_the_regimes_bands_with_as_few_stocks_as_offered(regime):
    scene = scene_of(full_analysis, DAYS[regime])
    for offered in range(full_analysis.stocks[0], full_analysis.stocks[1] + 1):
        fewer = replace(scene, stocks=scene.stocks[:offered])
        assert full_analysis.grade(fewer, to_text(full_analysis.answer(fewer, Random(1)))).score == 1.0


def test_a_single_stock_long_in_a_bear_market_is_out_of_band():
    scene = scene_of(full_analysis, DAYS["BEAR"])
    stock = stocks()[0]

    def buy(answer):
        answer["positions"]["long"] = [
            {"ticker": stock.ticker, "name": stock.name_en, "weight_pct": 1, "reason": "a small one"}
        ]

    assert parts_after(full_analysis, scene, buy) == {"exposure"}


def test_an_index_short_that_the_regime_does_not_allow_is_out_of_band():
    scene = scene_of(full_analysis, DAYS["MILD_BULL"])
    hedge = next(etf for etf in etfs() if etf.group == "short_kospi")

    def hedged(answer):
        answer["positions"]["short"] = [
            {"ticker": hedge.ticker, "name": hedge.name_ko, "weight_pct": 10, "reason": "a hedge"}
        ]
        answer["net_exposure_pct"] -= 10

    assert parts_after(full_analysis, scene, hedged) == {"exposure"}


def test_a_stock_sold_short_is_no_index_hedge():
    scene = scene_of(full_analysis, DAYS["WEAKENING"])
    stock = outsider(scene)

    def sell(answer):
        answer["positions"]["short"][0] |= {"ticker": stock.ticker, "name": stock.name_en}

    assert parts_after(full_analysis, scene, sell) == {"exposure"}


def test_a_stock_that_was_not_offered_is_made_up():
    scene = scene_of(full_analysis, DAYS["MILD_BULL"])
    stock = outsider(scene)

    def swap(answer):
        position = answer["positions"]["long"][0]
        position |= {"ticker": stock.ticker, "name": stock.name_en}
        del position["per"], position["pbr"]

    assert parts_after(full_analysis, scene, swap) == {"tickers"}


def test_a_stock_twice_in_the_book_or_above_its_limit_is_a_bad_book():
    scene = scene_of(full_analysis, DAYS["MILD_BULL"])

    def twice(answer):
        longs = answer["positions"]["long"]
        longs[1] = {**longs[0], "weight_pct": longs[1]["weight_pct"]}

    def heavy(answer):
        longs = answer["positions"]["long"]
        longs[0]["weight_pct"] += 5
        longs[1]["weight_pct"] -= 5

    assert parts_after(full_analysis, scene, twice) == {"book"}
    assert parts_after(full_analysis, scene, heavy) == {"book"}


def test_a_ratio_that_the_prompt_does_not_give_is_not_grounded():
    scene = scene_of(full_analysis, DAYS["MILD_BULL"])

    def dearer(answer):
        answer["positions"]["long"][0]["per"] = 9.6

    assert parts_after(full_analysis, scene, dearer) == {"grounded"}


def test_a_review_of_a_stock_that_is_not_held_is_made_up():
    scene = scene_of(stop_loss_management, DAYS["WEAKENING"])
    stock = outsider(scene)

    def swap(answer):
        answer["position_review"][0] |= {"ticker": stock.ticker, "name": stock.name_en}

    assert parts_after(stop_loss_management, scene, swap) == {"tickers"}


def test_a_position_left_out_or_judged_wrongly_is_seen():
    scene = scene_of(stop_loss_management, DAYS["WEAKENING"])

    def left_out(answer):
        del answer["position_review"][-1]

    def wrong(answer):
        line = answer["position_review"][0]
        line["action"] = "HOLD" if line["action"] != "HOLD" else "STOP_LOSS"

    assert parts_after(stop_loss_management, scene, left_out) == {"book"}
    assert parts_after(stop_loss_management, scene, wrong) == {"actions"}


@pytest.mark.parametrize("language", ["ko", "en"])
def test_evaluations_hurried_questions_are_not_those_of_training(language):
    scene = scene_of(regime_classification, DAYS["WEAKENING"], language, given=("return_pct",))
    number = len(regime_classification.templates(language))
    asked = [regime_classification.ask(replace(scene, template=place), Random(1)) for place in range(number)]
    assert len(set(asked)) == number > HELD_TEMPLATES
    assert all(question.count("-0.60%") == 1 and "\n" not in question for question in asked)


@pytest.mark.parametrize("language", ["ko", "en"])
@pytest.mark.parametrize("of_kind", KINDS, ids=lambda known: known.name)
def test_a_prompt_quotes_no_number_but_the_scenes(of_kind, language):
    scene = scene_of(of_kind, DAYS["WEAKENING"], language)
    profits = stop_loss_management.profits(scene).values() if of_kind is stop_loss_management else ()
    codes = {float(day.ticker) for day in scene.stocks}
    allowed = [*profits, *codes, 2024, 5, 2, 10]  # the day's date, and the 10 of the momentum's label
    for place in range(len(of_kind.templates(language))):
        question = of_kind.ask(replace(scene, template=place), Random(1))
        assert grounded([question.replace("+", "")], scene, allowed), set(numbers_in([question]))


@pytest.mark.parametrize(
    ("numbers", "told"),
    [
        ((-1.0, 60.0, 0.0, 15.0), "no more than 1%"),
        ((0.0, 70.0, 0.0, 15.0), "is no loss"),
        ((0.3, 50.0, 0.0, 15.0), "only 50.0%"),
        ((-1.6, 42.0, 0.0, 25.1), "above 25%"),
        ((-1.6, 60.0, 0.0, 25.0), "deeper than -1%"),
        ((-1.6, 35.0, 0.0, 25.0), "between 35% and 50%"),
    ],
)
def test_the_argument_is_true_at_the_rules_borders(numbers, told):
    assert told in argue(scene_of(regime_classification, numbers))


@pytest.mark.parametrize("market_return", [-1.91, -0.4, 0.8, 0.0])
@pytest.mark.parametrize("language", ["ko", "en"])
def test_a_number_that_nobody_gave_is_no_evidence(language, market_return):
    scene = scene_of(regime_classification, (market_return, 20.0, -7.0, 30.0), language, given=("return_pct",))
    assert not {20.0, 50.0, -7.0, 30.0, 15.0} & set(numbers_in([argue(scene)]))


@pytest.mark.parametrize(
    ("numbers", "name", "limit", "falls", "beyond"),
    [
        ((-2.0, 20.0, -6.0, 20.0), "return_pct", -2.0, True, "BEAR"),
        ((-1.0, 60.0, 0.0, 15.0), "return_pct", -1.0, True, "SHORT_TERM_STRESS"),
        ((0.9, 70.0, 4.0, 15.0), "return_pct", 1.0, False, "STRONG_BULL"),
        ((-1.2, 34.5, 0.0, 15.0), "breadth_pct", 35.0, False, "WEAKENING"),
        ((-1.7, 42.0, 0.0, 24.0), "volatility_pct", 25.0, False, "SHORT_TERM_STRESS"),
    ],
)
def test_the_nearest_turn_names_the_limit_its_side_and_the_regime_beyond(numbers, name, limit, falls, beyond):
    turn = nearest_turn(dict(zip(NUMBERS, numbers, strict=True)))
    assert (turn.name, turn.limit, turn.falls, turn.regime) == (name, limit, falls, beyond)


def test_every_turn_is_true():
    rng = Random(2)
    for _ in range(500):
        numbers = {
            "return_pct": round(rng.uniform(-4, 3), 2),
            "breadth_pct": round(rng.uniform(5, 95), 1),
            "momentum_pct": round(rng.uniform(-10, 8), 2),
            "volatility_pct": round(rng.uniform(8, 40), 2),
        }
        turn = nearest_turn(numbers)
        if turn is not None:
            crossed = {**numbers, turn.name: turn.limit + (-0.05 if turn.falls else 0.05)}
            assert regime_of(**crossed) == turn.regime != regime_of(**numbers)


@pytest.mark.parametrize("language", ["ko", "en"])
@pytest.mark.parametrize("claimed", ["BEAR", "STRONG_BULL", "MILD_BULL"])
def test_another_regimes_argument_differs_and_still_quotes_the_prompt(claimed, language):
    scene = scene_of(regime_classification, DAYS["WEAKENING"], language)
    assert argue(scene, claimed=claimed) != argue(scene)
    assert grounded([argue(scene, claimed=claimed)], scene)


def test_korean_particles_fit_what_they_follow():
    text = argue(scene_of(regime_classification, DAYS["SHORT_TERM_STRESS"], "ko"))
    assert text.startswith("시장 수익률이 -1.80%로 밀리고 연율 변동성이 27.00%로 25%를 넘어")
    hurried = argue(scene_of(regime_classification, DAYS["WEAKENING"], "ko", given=("return_pct", "breadth_pct")))
    assert hurried.endswith("주어지지 않은 10일 모멘텀, 연율 변동성은 중립으로 두었다.")


def test_an_unknown_kind_is_refused_with_the_known_ones():
    with pytest.raises(RequestError, match=r"no kind 'regime'\. Kinds: full_analysis, regime_classification"):
        kind("regime")
