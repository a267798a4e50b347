"""What is untrue in an answer's texts, in words: the very judgement that grades every reply."""

import re
from collections.abc import Iterator

from tasks.core.kinds.base import Grade
from tasks.core.kinds.judging.judge import TEXT_PARTS, text_faults, texts_of
from tasks.core.kinds.judging.substance import is_copied
from tasks.core.kinds.lexicon import MARKET
from tasks.core.kinds.texts import regimes_in, sentences_in
from tasks.core.records.facts import Language
from tasks.core.strategy.borders import Turn, nearest_turn
from tasks.core.strategy.deciding import Decision
from tasks.core.strategy.rules import REGIMES
from tasks.core.strategy.stated import known_numbers, missing_numbers, stated_regime
from tasks.core.synthesis.exact import inexact_numbers
from tasks.core.synthesis.problems import Problem
from tasks.core.synthesis.reading import Reading


def text_problems(grade: Grade, decision: Decision, reading: Reading) -> Iterator[Problem]:
    """Yields what is wrong with the texts of an answer that was graded, if its grade says that
    something is; `decision` is the strategy's.
    """
    if grade.told is None or all(grade.parts.get(part) for part in TEXT_PARTS):
        return
    for fault in text_faults(grade.told, decision, reading.facts, reading.language):
        yield Problem(fault.part, fault.detail)


def prose_problems(
    grade: Grade, decision: Decision, reading: Reading, question: str
) -> Iterator[Problem]:
    """Yields what is wrong with our own texts beyond that: ours are exact, and no copies."""
    if grade.told is None:
        return
    for number, text in inexact_numbers(grade.told, reading.facts):
        yield Problem("grounded", f"{number} stands nowhere in these digits: {text[:60]}")
    known = _regimes(decision, reading)
    turn = _turn(reading)
    for text in texts_of(grade.told):
        if is_copied(text, question):
            yield Problem("argued", f"it is the question's own words: {text[:60]}")
        strange = set(_REGIMES.findall(text)) - known
        for sentence in sentences_in(text):
            if turn and _is_about(turn, sentence, reading.language):
                strange |= set(_REGIMES.findall(sentence)) - {turn.regime}
            elif turn and _leads_beyond(turn, sentence, decision, reading.language):
                yield Problem("argued", f"{turn.regime} begins at {turn.limit:g}%: {sentence[:60]}")
        if strange:
            yield Problem("argued", f"{min(strange)} is not what the numbers say: {text[:60]}")


_REGIMES = re.compile("|".join(REGIMES))


def _regimes(decision: Decision, reading: Reading) -> set[str]:
    """Returns the regimes that our own texts may name: the decision's, the question's, and the one
    beyond the nearest limit.
    """
    facts = reading.facts
    words = {facts.words[name] for name in _GIVEN if name in facts.words}
    known = {*regimes_in(decision), stated_regime(facts), *words}
    turn = _turn(reading)
    if turn:
        known.add(turn.regime)
    return known


def _turn(reading: Reading) -> Turn | None:
    """Returns the nearest limit that would change the regime, if all numbers are known."""
    if missing_numbers(reading.facts):
        return None
    return nearest_turn(known_numbers(reading.facts))


def _leads_beyond(turn: Turn, sentence: str, decision: Decision, language: Language) -> bool:
    """Whether a sentence names the number that would change the regime, and the regime beyond,
    which the decision does not give.
    """
    if turn.regime in regimes_in(decision) or turn.regime not in sentence:
        return False
    return MARKET[turn.name].of(language) in sentence


def _is_about(turn: Turn, sentence: str, language: Language) -> bool:
    """Whether a sentence speaks of the limit at which the regime turns."""
    limit = rf"(?<![\d.-]){re.escape(f'{turn.limit:g}%')}"
    return MARKET[turn.name].of(language) in sentence and bool(re.search(limit, sentence))


_GIVEN = ("previous_regime", "current_regime")
