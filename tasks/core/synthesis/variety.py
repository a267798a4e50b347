"""How varied the texts of rows are: what a model that learns them by heart would repeat."""

import json
import re
from collections import Counter, defaultdict
from collections.abc import Iterable
from itertools import islice
from typing import Any

from tasks.core.kinds.grading import prose

_DIGITS = re.compile(r"\d+")
_WORDS = 4  # of an opening, and of a phrase that is counted


def variety(rows: Iterable[dict[str, Any]]) -> dict[str, Any]:
    """Per language, different four-word phrases for each 1,000 rows; per kind and language, the commonest opening.

    All with digits masked, so that another number is no other phrase. An opening is the first four words of a row's
    first free text; its share is of the rows of that kind and language. The more rows, the more phrases come again:
    compare equal numbers.
    """
    phrases: dict[str, set[tuple[str, ...]]] = defaultdict(set)
    openings: dict[str, dict[str, Counter[str]]] = defaultdict(lambda: defaultdict(Counter))
    counts: Counter[str] = Counter()
    for row in rows:
        kind, language = row["metadata"]["kind"], row["metadata"]["language"]
        texts = [_masked(text) for _, text in prose(json.loads(row["messages"][-1]["content"]))]
        for words in texts:
            phrases[language].update(zip(*(islice(words, start, None) for start in range(_WORDS)), strict=False))
        openings[kind][language][" ".join(texts[0][:_WORDS])] += 1
        counts[language] += 1
    return {
        "phrases_per_1000_rows": {
            language: round(1000 * len(phrases[language]) / counts[language]) for language in sorted(counts)
        },
        "commonest_opening": {
            kind: {language: _commonest(found) for language, found in sorted(languages.items())}
            for kind, languages in sorted(openings.items())
        },
    }


def _masked(text: str) -> list[str]:
    return _DIGITS.sub("#", text).split()


def _commonest(openings: Counter[str]) -> dict[str, Any]:
    (words, count), total = openings.most_common(1)[0], openings.total()
    return {"share": round(count / total, 4), "words": words}
