"""The dates that a text names, in whatever form they are written."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_MONTH = rf"(?P<name>{'|'.join(_MONTHS)})[a-z]*\.?"
_YEAR = r"(?P<year>\d{4})"
_DAY_OF_MONTH = r"(?P<day>\d{1,2})(?:st|nd|rd|th)?"


@dataclass(frozen=True)
class _Form:
    """Ways to write a date.

    A text that holds such a date has one of `words` in it, if there are any: most texts have none
    of them, and are spared the search.
    """

    patterns: tuple[re.Pattern[str], ...]
    words: re.Pattern[str] | None = None


# The pattern begins with a digit, because the regex engine finds that fast.
_DIGITS_ONLY = re.compile(
    r"(?P<year>\d(?<!\d\d)\d{3})(?P<gap>[-./ ]?)(?P<month>\d{2})(?P=gap)(?P<day>\d{2})(?!\d)"
)
_KOREAN = re.compile(rf"(?<!\d){_YEAR}\s*년\s*(?P<month>\d{{1,2}})\s*월\s*(?P<day>\d{{1,2}})\s*일")
_MONTH_FIRST = re.compile(rf"{_MONTH} {_DAY_OF_MONTH},? {_YEAR}")
_DAY_FIRST = re.compile(rf"(?<!\d){_DAY_OF_MONTH} {_MONTH},? {_YEAR}")

_SOME_MONTH = re.compile("|".join(_MONTHS))
_FORMS = (
    _Form((_DIGITS_ONLY,)),
    _Form((_KOREAN,), words=re.compile("년")),
    _Form((_MONTH_FIRST, _DAY_FIRST), words=_SOME_MONTH),
)


def dates_in(value: Any) -> Iterator[str]:
    """Yields every date in the texts of a JSON value, however it is written, as YYYY-MM-DD."""
    if isinstance(value, str):
        yield from _dates_of_text(value)
    elif isinstance(value, dict):
        for entry in value.values():
            yield from dates_in(entry)
    elif isinstance(value, list):
        for entry in value:
            yield from dates_in(entry)


@lru_cache(maxsize=8)
def _dates_of_text(text: str) -> tuple[str, ...]:
    """Returns a text's dates. The last ones are remembered: a third of what rows say is the one
    system message.
    """
    return tuple(_dates_in_text(text))


def _dates_in_text(text: str) -> Iterator[str]:
    for form in _FORMS:
        if form.words and not form.words.search(text):
            continue
        for pattern in form.patterns:
            for match in pattern.finditer(text):
                yield _iso(match.groupdict())


def _iso(parts: dict[str, str]) -> str:
    """Returns the date whose year, month (a number or a name) and day were matched."""
    month = parts.get("month") or _MONTHS.index(parts["name"]) + 1
    return f"{parts['year']}-{int(month):02d}-{int(parts['day']):02d}"
