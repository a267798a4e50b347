"""Korean particles: which of a pair follows a name or a number, by how it is read aloud."""

from functools import lru_cache

_DIGITS_READ_WITH_A_CONSONANT = set("013678")  # 영 일 삼 육 칠 팔; not 이 사 오 구
_DIGITS_READ_WITH_L = set("178")  # 일 칠 팔
_LETTERS_READ_WITH_A_CONSONANT = set("LMNR")  # 엘 엠 엔 알
_LETTERS_READ_WITH_L = set("LR")  # 엘 알

_READ_AS_WORDS = {"ING": True, "ELECTRIC": True, "BEAR": False, "NAVER": False}
"""Latin words that are not spelled out (위크닝, 일렉트릭, 베어, 네이버): whether their sound
ends in a consonant.
"""

_FIRST_SYLLABLE, _LAST_SYLLABLE = 0xAC00, 0xD7A3
_FINALS = 28  # a block of syllables differs in the final consonant alone: none, then 27 others
_FINAL_L = 8  # ㄹ


def with_particle(word: str, pair: str) -> str:
    """Returns the word with the right one of a pair such as 은/는, 이/가, 을/를, 과/와, 으로/로.

    `%` is read 퍼센트. After a final ㄹ the particle 로 is the right one, as after a vowel.
    """
    after_consonant, after_vowel = pair.split("/")
    consonant, liquid = _ending(word)
    if pair == "으로/로" and liquid:
        return word + after_vowel
    return word + (after_consonant if consonant else after_vowel)


def _ending(word: str) -> tuple[bool, bool]:
    """Returns whether the word's sound ends in a consonant, and whether that is ㄹ."""
    for ending, consonant in _READ_AS_WORDS.items():
        if word.upper().endswith(ending):
            return consonant, False
    last = _last_spoken(word)
    if last and _FIRST_SYLLABLE <= ord(last) <= _LAST_SYLLABLE:
        final = (ord(last) - _FIRST_SYLLABLE) % _FINALS
        return final != 0, final == _FINAL_L
    if last.isdecimal():
        return last in _DIGITS_READ_WITH_A_CONSONANT, last in _DIGITS_READ_WITH_L
    return last.upper() in _LETTERS_READ_WITH_A_CONSONANT, last.upper() in _LETTERS_READ_WITH_L


def _last_spoken(word: str) -> str:
    """Returns the last character that is read aloud, or an empty text."""
    for character in reversed(word):
        if character.isalnum() or character == "%":
            return character
    return ""


_BLANKS = {
    "ro": "으로/로",
    "eun": "은/는",
    "i": "이/가",
    "eul": "을/를",
    "ira": "이라/라",
    "da": "이다/다",
}


@lru_cache(maxsize=4096)
def forms(blank: str, word: str) -> dict[str, str]:
    """Returns the word for a blank of a sentence, and for the blanks that add a particle to it:
    {beta}, {beta_ro}, {beta_eun} and so on.
    """
    filled = {blank: word}
    for suffix, pair in _BLANKS.items():
        filled[f"{blank}_{suffix}"] = with_particle(word, pair)
    return filled
