"""Which language a text is in, told by its script."""

import re

from tasks.core.scripts import HANGUL, HANJA

LANGUAGES = ("ko", "en", "ja", "zh", "other")

# runs of a script's characters: they are counted faster than one by one
_HANGUL = re.compile(f"{HANGUL.pattern}+")
_HAN = re.compile(f"{HANJA.pattern}+")
_KANA = re.compile("[\u3040-\u30ff]+")
_LATIN = re.compile("[A-Za-z\u00c0-\u024f]+")
_ASCII_LETTER = re.compile("[A-Za-z]")
_SAMPLE = 1_000  # characters looked at
_ENOUGH = 0.2  # of the letters: a Korean text full of English terms still counts as Korean
_ENOUGH_KANA = 0.1  # of a text's kana and Chinese characters, if it is Japanese


def language_of(text: str) -> str:
    """The text's language, from its first 1,000 characters: ko, en, ja, zh or other.

    A fifth of Hangul among the letters makes a text Korean; a fifth of kana and Chinese characters
    makes it Japanese or Chinese. Latin letters are en: French counts as well.
    """
    sample = text[:_SAMPLE]
    if sample.isascii():
        return "en" if _ASCII_LETTER.search(sample) else "other"
    hangul = _count(_HANGUL, sample)
    kana = _count(_KANA, sample)
    han = _count(_HAN, sample)
    latin = _count(_LATIN, sample)
    letters = hangul + kana + han + latin
    if not letters:
        return "other"
    if hangul >= _ENOUGH * letters:
        return "ko"
    if kana + han >= _ENOUGH * letters:
        return "ja" if kana >= _ENOUGH_KANA * (kana + han) else "zh"
    other_letters = sum(map(str.isalpha, sample)) - letters
    return "en" if latin > other_letters else "other"


def _count(runs: re.Pattern[str], text: str) -> int:
    """How many characters of a script a text has."""
    return sum(map(len, runs.findall(text)))
