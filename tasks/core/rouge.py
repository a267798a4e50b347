"""ROUGE-L of a text against another one, by Google's rouge-score.

Its own tokens drop all that is not ASCII. Ours are Hangul by the syllable, because particles cling
to Korean words (KorQuAD's F1 counts characters for the same reason), and other words and numbers
whole. Nothing is stemmed.
"""

import re
from functools import cache, lru_cache
from typing import Any

_TOKEN = re.compile(r"[\uac00-\ud7a3]|[a-z]+|\d+(?:\.\d+)?")


class _Tokens:
    """rouge-score's interface of a tokenizer."""

    def tokenize(self, text: str) -> list[str]:
        return _TOKEN.findall(text.lower())


@lru_cache(maxsize=4096)
def rouge_l(reference: str, text: str) -> float:
    """Returns the F1 of ROUGE-L, 0 to 1: the longest common subsequence of tokens (Lin, 2004)."""
    return float(_scorer().score(reference, text)["rougeL"].fmeasure)


@cache
def _scorer() -> Any:
    # It loads NLTK, which takes seconds.
    from rouge_score.rouge_scorer import RougeScorer  # noqa: PLC0415

    return RougeScorer(["rougeL"], tokenizer=_Tokens())
