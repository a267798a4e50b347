"""Which language a text is in, told by its script."""

import re

_SCRIPTS = {
    "hangul": re.compile("[\uac00-\ud7a3\u3131-\u318e]+"),
    "kana": re.compile("[\u3040-\u30ff]+"),
    "han": re.compile("[\u3400-\u4dbf\u4e00-\u9fff]+"),
    "latin": re.compile("[A-Za-z\u00c0-\u024f]+"),
}
_LETTER = re.compile("[A-Za-z]")
_SAMPLE = 1_000  # characters looked at

LANGUAGES = ("ko", "en", "ja", "zh", "other")


def language_of(text: str) -> str:
    """ko, ja, zh, en (Latin letters: French counts as well) or other, from the first 1,000
    characters.

    A Korean text full of English terms still counts as Korean: a fifth of Hangul decides; for
    Japanese a fifth of kana and Chinese characters does.
    """
    sample = text[:_SAMPLE]
    if sample.isascii():
        return "en" if _LETTER.search(sample) else "other"
    count = {name: sum(map(len, script.findall(sample))) for name, script in _SCRIPTS.items()}
    letters = sum(count.values())
    if not letters:
        return "other"
    if count["hangul"] >= 0.2 * letters:
        return "ko"
    if count["kana"] + count["han"] >= 0.2 * letters:
        return "ja" if count["kana"] >= 0.1 * (count["kana"] + count["han"]) else "zh"
    others = sum(map(str.isalpha, sample)) - letters
    return "en" if count["latin"] > others else "other"
