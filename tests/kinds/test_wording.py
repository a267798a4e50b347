"""Arguments and numbers in words: true at the rule's borders, in their language, one claim each."""

import re
from dataclasses import replace
from itertools import chain
from random import Random

import pytest

from tasks.core.kinds import exposure_phrases, phrases
from tasks.core.kinds.catalog import regime_classification
from tasks.core.kinds.judging.sentences import read_text
from tasks.core.kinds.lexicon import MARKET, printed
from tasks.core.kinds.texts import numbers_in, to_text
from tasks.core.kinds.wording import argue, ground_of
from tasks.core.records.facts import Facts
from tasks.core.scripts import HANGUL, HANJA
from tasks.core.strategy.rules import NUMBERS, REGIMES, regime_of
from tests.kinds.given import DAYS, parts_after
from tests.synthetic import LANGUAGES, scene_on

REGIME_OF_GROUND = {
    "volatile": "SHORT_TERM_STRESS",
    "shallow": "WEAKENING",
    "narrow": "MILD_BULL",
    "flat": "MILD_BULL",
}
"""The regime of each ground that is not named by its regime."""


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("The market return of -0.60% is 3.7 points short.", "grounded"),
        ("The market looks soft.", "argued"),  # no number
        ("A return of -0.60% it is. A return of -0.60% it is.", "argued"),  # twice
        ("A return of -0.60% is a bear market.", "argued"),  # another regime's
    ],
)
def test_a_text_that_invents_says_nothing_or_argues_for_another_regime(text, part):
    scene = scene_on(regime_classification, DAYS["WEAKENING"])
    assert parts_after(
        regime_classification, scene, lambda answer: answer.update(reasoning=text)
    ) == {part}


def claimed_in(text, language):
    """The regimes that a text argues for in words. Codes say what lies beyond a limit."""
    in_words = re.sub("|".join(REGIMES), "", text)
    sentences = read_text(in_words, language).sentences
    return {regime for sentence in sentences for regime in sentence.sense.regimes}


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_ground_claims_its_own_regime_and_no_other(language):
    assert set(phrases.GROUNDS[language]) == {*REGIMES, *REGIME_OF_GROUND}
    for ground, texts in phrases.GROUNDS[language].items():
        assert len(set(texts)) == len(texts) >= 3
        for text in texts:
            assert claimed_in(text, language) == {REGIME_OF_GROUND.get(ground, ground)}, text


@pytest.mark.parametrize("language", LANGUAGES)
def test_phrases_keep_to_their_language(language):
    banks = [
        *phrases.GROUNDS[language].values(),
        phrases.TURNS[language],
        exposure_phrases.EXPOSURES[language],
        exposure_phrases.BY_BREADTH[language],
        exposure_phrases.WILD[language],
        exposure_phrases.PARTIAL[language],
        exposure_phrases.USUAL[language],
        exposure_phrases.GIVEN[language],
    ]
    for text in chain.from_iterable(banks):
        assert not HANJA.search(text)
        assert bool(HANGUL.search(text)) == (language == "ko")
        assert text.endswith((".", "다."))


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("regime", REGIMES)
def test_every_way_to_argue_a_regime_grades_one(regime, language):
    scene, seen = scene_on(regime_classification, DAYS[regime], language), set()
    for seed in range(60):
        right = regime_classification.answer(scene, Random(seed))
        assert regime_classification.grade(scene, to_text(right)).score == 1, right["reasoning"]
        seen.add(right["reasoning"])
    assert len(seen) > 20


@pytest.mark.parametrize(
    ("numbers", "ground"),
    [
        ((-2.01, 29.9, -5.01, 40.0), "BEAR"),
        ((-1.51, 42.0, 0.0, 25.01), "volatile"),
        ((-1.51, 60.0, 0.0, 25.0), "SHORT_TERM_STRESS"),
        ((-1.0, 60.0, 0.0, 15.0), "shallow"),
        ((-1.6, 35.0, 0.0, 25.0), "WEAKENING"),
        ((0.3, 50.0, 0.0, 15.0), "narrow"),
        ((0.0, 70.0, 0.0, 15.0), "flat"),
        ((0.3, 50.1, 0.0, 15.0), "MILD_BULL"),
        ((1.01, 65.1, 3.01, 15.0), "STRONG_BULL"),
    ],
)
def test_the_ground_is_the_rules_own_reason(numbers, ground):
    market = dict(zip(NUMBERS, numbers, strict=True))
    assert ground_of(Facts(market)) == ground
    assert REGIME_OF_GROUND.get(ground, ground) == regime_of(**market)


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_number_that_nobody_gave_is_named_with_the_value_it_was_taken_for(language):
    scene = scene_on(
        regime_classification, (-0.4, 20.0, -7.0, 30.0), language, given=("return_pct",)
    )
    for seed in range(20):
        told = argue(scene, Random(seed))
        assert "40.0%" in told and MARKET["breadth_pct"].of(language) in told
        assert not {20.0, -7.0, 30.0} & set(numbers_in(told))


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("claimed", ["BEAR", "STRONG_BULL", "MILD_BULL"])
def test_another_regimes_argument_differs_and_still_quotes_the_prompt(claimed, language):
    scene = scene_on(regime_classification, DAYS["WEAKENING"], language)
    sizes = [printed(name, abs(value), language) for name, value in scene.facts.numbers.items()]
    for seed in range(20):
        wrong = argue(scene, Random(seed), claimed=claimed)
        assert claimed_in(wrong, language) == {claimed}
        assert any(size in wrong for size in sizes)


def test_korean_particles_fit_what_they_follow():
    scene = scene_on(
        regime_classification, DAYS["WEAKENING"], "ko", given=("return_pct", "breadth_pct")
    )
    told = " ".join(argue(scene, Random(seed)) for seed in range(40))
    assert "WEAKENING으로" in told and "%로" in told and "WEAKENING이다" in told


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_hurried_question_is_one_sentence_of_its_own(language):
    scene = scene_on(regime_classification, DAYS["WEAKENING"], language, given=("return_pct",))
    number = len(regime_classification.templates(language))
    questions = [
        regime_classification.ask(replace(scene, template=template), Random(1))
        for template in range(number)
    ]
    assert len(set(questions)) == number
    for question in questions:
        assert question.count("-0.60%") == 1
        assert question.count("\n") == 1 and question.endswith("kind: regime_classification")
