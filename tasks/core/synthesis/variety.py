"""How varied the texts of rows are: what a model that learns them by heart would repeat."""

import json
import re
from collections import Counter, defaultdict
from itertools import islice
from typing import Any

from tasks.core.kinds.grading import prose

_DIGITS = re.compile(r"\d+")
_WORDS = 4  # of an opening, and of a phrase that is counted


class Variety:
    """Per language, different four-word phrases for each 1,000 rows; per kind and language, the
    commonest opening.

    All with digits masked, so that another number is no other phrase. An opening is the first four
    words of a row's first free text; its share is of the rows of that kind and language. The more
    rows, the more phrases come again: compare equal numbers.
    """

    def __init__(self) -> None:
        self._phrases: dict[str, set[str]] = defaultdict(set)
        self._openings: dict[str, dict[str, Counter[str]]] = defaultdict(
            lambda: defaultdict(Counter)
        )

    def add(self, row: dict[str, Any]) -> None:
        kind, language = row["metadata"]["kind"], row["metadata"]["language"]
        texts = [_masked(text) for _, text in prose(json.loads(row["messages"][-1]["content"]))]
        for words in texts:
            runs = zip(*(islice(words, start, None) for start in range(_WORDS)), strict=False)
            self._phrases[language].update(map(" ".join, runs))
        self._openings[kind][language][" ".join(texts[0][:_WORDS])] += 1

    def report(self) -> dict[str, Any]:
        counts: Counter[str] = Counter()
        for languages in self._openings.values():
            counts.update({language: found.total() for language, found in languages.items()})
        return {
            "phrases_per_1000_rows": {
                language: round(1000 * len(self._phrases[language]) / counts[language])
                for language in sorted(counts)
            },
            "commonest_opening": {
                kind: {language: _commonest(found) for language, found in sorted(languages.items())}
                for kind, languages in sorted(self._openings.items())
            },
        }


def _masked(text: str) -> list[str]:
    return _DIGITS.sub("#", text).split()


def _commonest(openings: Counter[str]) -> dict[str, Any]:
    words, count = min(openings.items(), key=lambda entry: (-entry[1], entry[0]))
    total = openings.total()
    return {"share": round(count / total, 4), "words": words}
