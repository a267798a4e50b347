"""An answer's free texts, cut into sentences and numbers, and the regimes that it gives.

What a text means is judged in tasks.core.kinds.judging. Reads and writes no file.
"""

import json
import re
from collections.abc import Iterator
from typing import Any

from tasks.core.kinds.base import Answer
from tasks.core.kinds.lexicon import CONTEXT, MARKET
from tasks.core.strategy.rules import REGIMES
from tasks.core.strategy.universe import etfs, sectors

PROSE_KEYS = (
    *("reasoning", "reason", "recommendation", "contingency", "note"),
    *("market_context", "analysis", "rationale"),
)
"""Keys of an answer under which text is written freely."""


def to_text(answer: Answer) -> str:
    """Returns an answer as the model writes it: one line of JSON."""
    return json.dumps(answer, ensure_ascii=False, separators=(", ", ": "))


def prose(answer: Any, key: str = "") -> Iterator[tuple[str, str]]:
    """Yields the key and the text of everything in an answer that is written freely."""
    if isinstance(answer, dict):
        for name, value in answer.items():
            yield from prose(value, name)
    elif isinstance(answer, list):
        for entry in answer:
            yield from prose(entry, key)
    elif isinstance(answer, str) and key in PROSE_KEYS:
        yield key, answer


_BETWEEN_SENTENCES = re.compile(r"(?<=[.!?])\s+")


def sentences_in(text: str) -> list[str]:
    """Returns the sentences of a text, with their full stops."""
    sentences = [sentence.strip() for sentence in _BETWEEN_SENTENCES.split(text)]
    return [sentence for sentence in sentences if sentence]


# Numbers.


def _names_with_digits() -> list[str]:
    """Returns the labels and the fund and sector names that hold digits, which are no numbers.

    The longest come first, because a pattern takes the first that fits.
    """
    names = ["S&P 500"]
    for label in (*MARKET.values(), *CONTEXT.values()):
        names += [label.ko, label.en]
    names += [etf.name_ko for etf in etfs()]
    names += [sector.name_ko for sector in sectors()]
    with_digits = [name for name in names if re.search(r"\d", name)]
    return sorted(with_digits, key=len, reverse=True)


_NUMBER = re.compile(r"(?<![\w.])-?\d+(?:,\d{3})*(?:\.\d+)?")
_NAME_WITH_DIGITS = re.compile("|".join(re.escape(name) for name in _names_with_digits()))


def numbers_in(text: str) -> list[float]:
    """Returns the numbers of a text, apart from those in a label or a fund's name."""
    numbers = _NUMBER.findall(_NAME_WITH_DIGITS.sub(" ", text))
    return [float(number.replace(",", "")) for number in numbers]


# Regimes.


def regimes_in(answer: Any) -> Iterator[str]:
    """Yields every regime that an answer gives by its name, but not those in its lists."""
    if isinstance(answer, dict):
        for value in answer.values():
            yield from regimes_in(value)
    elif isinstance(answer, str) and answer in REGIMES:
        yield answer
