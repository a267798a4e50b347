"""How any reply is graded against what the strategy decides. Knows no kind by name.

A grade is the share of named parts that hold: whether the reply is JSON and keeps its schema,
whether its decision is the strategy's, and whether its texts argue from the question's numbers.
Reads and writes no file.
"""

from collections.abc import Iterable, Iterator
from random import Random
from typing import Any

import jsonschema_rs

from tasks.core.kinds.base import Answer, Grade, Scene
from tasks.core.kinds.judging.following import nets_add_up
from tasks.core.kinds.judging.judge import TEXT_PARTS, text_faults
from tasks.core.kinds.replies import parse
from tasks.core.strategy.deciding import Choice, Decision, Open, settled
from tasks.core.strategy.universe import names

_KEYS_OF_PART = {
    "working": ("working",),
    "regime": (
        "regime",
        "from",
        "to",
        "regime_now",
        "regime_after",
        "regime_assessment",
        "missing_inputs",
        "confidence_pct",
    ),
    "exposure": (
        "net_exposure_pct",
        "recommended_net_exposure_pct",
        "target_net_exposure_pct",
        "long_gross_pct",
        "index_short_pct",
        "max_overnight_nav_pct",
        "max_leverage_x100",
    ),
}
"""Which keys of an answer belong to a part of the grade; all others belong to the actions."""

_WHOLE = ("working", "missing_inputs", "factors_considered")
"""Keys whose lists are compared as they are, not entry by entry."""


def judge(
    scene: Scene,
    reply: str,
    schema: dict[str, Any],
    right: Decision,
    own_parts: tuple[str, ...] = (),
) -> Grade:
    """Grades a reply by the parts json and schema, those of the decision, and those of the texts.

    `own_parts` are parts that the kind judges itself afterwards: here they pass if there is an
    answer to judge.
    """
    answer, parts = read(reply, schema)
    if answer is not None:
        parts = {**dict.fromkeys(own_parts, True), **parts, **_judged(answer, right, scene)}
    wanted = ("json", "schema", *_parts_of(right), *TEXT_PARTS, *own_parts)
    return graded(parts, wanted, answer)


def read(reply: str, schema: dict[str, Any]) -> tuple[Answer | None, dict[str, bool]]:
    """Returns the reply's JSON object, and whether the parts json and schema hold.

    The object is None if either fails, because nothing else can be judged then.
    """
    try:
        answer = parse(reply)
    except ValueError:
        return None, {"json": False}
    if not _validator(schema).is_valid(answer):
        return None, {"json": True, "schema": False}
    return answer, {"json": True, "schema": True}


_VALIDATORS: dict[int, tuple[dict[str, Any], jsonschema_rs.Draft202012Validator]] = {}
"""By the id of the schema, which is kept beside it so that no other object gets the same id."""


def _validator(schema: dict[str, Any]) -> jsonschema_rs.Draft202012Validator:
    """Returns the schema's validator, made once: the kinds' schemas are constants of modules."""
    if id(schema) not in _VALIDATORS:
        _VALIDATORS[id(schema)] = (schema, jsonschema_rs.Draft202012Validator(schema))
    return _VALIDATORS[id(schema)][1]


def graded(parts: dict[str, bool], wanted: Iterable[str], answer: Answer | None) -> Grade:
    """Returns the grade. A wanted part that could not be judged counts as failed."""
    wanted = list(dict.fromkeys(wanted))
    failed = [part for part in wanted if not parts.get(part, False)]
    reason = f"failed: {', '.join(failed)}" if failed else ""
    return Grade(1 - len(failed) / len(wanted), parts, reason, answer)


def _judged(answer: Answer, right: Decision, scene: Scene) -> dict[str, bool]:
    """Returns the parts that only a valid answer allows to judge."""
    parts: dict[str, bool] = {}
    offered = {stock.ticker for stock in scene.facts.stocks}
    for part, holds in _compared(answer, right, offered):
        parts[part] = parts.get(part, True) and holds
    if "exposure" in parts and not nets_add_up(answer):
        parts["exposure"] = False
    decided = all(parts.values())
    asked = _asked(scene)
    for fault in text_faults(answer, settled(right), scene.facts, scene.language, asked):
        # A wrong decision argues for itself: what its words claim is the same mistake.
        if decided or not fault.of_claim:
            parts[fault.part] = False
    return {**dict.fromkeys(TEXT_PARTS, True), **parts}


def _asked(scene: Scene) -> str:
    """Returns the scene's question, or nothing if the scene was read from a question's text: who
    read it has the text.
    """
    if not scene.seed:
        return ""
    from tasks.core.kinds import kind_named  # noqa: PLC0415  the kinds are graded by this module

    return kind_named(scene.kind).ask(scene, Random(scene.seed))


# The decision.


def _part_of_key(key: str) -> str:
    return _PART_OF_KEY.get(key, "actions")


_PART_OF_KEY = {key: part for part, keys in _KEYS_OF_PART.items() for key in keys}


def _parts_of(right: Any, key: str = "") -> Iterator[str]:
    """Yields the parts that a decision has, in its order."""
    if isinstance(right, dict):
        for name, value in right.items():
            yield from _parts_of(value, name)
    elif isinstance(right, list) and key not in _WHOLE:
        yield from ("tickers", "actions", "book")
        for entry in right:
            yield from _parts_of(entry)
    elif key == "ticker":
        yield "tickers"
    else:
        yield _part_of_key(key)


def _compared(
    answer: Any, right: Any, offered: set[str], key: str = ""
) -> Iterator[tuple[str, bool]]:
    """Compares each leaf of the right decision with the answer's, and yields (part, holds)."""
    if isinstance(right, dict):
        if "ticker" in answer and "name" in answer:
            yield "tickers", answer["name"] in names(answer["ticker"])
        for name, value in right.items():
            yield from _compared(answer.get(name), value, offered, name)
    elif isinstance(right, list) and key not in _WHOLE:
        yield from _compared_entries(answer, right, offered)
    elif key == "ticker" and not names(answer):
        yield "tickers", False
    else:
        leaves_room = isinstance(right, (Choice, Open))
        holds = right.allows(answer) if leaves_room else answer == right
        yield _part_of_key(key), holds


def _compared_entries(
    entries: list[Answer], right: list[Decision], offered: set[str]
) -> Iterator[tuple[str, bool]]:
    """Compares the entries of a list, matched by ticker, and yields (part, holds).

    An entry that the question does not offer is made up; too few entries, or one twice, make a bad
    book. Another choice among the offered stocks is a decision, and so is an empty list.
    """
    wanted = {entry["ticker"]: entry for entry in right}
    given = {entry["ticker"]: entry for entry in entries}
    unwanted = (set(given) & offered) - set(wanted)
    yield "tickers", set(given) <= offered
    yield "actions", not unwanted and bool(entries) >= bool(right)
    yield "book", len(given) == len(entries) and (not entries or len(given) >= len(wanted))
    for ticker, entry in given.items():
        yield "tickers", entry.get("name") in names(ticker)
        if ticker in wanted:
            decided = {key: value for key, value in wanted[ticker].items() if key != "ticker"}
            yield from _compared(entry, decided, offered)


def pairs_exist(entries: Iterable[Answer]) -> bool:
    """Whether every entry's ticker and name belong together in the universe."""
    return all(entry["name"] in names(entry["ticker"]) for entry in entries)
