"""regime_transition: the target, both days on the way there, and the regime of the day before."""

from random import Random

import pytest

from tasks.core.kinds.catalog import regime_transition
from tasks.core.kinds.scenes import Draw, draw_scene
from tasks.core.strategy.deciding import settled
from tasks.core.strategy.rules import EXPOSURES, NUMBERS, regime_of
from tests.kinds.given import DAYS, each_regime, facts_of, parts_after
from tests.synthetic import made_up_days, scene_on


def moved(before, to, now):
    return regime_transition.decide(
        facts_of(to, words={"previous_regime": before}, net_now_pct=float(now))
    )


@pytest.mark.parametrize(
    ("before", "to", "now", "urgency", "first", "target"),
    [
        ("MILD_BULL", "MILD_BULL", 85, "NONE", 85, 85),  # inside the band of a regime that stays
        ("BEAR", "BEAR", -55, "NONE", -55, -55),
        ("MILD_BULL", "MILD_BULL", 60, "NONE", 76, 91),  # outside of it
        ("MILD_BULL", "WEAKENING", 90, "GRADUAL", 71, 52),
        ("MILD_BULL", "WEAKENING", 62, "GRADUAL", 52, 52),  # ten points at once
        ("MILD_BULL", "WEAKENING", 63, "GRADUAL", 57, 52),  # 5.5 is rounded up
        ("MILD_BULL", "SHORT_TERM_STRESS", 90, "IMMEDIATE", 44, 25),
        ("STRONG_BULL", "BEAR", 120, "IMMEDIATE", -17, -75),  # 136.5 points are rounded up
    ],
)
def test_the_plan(before, to, now, urgency, first, target):
    decision = settled(moved(before, to, now))
    assert decision["transition"] == {"from": before, "to": to}
    assert decision["urgency"] == urgency
    nets = [day["net_exposure_pct"] for day in decision["execution_plan"].values()]
    assert nets == [first, target]
    assert decision["target_net_exposure_pct"] == target


def test_the_working_leads_to_both_days():
    assert moved("MILD_BULL", "BEAR", 90)["working"][1:] == [
        "MILD_BULL -> BEAR: IMMEDIATE",
        "long 0; short 80-30*18.0%=75; net 0-75=-75",
        "-75-90=-165; 70% of 165=115.5: 116; day 1 90-116=-26; day 2 -26-49=-75",
    ]
    assert moved("BEAR", "BEAR", -60)["working"][1:] == [
        "BEAR -> BEAR: NONE",
        "net -60 in -80 to -50: keep -60",
    ]


@each_regime
def test_the_first_day_never_leaves_the_way_and_does_most_of_an_urgent_one(regime):
    for now in range(-80, 131, 7):
        decision = settled(moved("MILD_BULL", regime, now))
        target = decision["target_net_exposure_pct"]
        first = decision["execution_plan"]["day_1"]["net_exposure_pct"]
        assert min(now, target) <= first <= max(now, target)
        if regime in ("SHORT_TERM_STRESS", "BEAR") and now != target:
            assert abs(first - now) > abs(target - first)


def planned(regime, now, first, second, target):
    scene = scene_on(regime_transition, DAYS[regime], net_now_pct=float(now))

    def change(answer):
        plan = answer["execution_plan"]
        plan["day_1"] |= {"net_exposure_pct": first, "note": f"first to {first}%"}
        plan["day_2"] |= {"net_exposure_pct": second, "note": f"then to {second}%"}
        answer["target_net_exposure_pct"] = target

    return parts_after(regime_transition, scene, change) - {"grounded", "argued"}


def test_another_target_in_the_band_and_a_slower_first_day_are_right():
    assert planned("STRONG_BULL", 62, 92, 122, 122) == set()
    assert planned("STRONG_BULL", 62, 85, 122, 122) == set()
    assert planned("STRONG_BULL", 62, 86, 110, 110) == set()
    assert planned("STRONG_BULL", 62, 110, 110, 110) == set()


def test_a_target_that_day_two_misses_or_a_day_off_the_way_is_wrong():
    assert planned("STRONG_BULL", 62, 92, 122, 118) == {"exposure"}
    assert planned("STRONG_BULL", 62, 62, 122, 122) == {"exposure"}  # no step at all
    assert planned("STRONG_BULL", 62, 125, 122, 122) == {"exposure"}
    assert planned("STRONG_BULL", 62, 95, 131, 130) == {"schema"}
    assert planned("STRONG_BULL", 62, 80, 99, 99) == {"exposure"}


def test_an_urgent_move_makes_at_least_half_of_the_way_on_day_one():
    assert planned("BEAR", 90, 8, -74, -74) == set()
    assert planned("BEAR", 90, 9, -74, -74) == {"exposure"}


def test_a_dated_question_names_the_real_regime_of_the_day_before_and_a_net_of_its_band():
    days = made_up_days()
    dates = [day.date for day in days.snapshots]
    for seed in range(60):
        scene = draw_scene(regime_transition, days, Draw("en"), Random(seed))
        previous = scene.facts.words["previous_regime"]
        low, high = EXPOSURES[previous].net
        assert low <= scene.facts.numbers["net_now_pct"] <= high
        if scene.date:
            before = days.snapshots[dates.index(scene.date) - 1]
            assert previous == regime_of(*[getattr(before, name) for name in NUMBERS])
            assert scene.date != dates[0]  # of which nothing is known


def test_the_card_shows_what_the_working_looks_like():
    assert regime_transition.card.isascii()
    kept = moved("MILD_BULL", "MILD_BULL", 91)["working"]
    started = moved("WEAKENING", "STRONG_BULL", 62)["working"]
    for step in (kept[2], *started[1:]):
        assert f'"{step}"' in regime_transition.card
