"""Whether a text in our own published words holds what it must: each number, regime and name in the
role that its sentence gives it, in these digits, where a model's may be rounded or derived.

A text in words of its own is judged as a model's is (prose.py); here only whether it is a copy.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from tasks.core.kinds.judging.substance import is_copied
from tasks.core.kinds.texts import free_texts
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


def exact_problems(answer: dict[str, Any], question: Question, asked: str) -> Iterator[Problem]:
    """Yields what stands in an answer's texts where something else must, and that one in words of
    its own copies the question, which is `asked` so.
    """
    facts = question.facts
    everywhere = values_everywhere(answer, facts)
    whole = values_on_the_whole(answer, facts)
    for told in free_texts(answer):
        own = values_of_entry(told.entry, facts) if told.entry else whole
        held = _Held(Place(answer, told.entry, facts), (own, everywhere, values_anywhere()))
        plain, values = marked(told.text)
        sentences = BETWEEN_SENTENCES.split(plain)
        readings = readings_in(sentences, question.kind, question.language)
        for problem in _problems_of(list(zip(sentences, readings, strict=True)), values, held):
            yield Problem(problem.rule, f"{problem.detail}: {told.text[:60]}")
        if not all(readings) and is_copied(told.text, asked):
            yield Problem("argued", f"it is the question's own words: {told.text[:60]}")


@dataclass(frozen=True)
class _Held:
    """What the blanks of a text may hold."""

    place: Place
    values: tuple[Values, Values, Values]  # of the text, of all texts, of any answer

    def has(self, value: Value, role: Role) -> bool:
        """Whether a number or regime may stand in this role."""
        if not role.blank:
            return value == role.constant
        own, everywhere, anywhere = self.values
        blank = role.blank
        return (
            value in own.get(blank, ())
            or value in everywhere.get(blank, ())
            or value in anywhere.get(blank, ())
        )


def _problems_of(
    sentences: list[tuple[str, tuple[Reading, ...]]], values: list[Value], held: _Held
) -> Iterator[Problem]:
    """Yields a problem for each sentence that is wrong in each of its readings. The values are
    those of all sentences, in their order.
    """
    start = 0
    for sentence, readings in sentences:
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
