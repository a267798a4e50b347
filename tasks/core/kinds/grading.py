"""How any reply is graded against what the strategy decides. Knows no kind by name.

A grade is the share of named parts that hold: whether the reply is JSON and keeps its schema,
whether its decision is the strategy's, and whether its texts argue from the question's numbers.
Reads and writes no file.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from random import Random
from typing import Any

import jsonschema_rs

from tasks.core.kinds.base import Answer, Grade, Scene
from tasks.core.kinds.judging.following import nets_add_up
from tasks.core.kinds.judging.judge import TEXT_PARTS, text_faults
from tasks.core.kinds.replies import parse
from tasks.core.kinds.schemas import Schema, parts_of_keys, plain_lists
from tasks.core.strategy.deciding import Choice, Decision, Open, settled
from tasks.core.strategy.universe import names


def judge(
    scene: Scene,
    reply: str,
    schema: Schema,
    right: Decision,
    own_parts: tuple[str, ...] = (),
) -> Grade:
    """Grades a reply by the parts json and schema, those of the decision, and those of the texts.

    `own_parts` are parts that the kind judges itself afterwards: here they pass if there is an
    answer to judge.
    """
    answer, parts = read(reply, schema)
    if answer is not None:
        judged = _judged(answer, right, scene, _form(schema))
        parts = {**dict.fromkeys(own_parts, True), **parts, **judged}
    wanted = ("json", "schema", *_parts_of(right, _form(schema)), *TEXT_PARTS, *own_parts)
    return graded(parts, wanted, answer)


def read(reply: str, schema: Schema) -> tuple[Answer | None, dict[str, bool]]:
    """Returns the reply's JSON object, and whether the parts json and schema hold.

    The object is None if either fails, because nothing else can be judged then.
    """
    try:
        answer = parse(reply)
    except ValueError:
        return None, {"json": False}
    if not _form(schema).validator.is_valid(answer):
        return None, {"json": True, "schema": False}
    return answer, {"json": True, "schema": True}


@dataclass(frozen=True)
class _Form:
    """What a kind's schema tells of its answers."""

    validator: jsonschema_rs.Draft202012Validator
    parts: dict[str, str]  # of keys that are no actions
    whole: set[str]  # keys whose lists are compared as they are, not entry by entry

    def part(self, key: str) -> str:
        """Returns the part of the grade that a key belongs to."""
        return self.parts.get(key, "actions")


_FORMS: dict[int, tuple[Schema, _Form]] = {}
"""By the id of the schema, which is kept beside it so that no other object gets the same id."""


def _form(schema: Schema) -> _Form:
    """Returns the schema's form, made once: the kinds' schemas are constants of modules."""
    if id(schema) not in _FORMS:
        validator = jsonschema_rs.Draft202012Validator(schema)
        form = _Form(validator, parts_of_keys(schema), plain_lists(schema))
        _FORMS[id(schema)] = (schema, form)
    return _FORMS[id(schema)][1]


def graded(parts: dict[str, bool], wanted: Iterable[str], answer: Answer | None) -> Grade:
    """Returns the grade. A wanted part that could not be judged counts as failed."""
    wanted = list(dict.fromkeys(wanted))
    failed = [part for part in wanted if not parts.get(part, False)]
    reason = f"failed: {', '.join(failed)}" if failed else ""
    return Grade(1 - len(failed) / len(wanted), parts, reason, answer)


def _judged(answer: Answer, right: Decision, scene: Scene, form: _Form) -> dict[str, bool]:
    """Returns the parts that only a valid answer allows to judge."""
    parts: dict[str, bool] = {}
    offered = {stock.ticker for stock in scene.facts.stocks}
    for part, holds in _Comparison(form, offered).of(answer, right):
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


def _parts_of(right: Any, form: _Form, key: str = "") -> Iterator[str]:
    """Yields the parts that a decision has, in its order."""
    if isinstance(right, dict):
        for name, value in right.items():
            yield from _parts_of(value, form, name)
    elif isinstance(right, list) and key not in form.whole:
        yield from ("tickers", "actions", "book")
        for entry in right:
            yield from _parts_of(entry, form)
    elif key == "ticker":
        yield "tickers"
    else:
        yield form.part(key)


@dataclass(frozen=True)
class _Comparison:
    """How an answer's leaves are held against the right decision's."""

    form: _Form
    offered: set[str]  # tickers that the question offers

    def of(self, answer: Any, right: Any, key: str = "") -> Iterator[tuple[str, bool]]:
        """Compares each leaf and yields (part, holds)."""
        if isinstance(right, dict):
            if "ticker" in answer and "name" in answer:
                yield "tickers", answer["name"] in names(answer["ticker"])
            for name, value in right.items():
                yield from self.of(answer.get(name), value, name)
        elif isinstance(right, list) and key not in self.form.whole:
            yield from self.of_entries(answer, right)
        elif key == "ticker" and not names(answer):
            yield "tickers", False
        else:
            leaves_room = isinstance(right, (Choice, Open))
            holds = right.allows(answer) if leaves_room else answer == right
            yield self.form.part(key), holds

    def of_entries(
        self, entries: list[Answer], right: list[Decision]
    ) -> Iterator[tuple[str, bool]]:
        """Compares the entries of a list, matched by ticker, and yields (part, holds).

        An entry that the question does not offer is made up; too few entries, or one twice, make a
        bad book. Another choice among the offered stocks is a decision, and so is an empty list.
        """
        wanted = {entry["ticker"]: entry for entry in right}
        given = {entry["ticker"]: entry for entry in entries}
        unwanted = (set(given) & self.offered) - set(wanted)
        yield "tickers", set(given) <= self.offered
        yield "actions", not unwanted and bool(entries) >= bool(right)
        yield "book", len(given) == len(entries) and (not entries or len(given) >= len(wanted))
        for ticker, entry in given.items():
            yield "tickers", entry.get("name") in names(ticker)
            if ticker in wanted:
                decided = {key: value for key, value in wanted[ticker].items() if key != "ticker"}
                yield from self.of(entry, decided)


def pairs_exist(entries: Iterable[Answer]) -> bool:
    """Whether every entry's ticker and name belong together in the universe."""
    return all(entry["name"] in names(entry["ticker"]) for entry in entries)
