"""Every kind keeps the protocol: right answers grade 1.0, each spoiled one grades lower, for its own reason."""

import json
from random import Random

import jsonschema
import pytest

from tasks.core.kinds import KINDS, kind
from tasks.core.kinds.base import FLAWS, NUMBERS, scene_from_dict, scene_to_dict, system_prompt
from tasks.core.kinds.grading import to_text
from tasks.core.kinds.scenes import HELD_TEMPLATES, Days, draw_scene, simulate
from tasks.core.records import Snapshot, StockDay
from tasks.core.strategy import EXPOSURES, regime_of
from tasks.core.universe import stocks

LANGUAGES = ("ko", "en")
SCENES = 60


@pytest.fixture(scope="module")
def days():
    rng = Random(3)
    snapshots = []
    for number in range(40):
        day = simulate(rng)
        snapshots.append(Snapshot(f"2024-03-{number + 1:02d}", *(getattr(day, name) for name in NUMBERS)))
    traded = [
        StockDay(stock.ticker, 50_000.0, 0.5, rng.choice([None, 0.0, rng.uniform(3, 40)]), rng.uniform(0.3, 5), 1e12)
        for stock in stocks()[:12]
    ]
    return Days(tuple(snapshots), {day.date: traded for day in snapshots})


def scenes(of_kind, days, language, split="train"):
    rng = Random(11)
    return [(draw_scene(of_kind, days, language, rng, split, real=rng.random() < 0.7), rng) for _ in range(SCENES)]


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("of_kind", KINDS, ids=lambda known: known.name)
def test_the_right_answer_grades_one(of_kind, language, days):
    for scene, rng in scenes(of_kind, days, language):
        right = of_kind.answer(scene, rng)
        jsonschema.validate(right, of_kind.schema)
        assert of_kind.grade(scene, to_text(right)).score == 1.0
        assert of_kind.grade(scene_from_dict(json.loads(json.dumps(scene_to_dict(scene)))), to_text(right)).score == 1.0


@pytest.mark.parametrize("how", FLAWS)
@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("of_kind", KINDS, ids=lambda known: known.name)
def test_a_spoiled_answer_fails_for_its_own_reason(of_kind, language, how, days):
    for scene, rng in scenes(of_kind, days, language):
        spoiled = of_kind.spoil(scene, of_kind.answer(scene, rng), how, rng)
        grade = of_kind.grade(scene, spoiled)
        assert grade.score < 1.0
        assert grade.flaws == {how}, f"{grade.reason}\n{spoiled}"


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("of_kind", KINDS, ids=lambda known: known.name)
def test_templates_are_many_distinct_and_the_held_ones_are_never_trained_on(of_kind, language, days):
    templates = of_kind.templates(language)
    assert len(set(templates)) == len(templates) >= 8
    trained = {scene.template for scene, _ in scenes(of_kind, days, language)}
    asked = {scene.template for scene, _ in scenes(of_kind, days, language, "evaluate")}
    assert max(trained) < len(templates) - HELD_TEMPLATES <= min(asked)


@pytest.mark.parametrize("of_kind", KINDS, ids=lambda known: known.name)
def test_the_prompt_shows_what_decides(of_kind, days):
    for scene, rng in scenes(of_kind, days, "en"):
        question = of_kind.ask(scene, rng)
        for name in scene.given:
            assert f"{getattr(scene.snapshot, name):.{1 if name == 'breadth_pct' else 2}f}%" in question


@pytest.mark.parametrize("reply", ["", "{", "[]", "null", "42", '{"regime": "BULL"}', "```json\n{}\n```", "안녕하세요"])
@pytest.mark.parametrize("of_kind", KINDS, ids=lambda known: known.name)
def test_a_reply_that_is_no_answer_grades_low(of_kind, reply, days):
    scene, _ = scenes(of_kind, days, "ko")[0]
    grade = of_kind.grade(scene, reply)
    assert grade.score < 0.3
    assert grade.flaws == {"schema_violation"}


def test_a_hurried_question_claims_little_and_names_what_is_missing(days):
    hurried = kind("regime_classification")
    partial = [pair for pair in scenes(hurried, days, "ko") if len(pair[0].given) < 4]
    assert partial
    for scene, rng in partial:
        answer = hurried.answer(scene, rng)
        assert answer["confidence_pct"] <= 50
        assert set(answer["missing_inputs"]) == set(NUMBERS) - set(scene.given)
        assert not hurried.grade(scene, to_text({**answer, "confidence_pct": 51})).parts["regime"]


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_system_prompt_states_every_band(language):
    text = system_prompt(language)
    for regime, exposure in EXPOSURES.items():
        line = next(line for line in text.splitlines() if line.startswith(regime))
        assert str(exposure.net[0]) in line and str(exposure.net[1]) in line


def test_simulated_days_are_of_every_regime():
    rng = Random(5)
    found = {regime_of(*(getattr(simulate(rng), name) for name in NUMBERS)) for _ in range(200)}
    assert len(found) == 5
