"""Numbers and amounts as prompts print them."""

import pytest

from tasks.core.kinds.lexicon import printed, won


@pytest.mark.parametrize(
    ("amount", "ko", "en"),
    [
        (12_300, "1조 2,300억원", "KRW 1,230.0 bn"),
        (10_000, "1조원", "KRW 1,000.0 bn"),
        (-850, "-850억원", "-KRW 85.0 bn"),
        (0, "0억원", "KRW 0.0 bn"),
        (10_005, "1조 5억원", "KRW 1,000.5 bn"),
    ],
)
def test_won_amounts(amount, ko, en):
    assert (won(amount, "ko"), won(amount, "en")) == (ko, en)


@pytest.mark.parametrize(
    ("name", "value", "text"),
    [
        ("return_pct", -0.6, "-0.60%"),
        ("breadth_pct", 42.0, "42.0%"),
        ("us_return_pct", 0.0, "+0.00%"),
        ("usdkrw", 1302.5, "1302.5"),
        ("leverage_x", 1.5, "1.50x"),
        ("pnl_pct", 3.0, "+3.0%"),
        ("f_score", 7.0, "7"),
    ],
)
def test_numbers_are_printed_with_sign_digits_and_unit(name, value, text):
    assert printed(name, value, "en") == printed(name, value, "ko") == text
