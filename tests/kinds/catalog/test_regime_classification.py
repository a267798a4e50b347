"""regime_classification: the rule's regime, also of what hurried traders say."""

from random import Random

import pytest

from tasks.core.kinds.catalog import regime_classification
from tasks.core.kinds.scenes import Draw, draw_scene
from tasks.core.kinds.texts import to_text
from tasks.core.records.facts import Facts
from tasks.core.strategy.deciding import settled
from tasks.core.strategy.rules import EXPOSURES, NUMBERS
from tests.kinds.given import DAYS, each_regime, facts_of
from tests.synthetic import LANGUAGES, made_up_days, scene_on


@each_regime
def test_the_regime_allows_every_net_of_its_band(regime):
    decision = regime_classification.decide(facts_of(regime))
    assert decision["regime"] == regime and "missing_inputs" not in decision
    net = decision["recommended_net_exposure_pct"]
    assert (net.low, net.high) == EXPOSURES[regime].net
    assert net.allows(settled(net))


@pytest.mark.parametrize(
    ("return_pct", "regime"),
    [
        (-8.24, "BEAR"),  # 2020-03-19
        (-5.54, "BEAR"),  # 2025-04-07
        (-2.3, "SHORT_TERM_STRESS"),
        (-0.4, "WEAKENING"),
        (0.4, "MILD_BULL"),
        (3.5, "STRONG_BULL"),
    ],
)
def test_a_crash_of_which_only_the_return_is_known_is_no_weakening(return_pct, regime):
    decision = regime_classification.decide(Facts({"return_pct": return_pct}))
    assert decision["regime"] == regime and decision["missing_inputs"] == list(NUMBERS[1:])
    assert decision["confidence_pct"].value <= 50 and not decision["confidence_pct"].allows(51)


def test_a_regime_that_is_given_is_taken_and_every_number_is_missing():
    decision = settled(
        regime_classification.decide(Facts({}, words={"current_regime": "WEAKENING"}))
    )
    assert decision["regime"] == "WEAKENING" and decision["missing_inputs"] == list(NUMBERS)
    assert decision["working"][:2] == [
        "given: WEAKENING; no numbers to check it by",
        "unchecked: confidence 50",
    ]


@pytest.mark.parametrize("language", LANGUAGES)
def test_hurried_questions_leave_out_any_number_or_give_the_regime_alone(language):
    days, missing = made_up_days(), set()
    for seed in range(120):
        scene = draw_scene(regime_classification, days, Draw(language, partial=True), Random(seed))
        answer = regime_classification.answer(scene, Random(seed))
        missing.add(len(answer["missing_inputs"]))
        assert ("current_regime" in scene.facts.words) == (len(answer["missing_inputs"]) == 4)
        assert answer["regime"] == scene.regime
        assert regime_classification.grade(scene, to_text(answer)).score == 1
    assert missing == {1, 2, 3, 4}


def test_a_mistake_may_be_a_number_misread_or_a_verdict_against_its_working():
    scene = scene_on(regime_classification, DAYS["WEAKENING"])
    right = regime_classification.answer(scene, Random(1))
    lines = set()
    for seed in range(60):
        reply = regime_classification.spoil(scene, right, "strategy_violation", Random(seed))
        grade = regime_classification.grade(scene, reply)
        assert "regime" in grade.reason and grade.answer["regime"] != "WEAKENING"
        lines.add(grade.answer["working"][0])
    assert right["working"][0] in lines  # right, and the verdict against it
    assert any("return -0.60: 0 to 1" in line for line in lines)  # misread


def test_the_card_is_ascii_and_states_the_constants():
    card = regime_classification.card
    assert card.isascii() and "+45 * min(1, distance / near)" in card and "m = 2r" in card
