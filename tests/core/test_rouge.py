"""ROUGE-L counts Hangul, which rouge-score's own tokens drop."""

import pytest

from tasks.core.rouge import rouge_l

KOREAN = "반도체 업황이 회복되어 실적이 늘어난다."


@pytest.mark.parametrize(
    ("reference", "text", "f1"),
    [
        (KOREAN, KOREAN, 1.0),
        (KOREAN, "Chips recover.", 0.0),
        ("업황이 회복", "업황은 회복", 0.8),  # 4 of 5 syllables, whatever the particle
        ("profits rise 4.2%", "profits rise 4.3%", 2 / 3),  # a number is one token
        ("Profits RISE", "profits rise", 1.0),
        ("a b c d", "a c", 2 * 1.0 * 0.5 / 1.5),
        (KOREAN, "", 0.0),
    ],
)
def test_the_f1_of_the_longest_common_subsequence(reference, text, f1):
    assert rouge_l(reference, text) == pytest.approx(f1)
