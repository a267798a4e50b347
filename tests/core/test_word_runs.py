"""Runs of five words, and a short text as one."""

from tasks.core.word_runs import runs_in


def test_a_text_has_a_run_from_each_word_that_four_others_follow():
    assert runs_in("하나 둘\nthree  four five six") == {
        "하나 둘 three four five",
        "둘 three four five six",
    }
    assert runs_in("two words") == {"two words"}
    assert runs_in("") == {""}
