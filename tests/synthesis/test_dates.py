"""Dates are read in every form in which they are written, and other numbers are none."""

import pytest

from tasks.core.synthesis.dates import dates_in


@pytest.mark.parametrize(
    "text",
    [
        "2025-10-02",
        "20251002",
        "2025/10/02",
        "2025년 10월 2일",
        "2 October 2025",
        "Oct 2nd, 2025",
    ],
)
def test_a_date_is_read_in_every_form(text):
    assert list(dates_in(f"as seen on {text}, the market")) == ["2025-10-02"]


@pytest.mark.parametrize("text", ["2025. 10. 2.", "120251002", "1,234.56", "2025-10-021", "May 3"])
def test_other_numbers_are_no_dates(text):
    assert list(dates_in(text)) == []


def test_dates_are_found_at_any_depth_and_numbers_of_json_are_none():
    value = {"a": ["120251002", "1,234.56", 20251002], "b": {"c": ["2024-05-02", None]}}
    assert list(dates_in(value)) == ["2024-05-02"]
