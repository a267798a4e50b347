"""Korean particles after names and numbers as they are read aloud."""

_DIGIT_ENDS_IN_CONSONANT = {"0": True, "1": True, "2": False, "3": True, "4": False, "5": False, "6": True, "7": True,
                            "8": True, "9": False}  # 영 일 이 삼 사 오 육 칠 팔 구  # fmt: skip
_DIGIT_ENDS_IN_L = {"1", "7", "8"}  # 일 칠 팔
_LETTER_ENDS_IN_CONSONANT = set("LMNR")  # 엘 엠 엔 알
_HANGUL_FIRST, _HANGUL_LAST = 0xAC00, 0xD7A3


def with_particle(word: str, pair: str) -> str:
    """The word with the right one of a pair such as 은/는, 이/가, 을/를, 과/와, 으로/로. `%` is read 퍼센트."""
    after_consonant, after_vowel = pair.split("/")
    consonant, liquid = _ending(word)
    if pair == "으로/로" and liquid:
        return word + after_vowel
    return word + (after_consonant if consonant else after_vowel)


def _ending(word: str) -> tuple[bool, bool]:
    """Whether the word's sound ends in a consonant, and whether that is ㄹ."""
    if word.upper().endswith("ING"):  # 위크닝
        return True, False
    last = next((letter for letter in reversed(word) if letter.isalnum() or letter == "%"), "")
    if last and _HANGUL_FIRST <= ord(last) <= _HANGUL_LAST:
        final = (ord(last) - _HANGUL_FIRST) % 28
        return final != 0, final == 8
    if last in _DIGIT_ENDS_IN_CONSONANT:
        return _DIGIT_ENDS_IN_CONSONANT[last], last in _DIGIT_ENDS_IN_L
    return last.upper() in _LETTER_ENDS_IN_CONSONANT, last.upper() in ("L", "R")
