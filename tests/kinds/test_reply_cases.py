"""The grader against the replies of ../shared/cases/grader, carried over into today's answers: the
working and the new keys are right, and what the case is about is as it was.
"""

import json
from pathlib import Path
from random import Random

import pytest

from tasks.core.kinds import kind_named
from tasks.core.kinds.base import scene_from_dict
from tasks.core.kinds.texts import to_text
from tests.kinds.test_replies import put

CASES = Path(__file__).parents[3] / "shared/cases/grader/replies.jsonl"
pytestmark = pytest.mark.skipif(not CASES.exists(), reason="needs ../shared/cases/grader")

FUND = "overnight_strategy"
CARRIED = {
    "hedge with a -2x ETF at 20% (effective 40%)": {
        "positions.hedge.114800": {
            "ticker": "252670",
            "name": "KODEX 200선물인버스2X",
            "side": "BUY",
            "weight_pct": 20,
            "effective_pct": -40,
            "reason": "A hedge of 20% against the index.",
        },
        "net_exposure_pct": 48,
    },
    "conviction weights, sums right": {
        "net_exposure_pct": 47,
        "positions.long.033780.weight_pct": 18,
        "positions.long.000430.weight_pct": 15,
        "positions.long.068270.weight_pct": 12,
        "positions.hedge.114800.weight_pct": 15,
        "positions.hedge.114800.effective_pct": -15,
        "positions.hedge.114800.reason": "an index hedge of 15%",
    },
    "one long of 18% only, net keeps the sum": {
        "net_exposure_pct": -29,
        "positions.long.010950": None,
        "positions.long.207940": None,
        "positions.long.105560": None,
        "positions.long.282330.weight_pct": 18,
    },
    "weight 20, maximum 10 (contradiction)": {"max_overnight_nav_pct": 10},
    "weight 11: none of the rule steps (10,15,20)": {
        f"{FUND}.weight_pct": 6,
        f"{FUND}.effective_pct": -12,
        "max_overnight_nav_pct": 12,
    },
    "halves 2X: 8% of a -2x product = 16% effective": {
        f"{FUND}.reasoning": (
            "Stress: -3.31% with volatility 37.87%. The fund is 2x, so 8% gives 16% of exposure."
        ),
        "unwind_plan.note": "The 8% is closed at the open.",
    },
    "INVERSE in MILD_BULL": {
        f"{FUND}.direction": "INVERSE",
        f"{FUND}.ticker": "114800",
        f"{FUND}.name": "KODEX 인버스",
        f"{FUND}.weight_pct": 15,
        f"{FUND}.effective_pct": -15,
        "max_overnight_nav_pct": 15,
    },
    "one loser left out": {"affected_stocks.000100": None},
    "reasons of the losers say they gain": {
        "affected_stocks.207940.reason": "Profits soar on beta 0.49, a clear winner",
        "affected_stocks.000100.reason": "Profits soar on beta 0.49, a clear winner",
    },
    "day 1 = 85 (slower than half)": {
        "execution_plan.day_1.net_exposure_pct": 85,
        "execution_plan.day_1.note": "From 62% to 85% first.",
        "execution_plan.day_2.note": "The remaining 37 points take it to the target of 122%.",
    },
    "UNDER_EXPOSED book: raises a holding": {
        "rebalancing_decision.028050.reason": "한도까지 여유가 있어 18%로 늘린다.",
    },
}
"""What a case changes today, if that is not what it changed when it was made: the hedge is bought
and has a multiple, the overlay of a -2x fund is halved, and the book buys up to its band. None
takes an entry out.
"""

ARGUED = {
    "level HIGH instead of CRITICAL (limit never stated)": "reject",
    "another plausible elasticity: regime stays": "reject",
}
"""Verdicts that have turned: the levels and the elasticities are stated on the rule card and in
the working, where the answer has them right.
"""


def cases():
    if not CASES.exists():
        return []
    return [json.loads(line) for line in CASES.read_text(encoding="utf-8").splitlines()]


def parsed(text):
    return json.loads(text.strip().removeprefix("```json").removesuffix("```"))


def changes(old, new, path=""):
    """Yields the path and the new value of everything that a reply told otherwise."""
    if isinstance(new, dict):
        for key, value in new.items():
            yield from changes(old[key], value, f"{path}{key}.")
    elif isinstance(new, list):
        for entry in new:
            before = next((one for one in old if one["ticker"] == entry["ticker"]), None)
            if before:
                yield from changes(before, entry, f"{path}{entry['ticker']}.")
    elif old != new:
        yield path.removesuffix("."), new


def carried(case):
    """The right answer of today, with what the case is about."""
    scene = scene_from_dict(case["scene"])
    answer = json.loads(to_text(kind_named(case["kind"]).answer(scene, Random(1))))
    told = CARRIED.get(case["case"])
    if told is None:
        told = dict(changes(parsed(str_of(case["reference"])), parsed(case["reply"])))
    for path, value in told.items():
        replace(answer, path, value)
    if case["case"] == "order of names changed":
        answer["beneficiaries"].reverse()
    if case["case"] == "reference, keys in another order":
        answer = dict(reversed(answer.items()))
    text = to_text(answer)
    return f"```json\n{text}\n```" if case["reply"].startswith("```") else text


def str_of(reference):
    return reference if isinstance(reference, str) else json.dumps(reference)


def replace(answer, path, value):
    way, _, last = path.rpartition(".")
    box = answer
    for key in way.split(".") if way else ():
        box = next(e for e in box if e["ticker"] == key) if isinstance(box, list) else box[key]
    if not isinstance(box, list):
        put(answer, path, value)
        return
    index = [entry["ticker"] for entry in box].index(last)
    box[index : index + 1] = [] if value is None else [value]


@pytest.mark.parametrize("case", cases(), ids=lambda case: case["case"])
def test_a_case_gets_the_verdict_of_the_strict_reader(case):
    scene = scene_from_dict(case["scene"])
    grade = kind_named(case["kind"]).grade(scene, carried(case))
    wanted = ARGUED.get(case["case"], case["expert"])
    assert ("accept" if grade.score == 1 else "reject") == wanted, grade.reason
