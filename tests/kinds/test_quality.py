"""An answer of poor quality is told by what it says, not by its length or its words."""

import json
from random import Random

import pytest

from tasks.core.kinds import kind_named
from tasks.core.kinds.judging.sentences import read_text
from tasks.core.kinds.judging.substance import empty_faults
from tasks.core.kinds.spoilt.quality import GENERIC
from tasks.core.kinds.texts import to_text
from tests.synthetic import LANGUAGES, made_up_days, scenes_of


@pytest.mark.parametrize("language", LANGUAGES)
def test_what_fits_any_day_says_nothing(language):
    for sentences in GENERIC[language]:
        for said in sentences:
            text = read_text(said, language)
            assert list(empty_faults(text, language, True, lambda: False)), said


def spoilt(name, language, number=150):
    """Right answers of a kind, each with one of poor quality."""
    kind = kind_named(name)
    for scene in scenes_of(kind, made_up_days(), language, number):
        rng = Random(scene.seed)
        right = kind.answer(scene, rng)
        yield right, json.loads(kind.spoil(scene, right, "quality_degradation", rng))


@pytest.mark.parametrize("language", LANGUAGES)
def test_lists_grow_as_often_as_they_shrink(language):
    grown = shrunk = 0
    for right, worse in spoilt("stop_loss_management", language):
        change = len(worse["position_review"]) - len(right["position_review"])
        grown += change > 0
        shrunk += change < 0
    assert grown > 10 and shrunk > 10
    assert 0.5 < grown / shrunk < 2


@pytest.mark.parametrize("language", LANGUAGES)
def test_an_argument_for_another_regime_keeps_the_other_sentences(language):
    """It took the place of the whole text, which was shorter then and of other words."""
    pairs = list(spoilt("risk_management", language))
    lengths = [len(to_text(worse)) / len(to_text(right)) for right, worse in pairs]
    assert 0.97 < sum(lengths) / len(lengths) < 1.03
