"""How any reply is graded against what the strategy decides. Knows no kind by name."""

import json
import re
from collections.abc import Iterable, Iterator
from typing import Any

import jsonschema_rs

from tasks.core.kinds.base import Grade, Language, Scene
from tasks.core.kinds.lexicon import CONTEXT, MARKET
from tasks.core.strategy.decisions import Choice, Decision
from tasks.core.strategy.rules import BAND_NUMBERS, REGIMES, RULE_NUMBERS, THRESHOLDS, shocked
from tasks.core.strategy.stated import known_numbers
from tasks.core.strategy.universe import etfs, names, sectors


def _names_with_digits() -> list[str]:
    """Labels, fund and sector names that hold digits: these are no numbers. Longest first, for the
    pattern's sake.
    """
    labels = [
        label.of(language) for label in {**MARKET, **CONTEXT}.values() for language in ("ko", "en")
    ]
    called = [
        *labels,
        *(fund.name_ko for fund in etfs()),
        *(sector.name_ko for sector in sectors()),
    ]
    found = [name for name in called if re.search(r"\d", name)]
    return sorted(found, key=len, reverse=True)


_NUMBER = re.compile(r"(?<![\w.])-?\d+(?:,\d{3})*(?:\.\d+)?")
_NAMED = re.compile("|".join(re.escape(name) for name in _names_with_digits()))
_BETWEEN_SENTENCES = re.compile(r"(?<=[.!?])\s+")
PROSE_KEYS = ("reasoning", "reason", "recommendation", "contingency", "note")
"""Keys of an answer under which text is written freely."""
_PART_OF_KEY = {
    "regime": ("regime", "from", "to", "regime_now", "regime_after", "missing_inputs", "confidence_pct"),
    "exposure": (
        "net_exposure_pct", "recommended_net_exposure_pct", "target_net_exposure_pct", "long_gross_pct",
        "index_short_pct", "max_overnight_nav_pct", "max_leverage_x100",
    ),
}  # fmt: skip
"""Which part of the grade a key of the answer belongs to; every other one belongs to the actions."""
_PART = {key: part for part, keys in _PART_OF_KEY.items() for key in keys}


def to_text(answer: dict[str, Any]) -> str:
    """An answer as the model writes it: one line of JSON."""
    return json.dumps(answer, ensure_ascii=False, separators=(", ", ": "))


def judge(
    scene: Scene, reply: str, schema: dict[str, Any], right: Decision, more: tuple[str, ...] = ()
) -> Grade:
    """The share of named parts that hold: json, schema, those of the decision, grounded, argued.

    `more` are parts that the kind judges itself: here they pass where there is a reply to judge.
    """
    wanted = ["json", "schema", *_parts_of(right), "grounded", "argued", *more]
    told, parts = read(reply, schema)
    if told is not None:
        offered = {line.ticker for line in scene.facts.stocks}
        for part, holds in _compared(told, right, offered):
            parts[part] = parts.get(part, True) and holds
        parts = {**dict.fromkeys(more, True), **parts}
        texts = [text for _, text in prose(told)]
        numbers, regimes = [numbers_in(text) for text in texts], set(regimes_told(told))
        parts["grounded"] = _grounded(
            {abs(number) for found in numbers for number in found}, scene, told
        )
        parts["argued"] = all(numbers) and all(
            not _repeats(text) and _agrees(text, regimes, scene.language) for text in texts
        )
    return graded(parts, wanted, told)


def read(reply: str, schema: dict[str, Any]) -> tuple[dict[str, Any] | None, dict[str, bool]]:
    """The reply's JSON object and whether JSON and schema hold; nothing else can be judged where
    they do not.
    """
    try:
        answer = json.loads(reply.strip())
    except ValueError:
        return None, {"json": False}
    valid = _validator(schema).is_valid(answer)
    return (answer if valid else None), {"json": True, "schema": valid}


def _validator(schema: dict[str, Any]) -> jsonschema_rs.Draft202012Validator:
    """A schema's validator, made once: the kinds' schemas are constants of their modules."""
    if id(schema) not in _VALIDATORS:
        _VALIDATORS[id(schema)] = (schema, jsonschema_rs.Draft202012Validator(schema))
    return _VALIDATORS[id(schema)][1]


_VALIDATORS: dict[int, tuple[dict[str, Any], jsonschema_rs.Draft202012Validator]] = {}


def graded(parts: dict[str, bool], wanted: Iterable[str], told: dict[str, Any] | None) -> Grade:
    """A wanted part that could not be judged counts as failed."""
    wanted = list(dict.fromkeys(wanted))
    failed = [part for part in wanted if not parts.get(part, False)]
    return Grade(
        1 - len(failed) / len(wanted), parts, f"failed: {', '.join(failed)}" if failed else "", told
    )


def _parts_of(right: Any, key: str = "") -> Iterator[str]:
    """The parts that a decision has, in its order."""
    if isinstance(right, dict):
        for name, value in right.items():
            yield from _parts_of(value, name)
    elif isinstance(right, list) and key != "missing_inputs":
        yield from ("tickers", "actions", "book")
        for entry in right:
            yield from _parts_of(entry)
    else:
        yield "tickers" if key == "ticker" else _PART.get(key, "actions")


def _compared(
    told: Any, right: Any, offered: set[str], key: str = ""
) -> Iterator[tuple[str, bool]]:
    """Each leaf of the decision against what was told, as (part, holds)."""
    if isinstance(right, dict):
        if "ticker" in told and "name" in told:
            yield "tickers", told["name"] in names(told["ticker"])
        for name, value in right.items():
            yield from _compared(told.get(name), value, offered, name)
    elif isinstance(right, list) and key != "missing_inputs":
        yield from _compared_lists(told, right, offered)
    else:
        holds = right.allows(told) if isinstance(right, Choice) else told == right
        if key == "ticker" and not names(told):
            yield "tickers", False
        else:
            yield _PART.get(key, "actions"), holds


