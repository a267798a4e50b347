"""How a right answer is spoiled: plausible, and wrong for one known reason. Knows no kind by name.

All chance comes from the generator that the caller gives. Reads and writes no file.
"""

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from random import Random
from typing import Any

from tasks.core.kinds.base import Answer, Flaw, Scene
from tasks.core.kinds.texts import PROSE_KEYS, regimes_in, to_text
from tasks.core.kinds.wording import TEXT_LIMIT, argue
from tasks.core.records.facts import Language
from tasks.core.strategy.rules import REGIMES
from tasks.core.strategy.universe import names, stocks

_GENERIC = {
    "ko": (
        "시장 상황을 종합적으로 고려하여 판단했다.",
        "여러 지표를 살펴본 결과 적절한 대응이 필요하다.",
        "전반적인 흐름을 볼 때 신중한 접근이 바람직하다.",
        "현재 여건에 맞는 합리적인 선택이다.",
    ),
    "en": (
        "This follows from an overall look at market conditions.",
        "Several indicators suggest an apt response.",
        "Given the general picture, a careful approach seems right.",
        "It is a sensible choice in this setting.",
    ),
}
_INVENTED = {
    "ko": (
        "기관 순매수는 {n}억 원이다.",
        "신용 잔고가 {n}억 원 늘었다.",
        "거래대금은 평균의 {n}배다.",
        "선물 베이시스는 {n}까지 벌어졌다.",
    ),
    "en": (
        "Institutions bought {n} billion won.",
        "Margin debt rose by {n} billion won.",
        "Turnover was {n} times its average.",
        "The futures basis widened to {n}.",
    ),
}

_REASONING_LIMIT, _OTHER_TEXT_LIMIT = 200, 120
"""The least that any kind's schema allows a `reasoning`, or another text, to hold: a longer one
would break the form, which is another flaw.
"""


@dataclass(frozen=True)
class RightAnswer:
    """A right answer, with the scene that it answers and the schema that it keeps."""

    scene: Scene
    answer: Answer
    schema: dict[str, Any]


def spoil(right: RightAnswer, how: Flaw, rng: Random, mistake: Callable[[], Answer]) -> str:
    """Returns the right answer as text, with one flaw.

    `mistake` gives the answer of another regime or rule, as the kind would err.
    """
    if how == "strategy_violation":
        return to_text(mistake())
    if how == "schema_violation":
        return _break_form(right, rng)
    worse = json.loads(to_text(right.answer))
    if how == "quality_degradation":
        _degrade(worse, right.scene, rng)
    else:
        _hallucinate(worse, right.scene.language, rng)
    return to_text(worse)


def other_regime(right: str, rng: Random) -> str:
    """Returns a regime that is not the right one."""
    return rng.choice([regime for regime in REGIMES if regime != right])


# Places in an answer.


@dataclass(frozen=True)
class _Place:
    """Where a value of an answer stands: a dict and its key, or a list and its index."""

    container: Any
    key: Any

    @property
    def value(self) -> Any:
        return self.container[self.key]

    def put(self, value: Any) -> None:
        self.container[self.key] = value


def _places(value: Any) -> Iterator[_Place]:
    """Yields the place of everything in an answer, at any depth."""
    keys: list[Any] = []
    if isinstance(value, dict):
        keys = list(value)
    elif isinstance(value, list):
        keys = list(range(len(value)))
    for key in keys:
        yield _Place(value, key)
        yield from _places(value[key])


def _texts(answer: Answer) -> list[_Place]:
    """Returns the places of the texts that are written freely."""
    texts = []
    for place in _places(answer):
        if place.key in PROSE_KEYS and isinstance(place.value, str):
            texts.append(place)
    return texts


def _long_lists(answer: Answer) -> list[_Place]:
    """Returns the places of lists of two or more objects."""
    lists = []
    for place in _places(answer):
        entries = place.value
        if not isinstance(entries, list) or len(entries) < 2:
            continue
        if all(isinstance(entry, dict) for entry in entries):
            lists.append(place)
    return lists


# Flaws.


def _degrade(worse: Answer, scene: Scene, rng: Random) -> None:
    """Makes a text say nothing, say it twice, or argue for another regime; or cuts off the end of a
    list.
    """
    lists = _long_lists(worse)
    if lists and rng.random() < 0.35:
        place = rng.choice(lists)
        place.put(place.value[: max(1, len(place.value) // 2)])
        return
    place = rng.choice(_texts(worse))
    candidates = [rng.choice(_GENERIC[scene.language])]
    first = re.split(r"(?<=[.!?])\s", place.value)[0].rstrip(".")
    twice = f"{first}. {first}."
    limit = _REASONING_LIMIT if place.key == "reasoning" else _OTHER_TEXT_LIMIT
    if len(twice) <= limit:
        candidates.append(twice)
    given = set(regimes_in(worse))
    if place.key == "reasoning" and given:
        other = rng.choice([regime for regime in REGIMES if regime not in given])
        candidates.append(argue(scene, rng, claimed=other))
    place.put(rng.choice(candidates))


def _hallucinate(worse: Answer, language: Language, rng: Random) -> None:
    """Puts in a ticker that does not exist, a name that is another's, or a number from nowhere."""
    entries = list(_entries_with_ticker(worse))
    what = rng.choice(("ticker", "name", "number")) if entries else "number"
    if what == "ticker":
        rng.choice(entries)["ticker"] = f"99{rng.randint(1000, 9999)}"
    elif what == "name":
        entry = rng.choice(entries)
        others = [stock for stock in stocks() if entry["name"] not in names(stock.ticker)]
        entry["name"] = rng.choice(others).name_ko
    else:
        place = rng.choice(_texts(worse))
        number = f"{rng.randint(3001, 9899) / 10:.1f}"
        invented = rng.choice(_INVENTED[language]).format(n=number)
        place.put(f"{place.value} {invented}"[-TEXT_LIMIT:])


def _entries_with_ticker(value: Any) -> Iterator[dict[str, Any]]:
    """Yields every object of an answer that is about one stock or ETF."""
    if isinstance(value, dict):
        if "ticker" in value:
            yield value
        value = list(value.values())
    if isinstance(value, list):
        for entry in value:
            yield from _entries_with_ticker(entry)


def _break_form(right: RightAnswer, rng: Random) -> str:
    """Returns the same answer in a form that no program can use: with a key missing or renamed, a
    wrong type, flattened, or as broken JSON.
    """
    answer = right.answer
    how = rng.choice(("missing", "type", "flattened", "malformed", "renamed"))
    key = rng.choice(sorted(right.schema["required"]))
    match how:
        case "missing":
            return to_text({name: value for name, value in answer.items() if name != key})
        case "type":
            return to_text({**answer, key: [answer[key]]})
        case "renamed":
            return to_text(_renamed(answer, key))
        case "flattened":
            return _flattened(answer)
    text = to_text(answer)
    return text[: rng.randint(len(text) // 2, len(text) - 1)]


def _renamed(answer: Answer, key: str) -> Answer:
    """Returns the answer with one key spelt with capitals, in its old place."""
    renamed = {}
    for name, value in answer.items():
        renamed[name.title() if name == key else name] = value
    return renamed


def _flattened(answer: Answer) -> str:
    lines = []
    for name, value in answer.items():
        lines.append(f"{name}: {json.dumps(value, ensure_ascii=False)}")
    return "\n".join(lines)
