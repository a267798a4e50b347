"""What a sentence says of each of its numbers: what it is called, which way it moved something, and
what it is above or below.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

from tasks.core.kinds.judging.words import FILLING, NAME, Word, describes
from tasks.core.records.facts import Language


@dataclass(frozen=True, slots=True)
class Slot:
    """What a sentence says of one of its numbers."""

    label: str | None = None  # the number that it is called, right beside it
    nearby: frozenset[str] = frozenset()  # the numbers that were named since the one before
    name: int | None = None  # which of the sentence's names stands before it, if any
    moved: str | None = None  # up or down, if it is the size of a move
    falls: bool = False  # a word of falling or losing stands near it
    beyond: str | None = None  # above or below, if the text says that something is beyond it
    of_next: bool = False  # whether that is the next number: "한도 18%를 넘는 24%"
    unit: str = ""


_OF_NUMBER = {
    "en": frozenset(("of", "in", "on", "annualized", "%", "x")),
    "ko": frozenset(("의", "%", "x", "배의", "연율", "원의", "짜리")),
}


def slots_of(words: list[Word], denied: set[int], language: Language) -> Iterator[Slot]:
    """Yields what is said of each number; a comparison that is denied is none."""
    asserted = list(words)
    for index in denied:  # it does not say that something is on a side
        asserted[index] = replace(words[index], means=words[index].means - _SIDES)
    yield from _slots(asserted, language)


_SIDES = frozenset(("above", "below"))


def _slots(words: list[Word], language: Language) -> Iterator[Slot]:
    start = 0
    for index, word in enumerate(words):
        if word.is_number:
            yield _slot(words, start, index, language)
            start = index + 1


def _slot(words: list[Word], start: int, index: int, language: Language) -> Slot:
    """Returns what is said of the number at an index; the one before it ends at `start`."""
    behind, ahead = words[start:index], _until_number(words, index + 1)
    names_before = [word.text for word in words[:index]].count(NAME)
    pauses = any(word.is_pause for word in behind)
    return Slot(
        label=_label_before(behind, language) or _label_after(ahead, language),
        nearby=_NOTHING if pauses else _NOTHING.union(*[word.numbers for word in behind[-6:]]),
        name=names_before - 1 if names_before else None,
        moved=_moved(behind, ahead, language),
        falls=_falls(behind, ahead),
        beyond=_beyond(behind, ahead, language),
        of_next=language == "ko" and _leads_on(words, index + 1 + len(ahead)),
        unit=_unit(ahead[0].text) if ahead else "",
    )


_NOTHING: frozenset[str] = frozenset()


def _unit(word: str) -> str:
    if not word.startswith(_UNITS):
        return ""
    return next(unit for unit in _UNITS if word.startswith(unit))


_UNITS = ("%p", "%", "point", "percent", "x", "times", "배", "퍼센트", "포인트")


def _until_number(words: list[Word], index: int) -> list[Word]:
    ahead = []
    for word in words[index:]:
        if word.is_number:
            break
        ahead.append(word)
    return ahead


def _label_before(behind: list[Word], language: Language) -> str | None:
    if len(behind) > 1 and behind[-1].text == "," and behind[-2].numbers:
        behind = behind[:-1]  # "the return, 1.4%, is"
    for word in reversed(behind):
        named = word.numbers
        if named:
            return None if _is_listed(behind) else min(named)
        if _bare(word.text, language) not in FILLING[language] and word.text not in ":(=":
            return None
    return None


_PARTICLES = "은는이가도"


def _bare(word: str, language: Language) -> str:
    """Returns a word without a Korean particle of the subject."""
    if language == "ko" and len(word) > 1 and word[-1] in _PARTICLES:
        return word[:-1]
    return word


def _is_listed(behind: list[Word]) -> bool:
    """Whether the last named number is one of several in a row: "breadth, momentum at"."""
    named = [place for place, word in enumerate(behind) if word.numbers]
    last = behind[named[-1]].numbers
    others = [place for place in named if behind[place].numbers != last]
    if not others:
        return False
    between = behind[others[-1] + 1 : named[-1]]
    return all(word.text in _LISTING or word.numbers == last for word in between)


_LISTING = frozenset((",", "and", "/", "annualized", "연율", "및"))


def _label_after(ahead: list[Word], language: Language) -> str | None:
    for place, word in enumerate(ahead):
        named = word.numbers
        if named:
            own = all(other.text in FILLING[language] for other in ahead[place + 1 :])
            return None if own and ahead[place + 1 :] else min(named)
        if word.text in ("names", "stocks", "issues") or word.text.startswith("종목"):
            return "decliners" if _way_of_all(ahead[place:]) == "down" else "breadth_pct"
        joined = place and ahead[place - 1].text in ("of", "in", "on", "the")
        if word.text not in _OF_NUMBER[language] and not (joined and word.text in _ARTICLES):
            return None
    return None


def _way_of_all(words: list[Word]) -> str | None:
    """Returns the first way that words before a pause say, up or down."""
    for word in words:
        if word.is_pause:
            return None
        way = _way(word)
        if way:
            return way
    return None


_ARTICLES = ("the", "market")


_AROUND_A_MOVE = frozenset(
    ["by", "about", "some", "another", "a", "roughly", "of", "just", "only", "%", "%", "%p", "x"]
)


def _moved(behind: list[Word], ahead: list[Word], language: Language) -> str | None:
    """Returns which way the number moved something, if it is the size of a move: "fell 1%",
    "1% 하락"; not "fell to 1%".
    """
    moved = _moved_before(behind, language) or _moved_after(ahead)
    if moved and any("won" in word.means for word in behind):
        return "down" if moved == "up" else "up"  # the won's fall is the rate's rise
    return moved


def _moved_before(behind: list[Word], language: Language) -> str | None:
    for word in reversed(behind):
        if word.text in _AROUND_A_MOVE:
            continue
        if language == "en" or word.text in ("하락", "상승", "손실"):
            return _way(word)
        return None
    return None


def _moved_after(ahead: list[Word]) -> str | None:
    for word in ahead:
        if word.text not in ("%", "%p", "x", "만큼", "나", "이나", "가량", "의"):
            return _way(word)
    return None


def _way(word: Word) -> str | None:
    if "up" in word.means and "down" not in word.means:
        return "up"
    if word.means & {"down", "loss"} and "up" not in word.means:
        return "down"
    return None


def _falls(behind: list[Word], ahead: list[Word]) -> bool:
    pause = next((place for place, word in enumerate(ahead) if word.is_pause), len(ahead))
    near = [*behind[-6:], *ahead[: min(pause, 6)]]
    return any(word.means & _FALLING or "stop" in word.text for word in near)


_FALLING = frozenset(("down", "loss", "negative", "lose"))


def _beyond(behind: list[Word], ahead: list[Word], language: Language) -> str | None:
    """Returns above or below if the text puts something there: "above 3%", "3%를 넘어"."""
    last = behind[-1].text if behind else ""
    if last in _SIGNS_OF_SIDES:
        return _SIGNS_OF_SIDES[last]
    near = reversed(behind[-4:]) if language == "en" else ahead
    than = False
    for word in near:
        if than and word.means & {"low", "high"}:
            return "below" if "low" in word.means else "above"
        than = than or word.text == "보다"
        for side in ("above", "below"):
            if side in word.means:
                return None if _is_by_rule(word, ahead) else side
        if word.is_pause or (language == "ko" and word.text not in _TO_LIMIT):
            return None
    return None


def _leads_on(words: list[Word], index: int) -> bool:
    """Whether a word that says a side stands right before the next number."""
    if index >= len(words) or not words[index - 1].means & _SIDES:
        return False
    return describes(words[index - 1].text)


def _is_by_rule(word: Word, ahead: list[Word]) -> bool:
    """Whether "under" names the rule: "sold under the 15% rule"."""
    return word.text == "under" and any(other.text == "rule" for other in ahead[:3])


_SIGNS_OF_SIDES = {">": "above", "≥": "above", "<": "below", "≤": "below", "±": None}
_TO_LIMIT = frozenset(
    ("에", "에는", "%", "%p", "x", "를", "을", "보다", "선을", "선", "배를", "배", "점")
)
"""What Korean puts between a limit and that it is passed."""