def _compared_lists(
    told: list[dict[str, Any]], right: list[Decision], offered: set[str]
) -> Iterator[tuple[str, bool]]:
    """Entries matched by ticker: one that the question does not offer is made up, too few or one
    twice a bad book.

    Another choice among the offered stocks is a decision, and so is an empty list.
    """
    wanted, found = (
        {entry["ticker"]: entry for entry in right},
        {entry["ticker"]: entry for entry in told},
    )
    yield "tickers", set(found) <= offered
    yield "actions", (set(found) & offered) <= set(wanted) and bool(told) >= bool(right)
    yield "book", len(found) == len(told) and (not told or len(found) >= len(wanted))
    for ticker in found:
        yield "tickers", found[ticker].get("name") in names(ticker)
        if ticker in wanted:
            decided = {key: value for key, value in wanted[ticker].items() if key != "ticker"}
            yield from _compared(found[ticker], decided, offered)


def pairs_exist(entries: Iterable[dict[str, Any]]) -> bool:
    """Whether every entry's ticker and name belong together in the universe."""
    return all(entry["name"] in names(entry["ticker"]) for entry in entries)


def prose(answer: Any, key: str = "") -> Iterator[tuple[str, str]]:
    """Every text of an answer that is written freely, with its key."""
    if isinstance(answer, dict):
        for name, value in answer.items():
            yield from prose(value, name)
    elif isinstance(answer, list):
        for entry in answer:
            yield from prose(entry, key)
    elif isinstance(answer, str) and key in PROSE_KEYS:
        yield key, answer


def _repeats(text: str) -> bool:
    """Whether a text says a sentence twice."""
    sentences = [
        sentence.strip() for sentence in _BETWEEN_SENTENCES.split(text) if sentence.strip()
    ]
    return len(set(sentences)) < len(sentences)


def _agrees(text: str, regimes: set[str], language: Language) -> bool:
    """Whether a text argues for a regime that the answer gives: the ground of another one is no
    argument for it.
    """
    claims = grounds_claimed(text, language)
    return not claims or not regimes or bool(claims & regimes)


def grounds_claimed(text: str, language: Language) -> set[str]:
    """The regimes that a text says, by name or in words, that the market is in."""
    return {_CLAIMED[language][word] for word in _CLAIMS[language].findall(text)}


_CLAIMED = {
    "ko": {
        "약세장": "BEAR",
        "스트레스": "SHORT_TERM_STRESS",
        "약화": "WEAKENING",
        "약해지": "WEAKENING",
        "완만": "MILD_BULL",
        "강세장": "STRONG_BULL",
    },
    "en": {
        "bear": "BEAR",
        "stress": "SHORT_TERM_STRESS",
        "weakening": "WEAKENING",
        "mild": "MILD_BULL",
        "strong bull": "STRONG_BULL",
        "strong-bull": "STRONG_BULL",
    },
}
"""How a text calls each regime."""
_CLAIMS = {language: re.compile("|".join(words)) for language, words in _CLAIMED.items()}


def regimes_told(told: Any) -> Iterator[str]:
    if isinstance(told, dict):
        for value in told.values():
            yield from regimes_told(value)
    elif isinstance(told, str) and told in REGIMES:
        yield told


_RULES = RULE_NUMBERS | BAND_NUMBERS


def _grounded(said: set[float], scene: Scene, told: Any) -> bool:
    """Whether sizes of numbers stand in the prompt, the strategy's tables or the answer, or follow
    from these.
    """
    facts, said = scene.facts, said - _RULES
    said.difference_update(*(map(abs, line.numbers.values()) for line in (facts, *facts.stocks)))
    return not said or said <= _following(scene, told)


def _following(scene: Scene, told: Any) -> set[float]:
    """Sizes of the answer's numbers and of what follows: sums, and the distances to the limits of
    the regime's rule.
    """
    facts, market = scene.facts, known_numbers(scene.facts)
    integers = list(_integers(told))
    known = {*integers, *_sums_of_weights(told)}
    if "execution_plan" in told:
        known.update(one - other for one in integers for other in integers)  # what is left to move
    known.update(round(market[name] - limit, MARKET[name].decimals) for name, limit in THRESHOLDS)
    if "shock" in facts.words:
        known.update(shocked(market, facts.words["shock"], facts.numbers["shock_pct"]).values())
    return {abs(value) for value in known}


def _integers(told: Any) -> Iterator[float]:
    """An answer's integers, also in the unit that prose has: hundredths, tenths and basis points."""
    if isinstance(told, dict):
        for key, value in told.items():
            scale = 100 if key.endswith(("_x100", "_bp")) else 10 if key.endswith("_x10") else 1
            yield from (number / scale for number in _integers(value))
    elif isinstance(told, list):
        for entry in told:
            yield from _integers(entry)
    elif isinstance(told, int):
        yield told


def _sums_of_weights(told: Any) -> Iterator[int]:
    """The total weight of each list of an answer."""
    if isinstance(told, dict):
        for value in told.values():
            yield from _sums_of_weights(value)
    elif isinstance(told, list):
        yield sum(entry.get("weight_pct", 0) for entry in told if isinstance(entry, dict))


def numbers_in(text: str) -> list[float]:
    """The numbers of a text, those in a label or a fund's name aside."""
    return [float(number.replace(",", "")) for number in _NUMBER.findall(without_names(text))]


def without_names(text: str) -> str:
    """The text without labels and fund names that hold digits."""
    return _NAMED.sub(" ", text)
