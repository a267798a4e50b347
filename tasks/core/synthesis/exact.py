"""Whether a text in our own published words holds what it must: each number and regime in the role
that its sentence gives it, in these digits, where a model's may be rounded or derived.

A text in words of its own is judged as a model's is (prose.py), and not here.
"""

from collections.abc import Iterator
from typing import Any

from tasks.core.kinds.texts import PROSE_KEYS
from tasks.core.synthesis.blanks import (
    Value,
    Values,
    values_everywhere,
    values_of_entry,
    values_on_the_whole,
)
from tasks.core.synthesis.problems import Problem
from tasks.core.synthesis.reading import Reading
from tasks.core.synthesis.skeletons import MARK, Role, Roles, marked, roles_in


def exact_problems(answer: dict[str, Any], reading: Reading) -> Iterator[Problem]:
    """Yields what stands in an answer's texts where something else must."""
    everywhere = values_everywhere(answer, reading.facts)
    whole = values_on_the_whole(answer, reading.facts)
    for text, entry in _texts(answer):
        own = whole if entry is None else values_of_entry(entry, reading.facts)
        for said, role in _misplaced(text, reading, (everywhere, own)):
            rule = "argued" if isinstance(said, str) else "grounded"
            yield Problem(rule, f"{_shown(said)} {_reason(role)}: {text[:60]}")


def _texts(
    value: Any, entry: dict[str, Any] | None = None
) -> Iterator[tuple[str, dict[str, Any] | None]]:
    """Yields each free text with the entry about one stock that it belongs to, if any."""
    if isinstance(value, dict):
        for key, content in value.items():
            if isinstance(content, str) and key in PROSE_KEYS:
                yield content, entry
            else:
                yield from _texts(content, entry)
    elif isinstance(value, list):
        for item in value:
            about_one = isinstance(item, dict) and "ticker" in item
            yield from _texts(item, item if about_one else entry)


def _misplaced(
    text: str, reading: Reading, held: tuple[Values, ...]
) -> Iterator[tuple[Value, Role]]:
    """Yields what a text says where it must say something else, with its role there."""
    sentences, values = marked(text)
    start = 0
    for sentence in sentences:
        said = values[start : start + sentence.count(MARK)]
        start += len(said)
        readings = roles_in(sentence, reading.kind, reading.language)
        if readings and not any(_fits(said, roles, held) for roles in readings):
            yield next(_wrong(said, readings[0], held))


def _fits(said: list[Value], roles: Roles, held: tuple[Values, ...]) -> bool:
    return next(_wrong(said, roles, held), None) is None


def _wrong(
    said: list[Value], roles: Roles, held: tuple[Values, ...]
) -> Iterator[tuple[Value, Role]]:
    for value, role in zip(said, roles, strict=True):
        if not _may_be(value, role, held):
            yield value, role


def _may_be(value: Value, role: Role, held: tuple[Values, ...]) -> bool:
    if role.blank:
        return any(value in values.get(role.blank, ()) for values in held)
    return value == role.constant


def _shown(value: Value) -> str:
    return value if isinstance(value, str) else f"{value:g}"


def _reason(role: Role) -> str:
    if role.blank:
        return f"is not the {role.blank} that belongs there"
    return f"stands where {_shown(role.constant)} belongs"
