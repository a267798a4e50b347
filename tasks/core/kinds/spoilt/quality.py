"""quality_degradation: a text that says nothing, says it twice, breaks off or argues for something
else; one reason for every name; a book that breaks off.
"""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import product
from random import Random

from tasks.core.kinds.base import Answer, Scene
from tasks.core.kinds.spoilt.places import Place, lists_of_entries, texts
from tasks.core.kinds.texts import regimes_in, sentences_in
from tasks.core.kinds.wording import argue
from tasks.core.records.facts import Language
from tasks.core.strategy.rules import REGIMES

_GENERIC: dict[Language, tuple[tuple[str, ...], ...]] = {
    "ko": (
        (
            "시장 상황을",
            "여러 지표를",
            "국면과 비중을",
            "현재 흐름을",
            "수급과 추세를",
            "위험과 수익을",
        ),
        ("종합적으로 보아", "두루 살펴", "함께 고려해", "감안하여", "균형 있게 보고"),
        (
            "적절히 대응한다.",
            "알맞은 비중으로 본다.",
            "합리적인 선택으로 판단한다.",
            "무리가 없는 수준으로 둔다.",
            "신중하게 접근한다.",
        ),
    ),
    "en": (
        ("The market", "The regime", "The trend", "The overall picture", "The balance of risk"),
        ("and the figures", "and the mood", "as it stands", "taken together", "on the whole"),
        (
            "call for a suitable response.",
            "speak for a careful stance.",
            "suggest a sensible weight.",
            "make this a reasonable choice.",
            "leave this as the fitting step.",
        ),
    ),
}
"""Sentences that would fit any day: nothing in them can be right or wrong."""

_REASONS = ("reasoning", "reason")
"""Texts that must argue; a note may be as short and as general as it likes."""

_REASONING_LIMIT, _OTHER_TEXT_LIMIT = 200, 120
"""The least characters that any kind's schema allows a `reasoning`, or another text: a longer one
would break the form, which is another flaw.
"""


@dataclass(frozen=True)
class _Draft:
    """An answer that is being made worse, and what it answers."""

    worse: Answer
    scene: Scene
    rng: Random


def degrade(worse: Answer, scene: Scene, rng: Random) -> None:
    """Makes the answer worse in one way, without a wrong decision or number."""
    rng.choice(_WAYS)(_Draft(worse, scene, rng))


def _say_nothing(draft: _Draft) -> None:
    reasons = [place for place in texts(draft.worse) if place.key in _REASONS]
    place = draft.rng.choice(reasons or texts(draft.worse))
    generic = [" ".join(parts) for parts in product(*_GENERIC[draft.scene.language])]
    sentences = len(sentences_in(place.value))
    said = " ".join(draft.rng.sample(generic, max(1, sentences)))
    place.put(said[: _limit(place)])


def _say_twice(draft: _Draft) -> None:
    """Says one sentence again in the place of another, or at the end."""
    place = draft.rng.choice(texts(draft.worse))
    sentences = sentences_in(place.value)
    again = draft.rng.choice(sentences)
    if len(sentences) > 1:
        others = [index for index, sentence in enumerate(sentences) if sentence != again]
        if others:
            sentences[draft.rng.choice(others)] = again
    else:
        sentences.append(again)
    said = " ".join(sentences)
    if len(said) <= _limit(place):
        place.put(said)
    else:
        _say_nothing(draft)


def _argue_otherwise(draft: _Draft) -> None:
    """Argues for another regime than the answer gives."""
    given = set(regimes_in(draft.worse))
    reasonings = [place for place in texts(draft.worse) if place.key == "reasoning"]
    if not given or not reasonings:
        _say_twice(draft)
        return
    others = [regime for regime in REGIMES if regime not in given]
    said = argue(draft.scene, draft.rng, claimed=draft.rng.choice(others))
    draft.rng.choice(reasonings).put(said)


def _one_reason_for_all(draft: _Draft) -> None:
    """Gives every name of a list the same words, which name no number of theirs."""
    lists = [
        entries
        for entries in lists_of_entries(draft.worse, 2)
        if all("reason" in entry for entry in entries)
    ]
    if not lists:
        _say_nothing(draft)
        return
    generic = [" ".join(parts) for parts in product(*_GENERIC[draft.scene.language])]
    said = draft.rng.choice(generic)
    for entry in draft.rng.choice(lists):
        entry["reason"] = said


def _break_off(draft: _Draft) -> None:
    """Leaves out the end of a list."""
    lists = lists_of_entries(draft.worse, 2)
    if not lists:
        _say_twice(draft)
        return
    entries = draft.rng.choice(lists)
    del entries[max(1, len(entries) - draft.rng.randint(1, 2)) :]


def _limit(place: Place) -> int:
    return _REASONING_LIMIT if place.key == "reasoning" else _OTHER_TEXT_LIMIT


_WAYS: tuple[Callable[[_Draft], None], ...] = (
    # What says nothing has words of its own, and many of it would give the flaw away.
    _say_nothing,
    _one_reason_for_all,
    *(_say_twice,) * 4,
    *(_argue_otherwise,) * 4,
    *(_break_off,) * 4,
)
