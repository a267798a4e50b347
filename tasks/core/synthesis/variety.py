"""How varied the texts of rows are: a model that learns them by heart would repeat them."""

import json
import re
from collections import Counter, defaultdict
from collections.abc import Iterator
from itertools import islice
from typing import Any

from tasks.core.kinds.texts import prose

_DIGITS = re.compile(r"\d+")
_WORDS = 4  # of an opening, and of a phrase that is counted


class Variety:
    """Counts, for each language, the different four-word phrases for every 1,000 rows and, for each
    kind and language, the commonest opening.

    Digits are masked, so that another number makes no other phrase. An opening is the first four
    words of a row's first free text; its share is of the rows of that kind and language. The more
    rows there are, the more phrases come again: compare equal numbers of rows.
    """

    def __init__(self) -> None:
        self._phrases: dict[str, set[str]] = defaultdict(set)
        self._openings: dict[tuple[str, str], Counter[str]] = defaultdict(Counter)

    def add(self, row: dict[str, Any]) -> None:
        """Counts the texts of one row's answer."""
        kind = row["metadata"]["kind"]
        language = row["metadata"]["language"]
        answer = json.loads(row["messages"][-1]["content"])
        texts = [_masked_words(text) for _, text in prose(answer)]
        for words in texts:
            self._phrases[language].update(_phrases_of(words))
        self._openings[kind, language][" ".join(texts[0][:_WORDS])] += 1

    def report(self) -> dict[str, Any]:
        """Returns the figures of all rows so far, by language and by kind and language."""
        rows: Counter[str] = Counter()
        openings: dict[str, dict[str, Any]] = {}
        for (kind, language), counts in sorted(self._openings.items()):
            rows[language] += counts.total()
            openings.setdefault(kind, {})[language] = _commonest(counts)
        phrases = {}
        for language in sorted(rows):
            phrases[language] = round(1000 * len(self._phrases[language]) / rows[language])
        return {"phrases_per_1000_rows": phrases, "commonest_opening": openings}


def _masked_words(text: str) -> list[str]:
    return _DIGITS.sub("#", text).split()


def _phrases_of(words: list[str]) -> Iterator[str]:
    shifted = [islice(words, start, None) for start in range(_WORDS)]
    return map(" ".join, zip(*shifted, strict=False))


def _commonest(openings: Counter[str]) -> dict[str, Any]:
    words, count = min(openings.items(), key=lambda entry: (-entry[1], entry[0]))
    return {"share": round(count / openings.total(), 4), "words": words}
