"""The judgement of an answer's texts, by the parts of a grade: grounded, argued and language.

Graders and the check of data read by this alone. Nothing here knows a kind by name.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from tasks.core.kinds.judging.claims import Stand, claim_faults, side_faults, sides_of
from tasks.core.kinds.judging.figures import Figures
from tasks.core.kinds.judging.following import lists_in
from tasks.core.kinds.judging.grounds import number_faults, quotes_question
from tasks.core.kinds.judging.sentences import Text, read_text
from tasks.core.kinds.judging.substance import (
    empty_faults,
    is_copied,
    language_faults,
    repeat_faults,
    same_reasons,
    terse_faults,
)
from tasks.core.kinds.texts import PROSE_KEYS, FreeText, free_texts, regimes_in
from tasks.core.records.facts import Facts, Language
from tasks.core.strategy.stated import stated_regime
from tasks.core.strategy.universe import names

TEXT_PARTS = ("grounded", "argued", "language")
"""The parts of a grade that the texts of an answer decide."""


@dataclass(frozen=True)
class Fault:
    """Something wrong with a text, by the part of the grade that it fails."""

    part: str
    detail: str
    of_claim: bool = False  # whether it is about what the text says of the question


def text_faults(
    answer: dict[str, Any],
    right: dict[str, Any],
    facts: Facts,
    language: Language,
    question: str = "",
) -> Iterator[Fault]:
    """Yields what is wrong with the texts of an answer.

    `right` is what training teaches; `question` what was asked, if it is known, for a text that
    copies it.
    """
    figures = Figures(facts, right, answer)
    regimes = frozenset(_regimes(answer, facts))
    for told in free_texts(answer):
        text = read_text(told.text, language)
        for fault in _faults_of(text, _stand(told, regimes, facts), figures, language):
            yield Fault(fault.part, f"{fault.detail}: {told.text[:60]}", fault.of_claim)
        if is_copied(told.text, question):
            yield Fault("argued", f"it is the question's own words: {told.text[:60]}")
    for entries in lists_in(answer):
        reasons = [entry[key] for entry in entries for key in PROSE_KEYS if key in entry]
        if same_reasons(reasons):
            yield Fault("argued", f"one reason for several names: {reasons[0][:60]}")


def _faults_of(text: Text, stand: Stand, figures: Figures, language: Language) -> Iterator[Fault]:
    for detail in language_faults(text, language):
        yield Fault("language", detail)

    def quotes() -> bool:
        return quotes_question(text.sentences, stand.owner, figures)

    empty = empty_faults(text, language, stand.is_reason, quotes)
    for detail in terse_faults(text) if stand.is_terse else empty:
        yield Fault("argued", detail)
    for detail in repeat_faults(text.sentences):
        yield Fault("argued", detail)
    for detail in side_faults(text.sentences, stand):
        yield Fault("argued", detail)
    for sentence in text.sentences:
        for detail in number_faults(sentence, stand.owner, figures):
            yield Fault("grounded", detail)
        for detail in claim_faults(sentence, stand, figures):
            yield Fault("argued", detail, of_claim=True)
        for ticker in sentence.tickers:
            if not _is_known(ticker, figures):
                yield Fault("grounded", f"{names(ticker)[0]} is not in the question")


def texts_of(answer: dict[str, Any]) -> Iterator[str]:
    """Yields the texts of an answer that are written freely."""
    for told in free_texts(answer):
        yield told.text


def _is_known(ticker: str, figures: Figures) -> bool:
    """Whether the question offers or quotes a stock or fund, or the right answer has it."""
    if ticker in figures.of_stocks or ticker in str(figures.right):
        return True
    notes = figures.facts.words.get("notes", "")
    return any(name in notes for name in (ticker, *names(ticker)))


def _stand(told: FreeText, regimes: frozenset[str], facts: Facts) -> Stand:
    owner = told.holder.get("ticker") if told.listed else None
    words = [stock.words for stock in facts.stocks if stock.ticker == owner]
    return Stand(
        owner=owner,
        sides=sides_of(told.holder, told.path[-1] if told.path else "", _UNDECIDED),
        regimes=regimes,
        is_reason=told.key in _REASONS,
        is_terse=told.key in _TERSE,
        words=words[0] if words else {},
    )


def _regimes(answer: dict[str, Any], facts: Facts) -> Iterator[str]:
    given = list(regimes_in(answer))
    yield from given or [stated_regime(facts)]
    if "previous_regime" in facts.words:
        yield facts.words["previous_regime"]


_UNDECIDED = frozenset((*PROSE_KEYS, "ticker", "name", "side"))
_REASONS = ("reasoning", "reason", "market_context", "analysis", "rationale")
_TERSE = ("rationale",)
