"""What is untrue in an answer's texts, in words: the very judgement that grades every reply."""

from collections.abc import Iterator

from tasks.core.kinds.base import Grade
from tasks.core.kinds.judging.judge import TEXT_PARTS, text_faults
from tasks.core.strategy.deciding import Decision
from tasks.core.synthesis.problems import Problem
from tasks.core.synthesis.reading import Reading


def prose_problems(
    grade: Grade, decision: Decision, reading: Reading, question: str
) -> Iterator[Problem]:
    """Yields what is wrong with the texts of an answer that was graded; `decision` is the
    strategy's.
    """
    if grade.told is None or all(grade.parts.get(part) for part in TEXT_PARTS):
        return

    def asked() -> str:
        return question

    for fault in text_faults(grade.told, decision, reading.facts, reading.language, asked):
        yield Problem(fault.part, fault.detail)
