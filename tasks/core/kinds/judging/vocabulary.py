"""What words mean to the judge of texts: vocabulary.yaml, and how a word is looked up in it."""

from functools import cache, lru_cache
from pathlib import Path

import yaml

from tasks.core.records.facts import Language

Meanings = frozenset[str]

NUMBERS = frozenset(
    (
        "return_pct",
        "breadth_pct",
        "momentum_pct",
        "volatility_pct",
        "vix",
        "us_return_pct",
        "usdkrw",
        "foreign_net_buy_100m_krw",
        "sentiment_points",
        "drawdown_pct",
        "leverage_x",
        "per",
        "pbr",
        "ev_ebitda",
        "roe_pct",
        "beta",
        "pnl_pct",
        "gap_pct",
        "volume_x",
        "f_score",
        "turnover",  # which no question states
    )
)
"""The meanings that name a number (kinds.lexicon); usdkrw is the rate and its change alike."""

_NOTHING: Meanings = frozenset()


@cache
def _tables() -> dict[Language, dict[str, Meanings]]:
    """Returns the meanings of each entry of the vocabulary, by language."""
    file = Path(__file__).with_suffix(".yaml")
    raw = yaml.load(file.read_text(encoding="utf-8"), Loader=yaml.CSafeLoader)
    return {language: _table(meanings) for language, meanings in raw.items()}


def _table(words_of: dict[str, list[str]]) -> dict[str, Meanings]:
    table: dict[str, set[str]] = {}
    for meaning, words in words_of.items():
        for word in words:
            table.setdefault(word, set()).add(meaning)
    return {word: frozenset(meanings) for word, meanings in table.items()}


@cache
def phrases(language: Language) -> tuple[str, ...]:
    """Returns the entries of several words, which stand in the vocabulary with hyphens between
    them (English) or with none (Korean), the longest first.
    """
    joined = [word.rstrip(".") for word in _tables()[language] if "-" in word.strip(".")]
    return tuple(sorted(set(joined), key=len, reverse=True))


def longest_entry(word: str, language: Language) -> int:
    """Returns how many letters the longest entry has that the word begins with; 0 for none."""
    table = _tables()[language]
    for end in range(len(word), 0, -1):
        if word[:end] in table:
            return end
    return 0


@lru_cache(maxsize=50_000)
def meanings(word: str, language: Language) -> Meanings:
    """Returns what a word in small letters means: by the whole word, else by its longest known
    beginning; nothing for an unknown one.
    """
    table = _tables()[language]
    whole = table.get(f"{word}.")
    if whole:
        return whole | table.get(word, _NOTHING)
    for end in range(len(word), 0, -1):
        found = table.get(word[:end])
        if found:
            return found
    return _NOTHING
