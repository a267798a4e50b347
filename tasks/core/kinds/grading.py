"""What the graders and spoilers of all kinds share: reading a reply, judging its words, breaking its form."""

import json
import re
from collections.abc import Iterable
from functools import cache
from random import Random
from typing import Any

import jsonschema

from tasks.core.kinds.base import Grade, Language, Scene
from tasks.core.kinds.wording import known_numbers, ratios_of
from tasks.core.strategy import EXPOSURES, THRESHOLDS
from tasks.core.universe import names

_NUMBER = re.compile(r"(?<![\w.])-?\d+(?:\.\d+)?")

_GENERIC = {
    "ko": ("시장 상황을 종합적으로 고려하여 판단했다.", "여러 지표를 살펴본 결과 적절한 대응이 필요하다."),
    "en": ("This follows from an overall look at market conditions.", "Several indicators suggest an apt response."),
}
_INVENTED = {
    "ko": ("외국인 순매수는 {n}억 원이다.", "VIX는 {n}까지 올랐다.", "거래대금은 평균의 {n}배다."),
    "en": ("Foreigners bought {n} billion won.", "The VIX rose to {n}.", "Turnover was {n} times its average."),
}


def to_text(answer: dict[str, Any]) -> str:
    """An answer as the model writes it: one line of JSON."""
    return json.dumps(answer, ensure_ascii=False, separators=(", ", ": "))


def read(reply: str, schema: dict[str, Any]) -> tuple[dict[str, Any] | None, dict[str, bool]]:
    """The reply's JSON object and whether JSON and schema hold; nothing else can be judged where they do not."""
    try:
        answer = json.loads(reply.strip())
    except ValueError:
        return None, {"json": False}
    valid = _validator(json.dumps(schema, sort_keys=True)).is_valid(answer)
    return (answer if valid else None), {"json": True, "schema": valid}


@cache
def _validator(schema: str) -> jsonschema.Draft202012Validator:
    return jsonschema.Draft202012Validator(json.loads(schema))


def graded(parts: dict[str, bool], all_parts: tuple[str, ...]) -> Grade:
    """The share of the kind's parts that passed; a part that could not be judged counts as failed."""
    failed = [part for part in all_parts if not parts.get(part, False)]
    return Grade(1 - len(failed) / len(all_parts), parts, f"failed: {', '.join(failed)}" if failed else "")


def pairs_exist(pairs: Iterable[tuple[str, str]]) -> bool:
    """Whether every (ticker, name) is the universe's."""
    return all(name in names(ticker) for ticker, name in pairs)


def argued(text: str, scene: Scene) -> bool:
    """Whether a rationale says something of its own: a number of the prompt in it, and no sentence twice."""
    sentences = [sentence.strip() for sentence in re.split(r"(?<=[.!?])\s+", text) if sentence.strip()]
    given = {getattr(scene.snapshot, name) for name in scene.given}
    return len(set(sentences)) == len(sentences) and bool(given & set(numbers_in([text])))


def grounded(texts: Iterable[str], scene: Scene, more: Iterable[float] = ()) -> bool:
    """Whether every number stands in the prompt, in the strategy's table, or among `more`."""
    known = {*known_numbers(scene).values(), *(limit for _, limit in THRESHOLDS), *more}
    known.update(value for day in scene.stocks for value in ratios_of(day).values())
    for band in EXPOSURES.values():
        known.update((*band.long_gross, *band.index_short, *band.net))
    return set(numbers_in(texts)) <= known | {-value for value in known}


def numbers_in(texts: Iterable[str]) -> list[float]:
    return [float(number) for text in texts for number in _NUMBER.findall(text)]


def generic(language: Language, rng: Random) -> str:
    """A rationale that could stand under any answer."""
    return rng.choice(_GENERIC[language])


def invented(language: Language, rng: Random) -> str:
    """A sentence with a number from nowhere."""
    return rng.choice(_INVENTED[language]).format(n=f"{rng.randint(3001, 9899) / 10:.1f}")


def break_form(answer: dict[str, Any], required: Iterable[str], rng: Random) -> str:
    """The same answer in a form that no program can use: a missing key, a wrong type, flattened, or broken JSON."""
    how = rng.choice(("missing", "type", "flattened", "malformed"))
    key = rng.choice(sorted(required))
    if how == "missing":
        return to_text({name: value for name, value in answer.items() if name != key})
    if how == "type":
        return to_text({**answer, key: [answer[key]]})
    if how == "flattened":
        return "\n".join(f"{name}: {json.dumps(value, ensure_ascii=False)}" for name, value in answer.items())
    text = to_text(answer)
    return text[: rng.randint(len(text) // 2, len(text) - 1)]
