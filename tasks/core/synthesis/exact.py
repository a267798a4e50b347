"""Whether a text in our own published words holds what it must: each number, regime and name in the
role that its sentence gives it, in these digits, where a model's may be rounded or derived.

A text in words of its own is judged as a model's is (prose.py), and not here.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from tasks.core.kinds.texts import PROSE_KEYS
from tasks.core.synthesis.blanks import (
    Values,
    values_anywhere,
    values_everywhere,
    values_of_entry,
    values_on_the_whole,
)
from tasks.core.synthesis.marks import BETWEEN_SENTENCES, MARK, Value, marked
from tasks.core.synthesis.named import Place, may_name
from tasks.core.synthesis.problems import Problem
from tasks.core.synthesis.reading import Reading as Question
from tasks.core.synthesis.skeletons import Reading, Role, readings_in


def exact_problems(answer: dict[str, Any], question: Question) -> Iterator[Problem]:
    """Yields what stands in an answer's texts where something else must."""
    facts = question.facts
    everywhere = values_everywhere(answer, facts)
    whole = values_on_the_whole(answer, facts)
    for text, entry in _texts(answer):
        own = whole if entry is None else values_of_entry(entry, facts)
        held = _Held(Place(answer, entry, facts), (everywhere, own, values_anywhere()))
        for problem in _problems_of(text, held, question):
            yield Problem(problem.rule, f"{problem.detail}: {text[:60]}")


def _texts(
    value: Any, entry: dict[str, Any] | None = None
) -> Iterator[tuple[str, dict[str, Any] | None]]:
    """Yields each free text with the entry about one stock that it belongs to, if any."""
    if isinstance(value, dict):
        for key, content in value.items():
            if isinstance(content, str) and key in PROSE_KEYS:
                yield content, entry
            elif isinstance(content, dict | list):
                yield from _texts(content, entry)
    elif value and isinstance(value[0], dict):
        for item in value:
            yield from _texts(item, item if "ticker" in item else entry)


@dataclass(frozen=True)
class _Held:
    """What the blanks of a text may hold."""

    place: Place
    values: tuple[Values, ...]

    def has(self, value: Value, role: Role) -> bool:
        """Whether a number or regime may stand in this role."""
        if not role.blank:
            return value == role.constant
        return any(value in values.get(role.blank, ()) for values in self.values)


def _problems_of(text: str, held: _Held, question: Question) -> Iterator[Problem]:
    """Yields a problem for each sentence that is none of the published ones whose words it has."""
    plain, values = marked(text)
    sentences = BETWEEN_SENTENCES.split(plain)
    start = 0
    for sentence, readings in zip(
        sentences, readings_in(sentences, question.kind, question.language), strict=True
    ):
        said = values[start : start + sentence.count(MARK)]
        start += len(said)
        problems = [_problem(said, reading, held) for reading in readings]
        if problems and all(problems):
            yield from filter(None, problems[:1])


def _problem(said: list[Value], reading: Reading, held: _Held) -> Problem | None:
    """Returns what is wrong with a sentence by one of its readings."""
    for value, role in zip(said, reading.roles, strict=True):
        if not held.has(value, role):
            rule = "argued" if isinstance(value, str) else "grounded"
            return Problem(rule, f"{_shown(value)} {_belongs(role)}")
    for blank, named in reading.named:
        if not may_name(blank, named, held.place):
            return Problem("argued", f"{', '.join(sorted(named))} is not the {blank} of this text")
    return None


def _shown(value: Value) -> str:
    return value if isinstance(value, str) else f"{value:g}"


def _belongs(role: Role) -> str:
    if role.blank:
        return f"is not the {role.blank} that belongs there"
    return f"stands where {_shown(role.constant)} belongs"
