"""quality_degradation: a text that says nothing, says it twice, breaks off or argues for something
else; one reason for every name; a book that breaks off or lists a name twice.
"""

from collections.abc import Callable, Iterator
from copy import deepcopy
from dataclasses import dataclass
from random import Random
from typing import Any

from tasks.core.kinds.base import Answer, Scene
from tasks.core.kinds.judging.sentences import read_text
from tasks.core.kinds.schemas import LEAST_REASONING_LIMIT, LEAST_TEXT_LIMIT
from tasks.core.kinds.spoilt.places import Place, lists_of_entries, texts
from tasks.core.kinds.texts import numbers_in, regimes_in, sentences_in
from tasks.core.kinds.wording import ground
from tasks.core.records.facts import Language
from tasks.core.strategy.rules import REGIMES

GENERIC: dict[Language, tuple[tuple[str, ...], ...]] = {
    "ko": (
        (
            "시장 수익률과 모멘텀을 함께 보고 판단한다.",
            "모멘텀과 변동성을 고려한 결과다.",
            "시장 수익률과 변동성에 맞는 선택이다.",
            "모멘텀과 시장 수익률로 본 판단이다.",
            "변동성과 모멘텀을 함께 감안한다.",
            "시장 수익률, 모멘텀, 변동성을 종합해 본다.",
            "모멘텀과 변동성에 따른 결정이다.",
            "시장 수익률과 모멘텀이 그 근거다.",
            "변동성과 시장 수익률을 살펴 정한다.",
        ),
        (
            "국면에 맞는 비중이다.",
            "국면과 비중을 함께 고려한다.",
            "국면을 종합적으로 보아 적절한 비중으로 본다.",
            "추세와 국면에 따른 판단이다.",
            "이 국면에서 무난한 비중이다.",
            "국면과 위험을 두루 살펴 정한 결과다.",
            "비중과 위험의 균형을 고려한 선택이다.",
            "이 국면의 흐름에 적절히 대응한다.",
            "국면과 추세로 보아 알맞은 수준이다.",
        ),
    ),
    "en": (
        (
            "The market return and the momentum make this the right call.",
            "It rests on the breadth and the volatility.",
            "With this return and this momentum, it is the right choice.",
            "The breadth is what it is, and so is the momentum.",
            "The return, the breadth and the momentum speak for this.",
            "The volatility and the return are both considered.",
            "On this momentum and this breadth, this is what follows.",
            "The market return is the reason, with the volatility.",
            "The momentum and the volatility suggest it.",
        ),
        (
            "The regime makes this the right weight.",
            "It is the weight that fits the regime.",
            "The regime and the trend speak for it.",
            "This is how the book is in such a regime.",
            "The position follows from the regime.",
            "The balance of risk makes this a reasonable weight.",
            "In this regime it is the right position.",
            "The trend is the reason for this exposure.",
            "Exposure and risk are both considered.",
        ),
    ),
}
"""Sentences that would fit any day, in two sorts: one names the market's numbers and the other the
book, and no verdict is reached on either. Their words are those of right answers, which would
otherwise be told from these without reading.
"""

_REASONS = ("reasoning", "reason")
"""Texts that must argue; a note may be as short and as general as it likes."""


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
    generic = draft.rng.choice(GENERIC[draft.scene.language])
    sentences = len(sentences_in(place.value))
    said = draft.rng.sample(generic, min(max(1, sentences), len(generic)))
    while len(" ".join(said)) > _limit(place):
        said.pop()
    place.put(" ".join(said))


def _say_twice(draft: _Draft) -> None:
    """Says one sentence again in the place of another, or at the end if there is no other."""
    every = texts(draft.worse)
    longer = [place for place in every if len(sentences_in(place.value)) > 1]
    place = draft.rng.choice(longer or every)
    sentences = sentences_in(place.value)
    again = draft.rng.randrange(len(sentences))
    others = [index for index in range(len(sentences)) if index != again]
    if others:
        sentences[draft.rng.choice(others)] = sentences[again]
    else:
        sentences.append(sentences[again])
    place.put(" ".join(sentences))


def _argue_otherwise(draft: _Draft) -> None:
    """Argues for another regime than the answer gives, in the place of the sentence that argues
    for its own.
    """
    given = set(regimes_in(draft.worse)) or {draft.scene.regime}
    claims = list(_claims_of(given, draft))
    if not claims:
        _say_twice(draft)
        return
    place, index = draft.rng.choice(claims)
    others = [regime for regime in REGIMES if regime not in given]
    sentences = sentences_in(place.value)
    sentences[index] = ground(draft.scene, draft.rng, claimed=draft.rng.choice(others))
    place.put(" ".join(sentences))


def _claims_of(given: set[str], draft: _Draft) -> Iterator[tuple[Place, int]]:
    """Yields each text that argues for one of these regimes, and which sentence of it does."""
    for place in texts(draft.worse):
        if place.key != "reasoning":
            continue
        for index, sentence in enumerate(sentences_in(place.value)):
            for read in read_text(sentence, draft.scene.language).sentences:
                if read.sense.regimes & given and not read.sense.supposes:
                    yield place, index


def _one_reason_for_all(draft: _Draft) -> None:
    """Gives every name of a list the same words, which name no number of theirs."""
    lists = _lists_with("reason", draft, 2)
    if not lists:
        _say_nothing(draft)
        return
    entries = draft.rng.choice(lists)
    said = [sentence for entry in entries for sentence in sentences_in(entry["reason"])]
    of_any = [sentence for sentence in said if not numbers_in(sentence)]
    generic = draft.rng.choice(GENERIC[draft.scene.language])
    reason = draft.rng.choice(of_any or generic)
    for entry in entries:
        entry["reason"] = reason


def _lists_with(key: str, draft: _Draft, fewest: int) -> list[list[dict[str, Any]]]:
    """Returns the answer's lists of at least so many entries, each of which has the key."""
    return [
        entries
        for entries in lists_of_entries(draft.worse, fewest)
        if all(key in entry for entry in entries)
    ]


def _break_off(draft: _Draft) -> None:
    """Leaves out the end of a list."""
    lists = lists_of_entries(draft.worse, 2)
    if not lists:
        _say_twice(draft)
        return
    entries = draft.rng.choice(lists)
    del entries[max(1, len(entries) - draft.rng.randint(1, 2)) :]


def _list_twice(draft: _Draft) -> None:
    """Lists one name or two a second time, as a model does that loses its place."""
    lists = _lists_with("ticker", draft, 1)
    if not lists:
        _say_twice(draft)
        return
    entries = draft.rng.choice(lists)
    at = draft.rng.randrange(len(entries))
    entries += deepcopy(entries[at : at + draft.rng.randint(1, 2)])


def _limit(place: Place) -> int:
    """Returns the most characters that surely keep the form: as many as there are, or as any kind
    allows.
    """
    least = LEAST_REASONING_LIMIT if place.key == "reasoning" else LEAST_TEXT_LIMIT
    return max(least, len(place.value))


_WAYS: tuple[Callable[[_Draft], None], ...] = (
    # What says nothing has words of its own, and many of it would give the flaw away.
    _say_nothing,
    _one_reason_for_all,
    *(_say_twice,) * 4,
    *(_argue_otherwise,) * 4,
    # As many lists grow as shrink, or the share of their keys would give the flaw away.
    *(_break_off,) * 2,
    *(_list_twice,) * 2,
)
