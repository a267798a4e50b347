"""What is untrue in an answer's texts, in words: the very judgement that grades every reply, and
what only our own sentences are held to.
"""

from collections.abc import Iterator

from tasks.core.kinds.base import Grade
from tasks.core.kinds.judging.judge import TEXT_PARTS, text_faults
from tasks.core.strategy.deciding import Decision
from tasks.core.synthesis.exact import exact_problems
from tasks.core.synthesis.problems import Problem
from tasks.core.synthesis.reading import Reading


def text_problems(grade: Grade, decision: Decision, reading: Reading) -> Iterator[Problem]:
    """Yields what is wrong with the texts of an answer that was graded, if its grade says that
    something is; `decision` is the strategy's.
    """
    if grade.answer is None or all(grade.parts.get(part) for part in TEXT_PARTS):
        return
    for fault in text_faults(grade.answer, decision, reading.facts, reading.language):
        yield Problem(fault.part, fault.detail)


def prose_problems(grade: Grade, reading: Reading, question: str) -> Iterator[Problem]:
    """Yields what is wrong with our own texts beyond that: ours are exact, and no copies."""
    if grade.answer is not None:
        yield from exact_problems(grade.answer, reading, question)
