"""hallucination: a ticker, a name or a number that is nobody's, or another's."""

import re
from random import Random

from tasks.core.kinds.base import Answer
from tasks.core.kinds.spoilt.places import Place, entries_with_ticker, lists_of_entries, texts
from tasks.core.kinds.texts import numbers_in
from tasks.core.records.facts import Language
from tasks.core.strategy.universe import names, stocks

_DIGITS = re.compile(r"(?<![\w.])\d+(?:\.\d+)?")


def hallucinate(worse: Answer, language: Language, rng: Random) -> None:
    """Changes one fact of the answer: the change is as small as a model's own slip."""
    ways = ["number", "number"]
    if entries_with_ticker(worse):
        ways += ["ticker", "name"]
    if _reasons_to_exchange(worse):
        ways += ["neighbour", "neighbour"]
    match rng.choice(ways):
        case "ticker":
            _exchange_digits(rng.choice(entries_with_ticker(worse)), rng)
        case "name":
            _rename(rng.choice(entries_with_ticker(worse)), language, rng)
        case "neighbour":
            _exchange_reasons(worse, rng)
        case _:
            _change_a_number(worse, rng)


def _exchange_digits(entry: Answer, rng: Random) -> None:
    """Exchanges two neighbouring digits of a ticker."""
    ticker = entry["ticker"]
    at = rng.choice([index for index in range(5) if ticker[index] != ticker[index + 1]])
    entry["ticker"] = ticker[:at] + ticker[at + 1] + ticker[at] + ticker[at + 2 :]


def _rename(entry: Answer, language: Language, rng: Random) -> None:
    """Gives a stock the name of another."""
    others = [stock for stock in stocks() if entry["name"] not in names(stock.ticker)]
    other = rng.choice(others)
    entry["name"] = other.name_ko if language == "ko" else other.name_en


def _change_a_number(worse: Answer, rng: Random) -> None:
    """Changes one digit of a number in a text, or exchanges two."""
    with_numbers = [place for place in texts(worse) if numbers_in(place.value)]
    if not with_numbers:
        return
    place = rng.choice(with_numbers)
    numbers = list(_DIGITS.finditer(place.value))
    # A single digit is often a count, of which the neighbour may be as true.
    longer = [number for number in numbers if len(number[0]) > 1]
    found = rng.choice(longer or numbers)
    wrong = _misread(found[0], rng)
    place.put(place.value[: found.start()] + wrong + place.value[found.end() :])


def _misread(number: str, rng: Random) -> str:
    digits = [index for index, sign in enumerate(number) if sign.isdigit()]
    at = rng.choice(digits)
    later = [index for index in digits if index > at and number[index] != number[at]]
    signs = list(number)
    if later and rng.random() < 0.5:
        signs[at], signs[later[0]] = signs[later[0]], signs[at]
    else:
        signs[at] = rng.choice([sign for sign in "123456789" if sign != signs[at]])
    return "".join(signs)


def _reasons_to_exchange(worse: Answer) -> list[list[Answer]]:
    """Returns the lists whose entries have reasons with numbers."""
    return [
        entries
        for entries in lists_of_entries(worse, 2)
        if all(numbers_in(str(entry.get("reason", ""))) for entry in entries[:2])
    ]


def _exchange_reasons(worse: Answer, rng: Random) -> None:
    """Gives two names each other's reason, and with it each other's numbers."""
    entries = rng.choice(_reasons_to_exchange(worse))
    first, second = rng.sample([entry for entry in entries if "reason" in entry], 2)
    mine, yours = Place(first, "reason"), Place(second, "reason")
    reason = mine.value
    mine.put(yours.value)
    yours.put(reason)
