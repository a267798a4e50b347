"""How varied the texts of rows are: a model that learns them by heart would repeat them."""

import json
import re
from collections import Counter, defaultdict
from collections.abc import Iterator
from typing import Any

from tasks.core.kinds.texts import free_texts, sentences_in
from tasks.core.strategy.rules import REGIMES
from tasks.core.strategy.universe import etfs, sectors, stocks

_DIGITS = re.compile(r"\d+")
_WORDS = 4  # of an opening, and of a phrase that is counted

LEAST_SKELETONS = 40
"""Every text of an answer has at least so many skeletons in each language over 1,000 rows."""

_SKELETON_ROWS = 200
"""Rows of each kind and language whose sentences are taken apart: enough to see so many."""


class Variety:
    """Counts how varied texts are, over the rows that it is given.

    For each language: the different four-word phrases for every 1,000 rows. For each kind and
    language: the commonest opening, which is the first four words of a row's first free text, with
    its share; and for each text the skeletons, which are its different sentences with numbers,
    names, sectors and regimes masked, over up to 200 rows. Another number makes no other phrase.
    The more rows there are, the more phrases come again: compare equal numbers of rows.
    """

    def __init__(self) -> None:
        self._phrases: dict[str, set[str]] = defaultdict(set)
        self._openings: dict[tuple[str, str], Counter[str]] = defaultdict(Counter)
        self._sentences: dict[tuple[str, str, str], set[str]] = defaultdict(set)

    def add(self, row: dict[str, Any]) -> None:
        """Counts the texts of one row's answer."""
        kind = row["metadata"]["kind"]
        language = row["metadata"]["language"]
        answer = json.loads(row["messages"][-1]["content"])
        openings = self._openings[kind, language]
        has_enough = openings.total() >= _SKELETON_ROWS
        first_words: list[str] = []
        for told in free_texts(answer):
            masked = _DIGITS.sub("#", told.text)
            words = masked.split()
            self._phrases[language].update(_phrases_of(words))
            first_words = first_words or words[:_WORDS]
            if not has_enough:
                path = ".".join((*told.path, told.key))
                self._sentences[kind, path, language].update(sentences_in(masked))
        openings[" ".join(first_words)] += 1

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
        return {
            "phrases_per_1000_rows": phrases,
            "commonest_opening": openings,
            "skeletons": self._skeletons(),
        }

    def _skeletons(self) -> dict[str, dict[str, dict[str, int]]]:
        """Returns {kind: {text: {language: skeletons}}}; a text is named by its keys."""
        counts: dict[str, dict[str, dict[str, int]]] = {}
        for (kind, path, language), sentences in sorted(self._sentences.items()):
            skeletons = {_NAMES.sub("@", sentence) for sentence in sentences}
            counts.setdefault(kind, {}).setdefault(path, {})[language] = len(skeletons)
        return counts


def _names() -> list[str]:
    """Returns what a skeleton masks beside numbers, the longest first."""
    names = [*REGIMES, *(fund.name_ko for fund in etfs())]
    for stock in stocks():
        names += [stock.name_ko, stock.name_en]
    for sector in sectors():
        names += [sector.name_ko, sector.name]
    return sorted(names, key=len, reverse=True)


_NAMES = re.compile("|".join(re.escape(_DIGITS.sub("#", name)) for name in _names()))


def _phrases_of(words: list[str]) -> Iterator[str]:
    shifted = [words[start:] for start in range(_WORDS)]
    return map(" ".join, zip(*shifted, strict=False))


def _commonest(openings: Counter[str]) -> dict[str, Any]:
    words, count = min(openings.items(), key=lambda entry: (-entry[1], entry[0]))
    return {"share": round(count / openings.total(), 4), "words": words}
