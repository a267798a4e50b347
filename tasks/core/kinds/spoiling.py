"""How a right answer is spoiled: plausible, and wrong for one known reason. Knows no kind by name."""

import json
import re
from collections.abc import Callable, Iterable, Iterator
from random import Random
from typing import Any

from tasks.core.kinds.base import Flaw, Scene
from tasks.core.kinds.grading import PROSE_KEYS, regimes_told, to_text
from tasks.core.kinds.wording import TEXT_LIMIT, argue
from tasks.core.strategy.rules import REGIMES
from tasks.core.strategy.universe import names, stocks

_GENERIC = {
    "ko": ("시장 상황을 종합적으로 고려하여 판단했다.", "여러 지표를 살펴본 결과 적절한 대응이 필요하다.",
           "전반적인 흐름을 볼 때 신중한 접근이 바람직하다.", "현재 여건에 맞는 합리적인 선택이다."),
    "en": ("This follows from an overall look at market conditions.", "Several indicators suggest an apt response.",
           "Given the general picture, a careful approach seems right.", "It is a sensible choice in this setting."),
}  # fmt: skip
_INVENTED = {
    "ko": ("기관 순매수는 {n}억 원이다.", "신용 잔고가 {n}억 원 늘었다.", "거래대금은 평균의 {n}배다.",
           "선물 베이시스는 {n}까지 벌어졌다."),
    "en": ("Institutions bought {n} billion won.", "Margin debt rose by {n} billion won.",
           "Turnover was {n} times its average.", "The futures basis widened to {n}."),
}  # fmt: skip

_TWICE_LIMIT = {"reasoning": 200, "reason": 120}
"""The least that any kind's schema allows such a text: a longer one would break the form, which is
another flaw.
"""


def spoil(
    scene: Scene,
    right: dict[str, Any],
    how: Flaw,
    rng: Random,
    mistake: Callable[[], dict],
    schema: dict[str, Any],
) -> str:
    """The right answer with one flaw. `mistake` gives the answer of another regime or rule, as the
    kind would err.
    """
    if how == "strategy_violation":
        return to_text(mistake())
    if how == "schema_violation":
        return _break_form(right, schema["required"], rng)
    worse = json.loads(to_text(right))
    places = [place for place in _places(worse) if place[1] in PROSE_KEYS]
    if how == "quality_degradation":
        _degrade(worse, places, scene, rng)
    else:
        _hallucinate(worse, places, scene, rng)
    return to_text(worse)


def other_regime(right: str, rng: Random) -> str:
    return rng.choice([regime for regime in REGIMES if regime != right])


def _places(value: Any) -> Iterator[tuple[Any, Any]]:
    """Every (container, key or index) of an answer whose value is a text or a list."""
    entries = (
        value.items()
        if isinstance(value, dict)
        else enumerate(value)
        if isinstance(value, list)
        else ()
    )
    for key, entry in entries:
        if isinstance(entry, str | list):
            yield value, key
        yield from _places(entry)


def _degrade(
    worse: dict[str, Any], places: list[tuple[Any, Any]], scene: Scene, rng: Random
) -> None:
    """A text that says nothing, says it twice, or argues for another regime; or a list with its end
    cut off.
    """
    lists = [
        (box, key)
        for box, key in _places(worse)
        if isinstance(box[key], list) and len(box[key]) > 1 and _books(box[key])
    ]
    if lists and rng.random() < 0.35:
        box, key = rng.choice(lists)
        box[key] = box[key][: max(1, len(box[key]) // 2)]
        return
    box, key = rng.choice(places)
    first = re.split(r"(?<=[.!?])\s", box[key])[0].rstrip(".")
    ways, twice = [rng.choice(_GENERIC[scene.language])], f"{first}. {first}."
    if len(twice) <= _TWICE_LIMIT.get(key, _TWICE_LIMIT["reason"]):
        ways.append(twice)
    if key == "reasoning" and (told := set(regimes_told(worse))):
        other = rng.choice([regime for regime in REGIMES if regime not in told])
        ways.append(argue(scene, rng, claimed=other))
    box[key] = rng.choice(ways)


def _books(entries: list[Any]) -> bool:
    return all(isinstance(entry, dict) for entry in entries)


def _hallucinate(
    worse: dict[str, Any], places: list[tuple[Any, Any]], scene: Scene, rng: Random
) -> None:
    """A ticker that does not exist, a name that is another's, or a number from nowhere."""
    tickers = [box for box in _tickered(worse)]
    how = rng.choice(("ticker", "name", "number")) if tickers else "number"
    if how == "ticker":
        rng.choice(tickers)["ticker"] = f"99{rng.randint(1000, 9999)}"
    elif how == "name":
        box = rng.choice(tickers)
        box["name"] = rng.choice(
            [found.name_ko for found in stocks() if box["name"] not in names(found.ticker)]
        )
    else:
        box, key = rng.choice(places)
        number = f"{rng.randint(3001, 9899) / 10:.1f}"
        box[key] = f"{box[key]} {rng.choice(_INVENTED[scene.language]).format(n=number)}"[
            -TEXT_LIMIT:
        ]


def _tickered(value: Any) -> Iterator[dict[str, Any]]:
    if isinstance(value, dict):
        if "ticker" in value:
            yield value
        value = list(value.values())
    if isinstance(value, list):
        for entry in value:
            yield from _tickered(entry)


def _break_form(answer: dict[str, Any], required: Iterable[str], rng: Random) -> str:
    """The same answer in a form that no program can use: a missing key, a wrong type, flattened, or
    broken JSON.
    """
    how = rng.choice(("missing", "type", "flattened", "malformed", "renamed"))
    key = rng.choice(sorted(required))
    if how == "missing":
        return to_text({name: value for name, value in answer.items() if name != key})
    if how == "type":
        return to_text({**answer, key: [answer[key]]})
    if how == "renamed":
        return to_text(
            {name.title() if name == key else name: value for name, value in answer.items()}
        )
    if how == "flattened":
        return "\n".join(
            f"{name}: {json.dumps(value, ensure_ascii=False)}" for name, value in answer.items()
        )
    text = to_text(answer)
    return text[: rng.randint(len(text) // 2, len(text) - 1)]
