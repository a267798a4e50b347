"""Where the market's days are split into training and held-out ones."""

from tasks.core.errors import RequestError
from tasks.core.market.snapshots import check_date

DAYS_AFTER_MONTH_END = 60
"""The fewest trading days that the rule `month` leaves for evaluation."""


def train_until(days: list[str], rule: str) -> str:
    """Returns the last training day T among the snapshot days (YYYY-MM-DD, oldest first).

    rule: a date, `latest-N` or `month` (see settings.Market). A market too short for `month` is
    split at its last fifth. Raises RequestError if the rule is none of these, and if it leaves no
    training or no evaluation day.
    """
    count = _count_training_days(days, rule)
    if 0 < count < len(days):
        return days[count - 1]
    lacking = "evaluation"
    if count <= 0:
        lacking = "training"
    raise RequestError(
        f"market.train_until={rule} leaves no {lacking} day:"
        f" the market's {len(days)} days run from {days[0]} to {days[-1]}."
        " Choose a T between them, or `month`."
    )


def _count_training_days(days: list[str], rule: str) -> int:
    """Returns how many days the rule leaves for training; it may be none, all or below 0."""
    if rule == "month":
        return _days_to_month_end(days)
    if rule.startswith("latest-") and rule[7:].isdecimal():
        return len(days) - int(rule[7:])
    if rule[:1].isdecimal():
        last = check_date(rule)
        return sum(day <= last for day in days)
    raise RequestError(
        f"market.train_until={rule!r} is neither a date (YYYY-MM-DD), `latest-N` nor `month`."
    )


def _days_to_month_end(days: list[str]) -> int:
    """Returns how many days lie up to the last month end that leaves enough days after it.

    If there is no such month end, the last fifth of the days is left.
    """
    for count in range(len(days) - DAYS_AFTER_MONTH_END, 0, -1):
        month_before = days[count - 1][:7]
        month_after = days[count][:7]
        if month_before != month_after:
            return count
    return len(days) - max(1, len(days) // 5)
