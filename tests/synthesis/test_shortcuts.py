"""Shortcuts are found where there are some, and not where there are none."""

from random import Random

import numpy as np

from tasks.core.synthesis.shortcuts import Contrast, _products, _solved, measure

WORDS = [f"word{letter}" for letter in "abcdefghijklmnop"]


def contrasts(worse, number=200):
    rng = Random(1)
    made = []
    for _ in range(number):
        chosen = rng.choices(WORDS, k=30)
        rejected = worse(list(chosen), rng)
        made.append(Contrast(" ".join(chosen), " ".join(rejected), len(chosen), len(rejected)))
    return made


def exchanged(words, rng):
    at = rng.randrange(len(words))
    words[at] = rng.choice([word for word in WORDS if word != words[at]])
    return words


def test_a_random_exchange_is_no_shortcut():
    found = measure(contrasts(exchanged))
    assert found["length_auc"] == 0.5
    assert found["words_auc"] < 0.7
    assert found["edit_words"] == 1


def test_a_telling_word_is_a_shortcut_however_rare_the_others():
    found = measure(contrasts(lambda words, rng: [*words[:-1], "sorry"]))
    assert found["words_auc"] > 0.95


def test_what_is_always_longer_is_a_shortcut():
    found = measure(contrasts(lambda words, rng: words + rng.choices(WORDS, k=3)))
    assert found["length_auc"] == 1.0
    assert found["edit_words"] == 3


def test_no_pairs_say_nothing():
    assert measure([]) == {"length_auc": None, "words_auc": None, "edit_words": None}


def test_words_are_weighed_as_ridge_regression_weighs_them():
    rng = np.random.default_rng(1)
    rows = rng.normal(size=(60, 400)) * (rng.random((60, 400)) < 0.1)
    products = _products(rows)
    assert np.allclose(products, rows @ rows.T)
    matrix = products + 0.1 * np.eye(60)
    assert np.allclose(_solved(matrix, np.ones(60)), np.linalg.solve(matrix, np.ones(60)))


def test_pairs_that_do_not_differ_have_no_shortcut():
    assert measure([Contrast("a b", "a b", 2, 2)] * 10)["words_auc"] == 0.5
