"""Every kind keeps the protocol: right answers grade 1.0, each spoiled one grades lower, for its
own reason.
"""

import json
import re
from collections import Counter
from dataclasses import replace
from random import Random

import jsonschema_rs
import pytest

from tasks.core.kinds import KINDS, kind_named
from tasks.core.kinds.base import FLAWS, scene_from_dict, scene_to_dict, system_prompt
from tasks.core.kinds.catalog import regime_classification
from tasks.core.kinds.scenes import HELD_TEMPLATES
from tasks.core.kinds.simulate import simulate_market
from tasks.core.kinds.texts import PROSE_KEYS, to_text
from tasks.core.strategy.rules import EXPOSURES, NUMBERS, regime_of
from tasks.core.strategy.universe import names
from tasks.core.synthesis.reading import read_question
from tests.contract.spoiled import assert_fails_for_its_own_reason
from tests.synthetic import LANGUAGES, in_every_layout, made_up_days, scenes_of

each_kind = pytest.mark.parametrize("kind", KINDS, ids=lambda known: known.name)
each_language = pytest.mark.parametrize("language", LANGUAGES)


@pytest.fixture(scope="module")
def days():
    return made_up_days()


def test_the_shares_of_the_twelve_kinds_sum_to_one():
    assert len(KINDS) == 12
    assert sum(known.share for known in KINDS) == pytest.approx(1)


@each_language
@each_kind
def test_the_right_answer_grades_one(kind, language, days):
    for scene in scenes_of(kind, days, language):
        right = kind.answer(scene, Random(scene.seed))
        jsonschema_rs.validate(kind.schema, right)
        assert kind.grade(scene, to_text(right)).score == 1.0
        stored = json.dumps(scene_to_dict(scene))
        read_back = scene_from_dict(json.loads(stored))
        assert kind.grade(read_back, to_text(right)).score == 1.0


@pytest.mark.parametrize("how", FLAWS)
@each_language
@each_kind
def test_a_spoiled_answer_fails_for_its_own_reason(kind, language, how, days):
    """A near miss sometimes fails for a second one too, or for none, as where another digit is as
    true: pairs draw again then.
    """
    assert_fails_for_its_own_reason(kind, scenes_of(kind, days, language), how)


@each_kind
def test_templates_are_many_and_distinct_and_hold_every_blank(kind):
    blanks = {"day", "market"}
    blanks |= {"event", "shock"} & set(kind.needs.words)
    if kind.needs.stocks[1] or kind.needs.funds:
        blanks.add("stocks")
    for language in LANGUAGES:
        templates = kind.templates(language)
        assert len(set(templates)) == len(templates) >= 8 + HELD_TEMPLATES
        for template in templates:
            assert sorted(re.findall(r"{(\w+)}", template)) == sorted(blanks), template
            assert not re.search(r"\d", template)
            assert bool(re.search("[가-힣]", template)) == (language == "ko")


@each_language
@each_kind
def test_the_held_templates_are_never_trained_on(kind, language, days):
    held = len(kind.templates(language)) - HELD_TEMPLATES
    trained = {scene.template for scene in scenes_of(kind, days, language, 200)}
    asked = {scene.template for scene in scenes_of(kind, days, language, 200, "evaluate")}
    assert trained == set(range(held))
    assert asked == set(range(held, held + HELD_TEMPLATES))


@each_language
@each_kind
def test_a_question_says_its_scene_and_nothing_else(kind, language, days):
    for drawn in scenes_of(kind, days, language):
        for scene in in_every_layout(drawn):
            reading = read_question(kind.ask(scene, Random(scene.seed)))
            assert reading.facts == scene.facts
            assert reading.language == language
            assert reading.dates == ((scene.date,) if scene.date else ())
            tickers = [stock.ticker for stock in scene.facts.stocks]
            assert [offered.ticker for offered in reading.offered] == tickers
            assert all(offered.name in names(offered.ticker) for offered in reading.offered)
            assert reading.unread == ()


@each_language
@each_kind
def test_every_template_can_be_read_back(kind, language, days):
    for scene in scenes_of(kind, days, language, 3):
        questions = set()
        for template in range(len(kind.templates(language))):
            question = kind.ask(replace(scene, template=template), Random(1))
            assert read_question(question).facts == scene.facts
            questions.add(question)
        assert len(questions) == len(kind.templates(language))


