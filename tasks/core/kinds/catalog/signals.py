"""signals: what a live system made of a market, stock by stock, learnt from its reasoning logs.

Question: what the log was told: the market's numbers or its regime, and notes, quoted; and
the stocks and funds that it scored.
Right answer: the rule's regime, worked out; the log's own reasoning as the analysis; the question's
inputs as the factors considered; for each stock the log's score with its rationale; the log's
confidence.
Mistake: another regime, by a wrong line of the working or in spite of a right one.
Grade: every stock of the question has a score and no other stock has one. Which scores, and which
confidence, a question leaves open; a rationale must not speak against its score. Beside the grade:
ROUGE-L of the analysis against the log's own.
"""

from collections.abc import Iterator
from dataclasses import replace
from random import Random
from typing import Any

from tasks.core.kinds import grading, spoiling, wording
from tasks.core.kinds.base import Answer, Flaw, Grade, Layout, Needs, Scene
from tasks.core.kinds.cards import working_card
from tasks.core.kinds.judging.judge import text_faults
from tasks.core.kinds.lexicon import CONTEXT, MARKET
from tasks.core.kinds.replies import parse
from tasks.core.kinds.schemas import (
    CONFIDENCE,
    REGIME,
    WORKING,
    Schema,
    arranged,
    closed,
    integer,
    listed,
    one_of,
    stock_entry,
    text,
)
from tasks.core.kinds.words import words_beside
from tasks.core.records.facts import Facts, Language, StockFacts
from tasks.core.records.logs import Log
from tasks.core.rouge import rouge_l
from tasks.core.strategy.deciding import Decision, Open, settled
from tasks.core.strategy.stated import missing_numbers, stated_regime
from tasks.core.strategy.working import market_working

MOST_SIGNALS = 20
name = "signals"
share = 0.0
needs = Needs(stocks=(1, MOST_SIGNALS), partial_share=1.0, given=True)

# What it asks.

_WORDS = words_beside(__file__)
_LAYOUTS: tuple[Layout, ...] = ("bullets", "sentence", "compact", "table")


def templates(language: Language) -> tuple[str, ...]:
    """Returns every way to ask in this language."""
    return _WORDS.templates[language]


def scene_of(log: Log, template: int, seed: int) -> Scene:
    """Returns what the question of a log is about. It names no day: the log's numbers are those of
    its hour, which no table of days holds.
    """
    stocks = tuple(StockFacts(signal.ticker) for signal in log.signals)
    facts = Facts(log.numbers, stocks, log.words)
    layout = _LAYOUTS[seed % len(_LAYOUTS)]
    if missing_numbers(facts):
        layout = "sentence"
    scores = {
        signal.ticker: {"rationale": signal.rationale, "score_pct": round(100 * signal.score)}
        for signal in log.signals
    }
    given = {
        "analysis": log.reasoning,
        "signals": scores,
        "confidence_pct": round(100 * log.confidence),
    }
    return Scene(name, log.language, template, layout, None, facts, seed=seed, given=given)


def ask(scene: Scene, rng: Random) -> str:
    """Asks for a score of each of the scene's stocks; the notes stand below, each line quoted."""
    question = wording.ask(scene, _WORDS.templates[scene.language])
    notes = scene.facts.words.get("notes")
    if not notes:
        return question
    asked, _, kind_line = question.rpartition("\n")
    quoted = "\n".join(f"> {line}" for line in notes.splitlines())
    return f"{asked}\n{quoted}\n{kind_line}"


# What the right answer is.


def decide(facts: Facts, regime: str | None = None) -> Decision:
    """Decides the regime, and which stocks are scored by which factors; the scores and the
    confidence are open.
    """
    regime = regime or stated_regime(facts)
    scores = [{"ticker": stock.ticker, "score_pct": Open(-100, 100)} for stock in facts.stocks]
    return {
        "working": [market_working(facts, regime)],
        "factors_considered": [factor for factor in _FACTORS if _is_stated(factor, facts)],
        "signals": scores,
        "confidence_pct": Open(0, 100),
        "regime_assessment": regime,
    }


_FACTORS = (*MARKET, *CONTEXT, "previous_regime", "current_regime", "notes")
"""What a question may hold, in the order in which it does."""


def _is_stated(factor: str, facts: Facts) -> bool:
    return factor in facts.numbers or factor in facts.words


card = f"""\
regime_assessment: the system message's rule; a regime that is given is taken. Numbers that are \
missing are as usual on such a day:
{market_working(Facts({"return_pct": -2.3}))}
{market_working(Facts({}, words={"current_regime": "BEAR"}))}
{working_card(decide)}
factors_considered: the question's inputs, in its order, of {", ".join(_FACTORS)}; notes stand \
behind >.
signals: each listed stock, no other: rationale, then score_pct from -100 (sell) to 100 (buy), \
whose sign the rationale does not deny.
analysis: why, in the question's language; each number stands in the question or the rules."""

