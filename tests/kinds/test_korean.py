"""Korean particles after names and numbers as they are read aloud."""

import re

import pytest

from tasks.core.kinds import KINDS
from tasks.core.kinds.korean import with_particle
from tasks.core.kinds.words import words_beside


@pytest.mark.parametrize(
    ("word", "pair", "said"),
    [
        ("삼성전자", "은/는", "삼성전자는"),
        ("한국전력", "은/는", "한국전력은"),
        ("기아", "이/가", "기아가"),
        ("POSCO홀딩스", "을/를", "POSCO홀딩스를"),
        ("SK텔레콤", "이/가", "SK텔레콤이"),
        ("LG", "은/는", "LG는"),
        ("KB금융", "과/와", "KB금융과"),
        ("2.31%", "으로/로", "2.31%로"),
        ("50", "을/를", "50을"),
        ("1.2", "은/는", "1.2는"),
        ("7", "으로/로", "7로"),
        ("10", "으로/로", "10으로"),
        ("WEAKENING", "으로/로", "WEAKENING으로"),
        ("MILD_BULL", "으로/로", "MILD_BULL로"),
        ("BEAR", "으로/로", "BEAR로"),
        ("BEAR", "은/는", "BEAR는"),
        ("BEAR", "이/가", "BEAR가"),
        ("NAVER", "은/는", "NAVER는"),
        ("LS ELECTRIC", "을/를", "LS ELECTRIC을"),
        ("S-Oil", "으로/로", "S-Oil로"),
        ("HMM", "으로/로", "HMM으로"),
    ],
)
def test_particles_follow_the_sound(word, pair, said):
    assert with_particle(word, pair) == said


BLANK = re.compile("{(rate|vix|value|beta|names|winners|losers|why|what|sector|name|before|after)}")
PARTICLE = re.compile(r"(은|는|이|가|을|를|과|와|으로|로|이면|면|이라|라|이다|다)(?=[ .,])")


@pytest.mark.parametrize("kind", KINDS, ids=lambda known: known.name)
def test_no_particle_is_fixed_behind_a_word_that_varies(kind):
    """환율이 1249.1면: a word that may end either way has a blank for its particle."""
    words = words_beside(kind.__file__)
    for sentences in words.texts.values():
        for sentence in sentences["ko"]:
            for blank in BLANK.finditer(sentence):
                assert not PARTICLE.match(sentence, blank.end()), sentence
