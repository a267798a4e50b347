"""The net exposures that replies tell: the mean of a day's, and none that is absurd."""

import json
from dataclasses import replace

import pytest

from tasks.core.evaluation.questions import question_of
from tasks.core.evaluation.told_exposures import NET_KEY, net_keys, told_exposures
from tasks.core.kinds import KINDS, kind_named
from tests.evaluation.replies import reply
from tests.synthetic import scene_on

DAY = "2025-12-01"
NUMBERS = (0.6, 55.0, 1.0, 12.0)  # a mild bull's
KEYS = {
    "full_analysis": ("net_exposure_pct",),
    "multi_step": ("step_2_portfolio", "net_exposure_pct"),
    "regime_classification": ("recommended_net_exposure_pct",),
    "regime_transition": ("target_net_exposure_pct",),
}
"""Where the kinds tell what to hold now. A what_if tells what to hold after a shock."""


def question(kind_name="regime_classification", day=DAY, **scene):
    kind = kind_named(kind_name)
    facts = replace(scene_on(kind, NUMBERS, **scene), day=day, date=None)
    return question_of(facts, kind, f"{kind_name}-{day}")


def saying(asked, net):
    """The right answer but for its net exposure."""
    answer = json.loads(asked.reference)
    return reply(json.dumps(answer | {"recommended_net_exposure_pct": net}))


def told_by(asked, *texts):
    replies = [text if hasattr(text, "text") else reply(text) for text in texts]
    return told_exposures([asked] * len(replies), replies, [DAY])


def test_every_kind_tells_what_to_hold_now_or_nothing():
    assert {kind.name: net_keys(question(kind.name)) for kind in KINDS if kind.share} == {
        kind.name: KEYS.get(kind.name, ()) for kind in KINDS if kind.share
    }


@pytest.mark.parametrize("kind_name", KEYS)
def test_the_right_answer_tells_it(kind_name):
    asked = question(kind_name)
    told = told_by(asked, asked.reference)
    assert told.asked == (1,) and (told.without, told.beyond_limit) == (0, 0)
    assert 80 <= told.net_pct[0] <= 100, "the net band of a mild bull"


def test_several_answers_of_a_day_are_their_mean():
    asked = question()
    told = told_by(asked, saying(asked, 80), saying(asked, 95), "no", saying(asked, 65.5))
    assert told.net_pct == (pytest.approx((80 + 95 + 65.5) / 3),)
    assert (told.asked, told.without) == ((4,), 1)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "no JSON",
        "[]",
        '"90"',
        "{}",
        f'{{"{NET_KEY}": 90}}',  # not where the right answer has it
        *(
            f'{{"recommended_net_exposure_pct": {value}}}'
            for value in ("NaN", "Infinity", "-Infinity", "1e999", '"90"', "null", "true", "[90]")
        ),
        '{"recommended_net_exposure_pct": {"a": 90}}',
    ],
)
def test_what_is_no_number_is_no_answer(text):
    told = told_by(question(), text)
    assert (told.net_pct, told.asked, told.without, told.beyond_limit) == ((None,), (1,), 1, 0)


@pytest.mark.parametrize("net", [200.01, -201, 9_000, 1e300, -(10**30)])
def test_an_order_that_nobody_executes_is_refused_and_counted(net):
    asked = question()
    told = told_by(asked, saying(asked, net))
    assert (told.net_pct, told.without, told.beyond_limit) == ((None,), 0, 1)
    told = told_by(asked, saying(asked, net), saying(asked, 90))
    assert (told.net_pct, told.beyond_limit) == ((90.0,), 1), "the others of the day count"


@pytest.mark.parametrize("net", [200, -200, 0, -80])
def test_the_limit_itself_is_executed(net):
    asked = question()
    assert told_by(asked, saying(asked, net)).net_pct == (net,)


def test_questions_about_no_whole_real_day_tell_nothing():
    """Simulated and moved numbers, counterfactuals, some of the numbers, another day."""
    whole = question()
    others = [
        question(day=None),
        replace(whole, twin_of="x", change="names"),
        question(given=("return_pct",)),
        question("what_if"),
        question(day="2025-12-02"),
    ]
    told = told_exposures(others, [saying(whole, 90)] * len(others), [DAY])
    assert told == told_exposures([], [], [DAY])
    assert (told.net_pct, told.asked) == ((None,), (0,))


def test_days_keep_their_order_and_each_its_own():
    first, second = question(), question(day="2025-12-02")
    replies = [saying(second, 60), saying(first, 90)]
    told = told_exposures([second, first], replies, ["2025-12-01", "2025-12-02", "2025-12-03"])
    assert (told.net_pct, told.asked) == ((90, 60, None), (1, 1, 0))