# How it is argued: the analysis and the rationales are the log's own.

_LONGEST = 2_000  # characters of an analysis: a page
_RATIONALE: Schema = {**text(), "minLength": 4}  # "실적 개선" says something
schema: Schema = closed(
    working=WORKING,
    market_context=text(500),
    analysis=text(_LONGEST),
    factors_considered=listed(one_of(*_FACTORS), len(_FACTORS)),
    signals=listed(
        stock_entry(rationale=_RATIONALE, score_pct=integer(-100, 100)), MOST_SIGNALS, 1
    ),
    confidence_pct=CONFIDENCE,
    regime_assessment=REGIME,
)


def answer(scene: Scene, rng: Random, regime: str | None = None) -> Answer:
    """Returns the log's scores and reasoning, below the rule's regime or a mistaken reader's."""
    decision = settled(decide(scene.facts, regime))
    given = scene.given
    assert given is not None, "the scene is no log's"
    for entry in decision["signals"]:
        entry |= given["signals"][entry["ticker"]]
    told = {
        **wording.named(decision, scene.language),
        "market_context": _market_context(scene, rng, regime),
        "analysis": given["analysis"],
        "confidence_pct": given["confidence_pct"],
    }
    return arranged(told, schema)


def _market_context(scene: Scene, rng: Random, regime: str | None) -> str:
    if "current_regime" in scene.facts.words:  # no exposure is asked for
        return wording.ground(scene, rng, claimed=regime)
    return wording.argue(scene, rng, claimed=regime)


def spoil(scene: Scene, right: Answer, how: Flaw, rng: Random) -> str:
    """Spoils the right answer in one way; a mistaken analyst takes the market for another regime,
    by a wrong line of the working or in spite of a right one.
    """

    def mistake() -> Answer:
        claimed = spoiling.other_regime(right["regime_assessment"], rng)
        wrong = answer(scene, rng, claimed)
        if rng.random() < 0.5:
            wrong["working"] = right["working"]
        return wrong

    return spoiling.spoil(spoiling.RightAnswer(scene, right, schema), how, rng, mistake)


# How it is judged.


def grade(scene: Scene, reply: str) -> Grade:
    """Grades the regime, the factors and the stocks against the question, each rationale against
    its score too.
    """
    right = decide(scene.facts)
    judged = grading.judge(scene, reply, schema, right)
    denial = next(_denials(scene, judged.answer, right), None) if judged.answer else None
    if not denial or not judged.parts["argued"]:
        return judged
    parts = {**judged.parts, "argued": False}
    judged = grading.graded(parts, parts, judged.answer)
    return replace(judged, reason=f"{judged.reason} ({denial})")


def _denials(scene: Scene, told: Answer, right: Decision) -> Iterator[str]:
    """Yields each rationale that speaks of gains below a negative score, or of losses below a
    positive one.
    """
    sided = [{**entry, "impact": _side(entry["score_pct"])} for entry in told["signals"]]
    for fault in text_faults({"signals": sided}, settled(right), scene.facts, scene.language):
        if fault.part == "argued":
            yield fault.detail


def _side(score: int) -> str:
    if score == 0:
        return "none"
    return "POSITIVE" if score > 0 else "NEGATIVE"


BOUNDED = "signals: every score is from -100 to 100"
ROUGE = "signals: ROUGE-L F1 of the analysis against the log's (Hangul by syllable)"


def beside(scene: Scene, reply: str) -> dict[str, float]:
    """Returns whether the scores are in their bounds, and how much of the log's own reasoning the
    analysis has; both of any reply, whatever its grade.
    """
    try:
        told = parse(reply)
    except ValueError:
        told = None
    told = told if isinstance(told, dict) else {}
    assert scene.given is not None, "the scene is no log's"
    own, analysis = scene.given["analysis"], told.get("analysis")
    rouge = rouge_l(own, analysis) if isinstance(analysis, str) else 0.0
    return {BOUNDED: float(_is_bounded(told.get("signals"))), ROUGE: rouge}


def _is_bounded(signals: Any) -> bool:
    """Whether there are signals, each with a score in its bounds."""
    if not isinstance(signals, list) or not signals:
        return False
    scores = [signal.get("score_pct") for signal in signals if isinstance(signal, dict)]
    inside = [type(score) is int and -100 <= score <= 100 for score in scores]
    return len(inside) == len(signals) and all(inside)
