"""The language of a text is told by its script."""

import pytest

from tasks.core.data.languages import language_of


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("매수 BUY SELL HOLD 의견", "ko"),
        ("Buy low, sell high.", "en"),
        ("Ångström café – “naïve”", "en"),
        ("株価が上がった", "ja"),
        ("時々上がる", "ja"),
        ("股市今天上涨", "zh"),
        ("𠮷", "zh"),
        ("рынок вырос", "other"),
        ("12.5 %", "other"),
    ],
)
def test_the_language_of_a_text_is_told_by_its_script(text, language):
    assert language_of(text) == language