@each_kind
def test_a_scene_says_what_its_kind_needs(kind, days):
    needs = kind.needs
    for scene in scenes_of(kind, days, "en"):
        facts = scene.facts
        if scene.partial:  # a hurried question names neither stocks nor all numbers
            assert needs.partial_share and not facts.stocks
            continue
        beside_the_market = set(facts.numbers) - set(NUMBERS)
        assert set(needs.numbers) <= beside_the_market <= {*needs.numbers, *needs.asides}
        assert set(facts.words) == set(needs.words)
        stocks = [stock for stock in facts.stocks if not is_fund(stock, needs)]
        assert needs.stocks[0] <= len(stocks) <= needs.stocks[1]
        always = set(needs.stock_numbers) - {"per", "pbr"}  # one that means nothing is not printed
        for stock in stocks:
            mentioned = {*needs.stock_numbers, *needs.stock_asides}
            assert always <= set(stock.numbers) <= mentioned
            assert set(stock.words) == set(needs.stock_words)


def is_fund(stock, needs):
    """Whether a kind that offers ETFs offers this one as such: nothing is said of them."""
    return bool(needs.funds) and not stock.numbers and not stock.words


def leaves_of(schema, path=""):
    """The path and schema of every number and free text. Objects must be closed, lists bounded."""
    if schema.get("type") == "object":
        assert schema["additionalProperties"] is False, path
        for key, entry in schema["properties"].items():
            yield from leaves_of(entry, f"{path}.{key}")
    elif schema.get("type") == "array":
        assert {"minItems", "maxItems"} <= set(schema), path
        yield from leaves_of(schema["items"], path)
    elif "anyOf" in schema:
        for entry in schema["anyOf"]:
            yield from leaves_of(entry, path)
    elif "enum" not in schema:
        yield path, schema


@each_kind
def test_a_schema_bounds_every_number_and_text_and_names_units(kind):
    """A grammar holds integers to their bounds, and no other numbers."""
    for path, entry in leaves_of(kind.schema):
        if entry["type"] == "integer":
            assert {"minimum", "maximum"} <= set(entry), path
            assert path.endswith(("_pct", "_points", "_bp", "_x10", "_x100", "f_score")), path
        else:
            assert entry["type"] == "string" and {"minLength", "maxLength"} <= set(entry), path
            assert path.endswith((*PROSE_KEYS, "ticker", "name", "working")), path


@pytest.mark.parametrize(
    "reply", ["", "{", "[]", "null", "42", '{"regime": "BULL"}', "```json\n{}\n```", "안녕하세요"]
)
@each_kind
def test_a_reply_that_is_no_answer_grades_low(kind, reply, days):
    scene = next(scenes_of(kind, days, "ko"))
    grade = kind.grade(scene, reply)
    assert grade.score < 0.3
    assert grade.flaws == {"schema_violation"}


def test_a_hurried_question_claims_little_and_names_what_is_missing(days):
    partial = [scene for scene in scenes_of(regime_classification, days, "ko") if scene.partial]
    assert partial
    for scene in partial:
        answer = regime_classification.answer(scene, Random(1))
        assert answer["confidence_pct"] <= 50
        missing = [name for name in NUMBERS if name not in scene.facts.numbers]
        assert answer["missing_inputs"] == missing
        grade = regime_classification.grade(scene, to_text({**answer, "confidence_pct": 51}))
        assert not grade.parts["regime"]


@each_language
def test_the_system_prompt_states_every_band(language):
    text = system_prompt(language)
    for regime, exposure in EXPOSURES.items():
        line = next(line for line in text.splitlines() if line.startswith(regime))
        assert str(exposure.net[0]) in line and str(exposure.net[1]) in line


def test_simulated_days_are_of_every_regime():
    rng = Random(5)
    assert len({regime_of(**simulate_market(rng)) for _ in range(100)}) == 5


def test_real_days_of_every_regime_come_up_equally_often(days):
    scenes = scenes_of(kind_named("risk_management"), days, "en", 400)
    regimes = Counter(scene.regime for scene in scenes if scene.date)
    assert set(regimes) == set(days.by_regime)
    assert max(regimes.values()) < 2 * min(regimes.values())


SIGNS = [
    *"#@%&*()[]{}<>^~|\\/\"'.,;:!?-+=_ \n0123456789",
    *("S&P 500", "코스피", "삼성전자", "억", "½", "--5"),
]


@each_kind
def test_no_text_of_a_model_ends_the_grading(kind, days):
    for scene in scenes_of(kind, days, "ko", 20):
        rng = Random(scene.seed)
        answer = kind.answer(scene, rng)
        for container, key in texts_in(answer):
            text = list(container[key])
            for _ in range(8):
                text.insert(rng.randrange(len(text) + 1), rng.choice(SIGNS))
            container[key] = "".join(text)
        assert 0 <= kind.grade(scene, to_text(answer)).score <= 1


def texts_in(value):
    """The place of every free text of an answer."""
    entries = value.items() if isinstance(value, dict) else enumerate(value)
    for key, entry in list(entries):
        if isinstance(entry, dict | list):
            yield from texts_in(entry)
        elif key in PROSE_KEYS:
            yield value, key
