"""An answer's free texts, cut into sentences and numbers, and the regimes that it gives.

What a text means is judged in tasks.core.kinds.judging. Reads and writes no file.
"""

import json
import re
from collections.abc import Iterator
from typing import Any, NamedTuple

from tasks.core.kinds.base import Answer
from tasks.core.kinds.lexicon import CONTEXT, MARKET
from tasks.core.strategy.rules import REGIMES
from tasks.core.strategy.universe import etfs, sectors

PROSE_KEYS = (
    *("reasoning", "reason", "recommendation", "contingency", "note"),
    *("market_context", "analysis", "rationale"),
)
"""Keys of an answer under which text is written freely."""
_PROSE = frozenset(PROSE_KEYS)


def to_text(answer: Answer) -> str:
    """Returns an answer as the model writes it: one line of JSON."""
    return json.dumps(answer, ensure_ascii=False, separators=(", ", ": "))


class FreeText(NamedTuple):
    """A text of an answer that is written freely, and where it stands."""

    text: str
    key: str
    holder: dict[str, Any]  # the object that has it
    path: tuple[str, ...]  # the keys above that object; a list's entries have the list's
    listed: bool  # whether that object is an entry of a list
    entry: dict[str, Any] | None  # the entry about one stock that it belongs to, if any


def free_texts(answer: Answer) -> Iterator[FreeText]:
    """Yields every text of an answer that is written freely, in the answer's order."""
    yield from _texts_below(answer, (), None)


def _texts_below(
    holder: dict[str, Any],
    path: tuple[str, ...],
    entry: dict[str, Any] | None,
    listed: bool = False,
) -> Iterator[FreeText]:
    for key, content in holder.items():
        if isinstance(content, str):
            if key in _PROSE:
                yield FreeText(content, key, holder, path, listed, entry)
        elif isinstance(content, dict):
            yield from _texts_below(content, (*path, key), entry)
        elif isinstance(content, list):
            for item in content:
                if isinstance(item, dict):
                    about = item if "ticker" in item else entry
                    yield from _texts_below(item, (*path, key), about, listed=True)


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
