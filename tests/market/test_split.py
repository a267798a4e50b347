"""Where the market is split: what each rule of market.train_until means, and what is refused."""

import pytest

from tasks.core.errors import RequestError
from tasks.core.market.split import train_until
from tests.market.folders import weekdays


def test_train_until_rules():
    days = weekdays("2024-01-02", 150)  # the 150th weekday is 2024-07-29
    assert train_until(days, "month") == "2024-04-30"
    assert train_until(days[:-20], "month") == "2024-03-29"
    assert train_until([*days, "2024-07-30"], "month") == "2024-04-30", (
        "one more day changes nothing"
    )
    assert train_until(days, "latest-10") == days[-11]
    assert train_until(days, "2024-03-10") == "2024-03-08", "a weekend means the day before it"
    assert train_until(days[:24], "month") == days[24 - 4 - 1], (
        "too short for 60 days: the last fifth"
    )
    assert train_until(days[:2], "month") == days[0]


@pytest.mark.parametrize(
    ("rule", "text"),
    [
        ("latest-150", "leaves no training day"),
        ("latest-0", "leaves no evaluation day"),
        ("2030-01-01", "leaves no evaluation day"),
        ("2020-01-01", "leaves no training day"),
        ("2024-13-01", "'2024-13-01' is not a date"),
        ("weekly", "neither a date (YYYY-MM-DD), `latest-N` nor `month`"),
    ],
)
def test_train_until_refusals(rule, text):
    with pytest.raises(RequestError) as refusal:
        train_until(weekdays("2024-01-02", 150), rule)
    assert text in str(refusal.value)
