"""opening_momentum: which opening gaps are worth following, with what weight and what stop.

Question: the market's numbers at the close of the session before, and two to four stocks with their
opening gap, volume ratio, F-Score, US correlation and cap tier.
Right answer: a score of one point for each test that a stock passes, and the signal it makes. From
2 points on the stock is bought, with more weight the higher the score and a stop of half the gap;
but in a bear market nothing is bought.
Mistake: a test misread or miscounted, a weak gap followed, a good one passed over, or a purchase in
a bear market.
Grade: score, signal, action and stop have one right value each; a bought stock may weigh 3 to 8 %.
"""

from dataclasses import dataclass, replace
from random import Random
from typing import Any, Literal

from tasks.core.kinds import grading, spoiling, wording
from tasks.core.kinds.base import Answer, Flaw, Grade, Needs, Scene
from tasks.core.kinds.cards import WITHOUT_LONGS
from tasks.core.kinds.korean import forms
from tasks.core.kinds.lexicon import printed
from tasks.core.kinds.schemas import (
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
from tasks.core.strategy.deciding import Choice, Decision, settled
from tasks.core.strategy.rules import (
    F_SCORE,
    GAP_PCT,
    MODERATE_SCORE,
    OPENING_WEIGHTS,
    STRONG_SCORE,
    VOLUME_RATIO,
    carries_longs,
)
from tasks.core.strategy.stated import stated_regime
from tasks.core.strategy.working import market_working

name = "opening_momentum"
share = 0.06
needs = Needs(
    stocks=(2, 4),
    stock_numbers=("gap_pct", "volume_x", "f_score"),
    stock_words=("us_correlation", "tier"),
    asides=("us_return_pct", "vix"),
)

# What it asks.

_WORDS = words_beside(__file__)


def templates(language: Language) -> tuple[str, ...]:
    """Returns every way to ask in this language."""
    return _WORDS.templates[language]


def ask(scene: Scene, rng: Random) -> str:
    """Asks which of the scene's opening gaps to follow, after yesterday's close."""
    return wording.ask(scene, _WORDS.templates[scene.language], wording.YESTERDAY)


# What the right answer is.

_BOUGHT_WEIGHTS = [weight for weight in OPENING_WEIGHTS.values() if weight]
_WEIGHTS = (min(_BOUGHT_WEIGHTS), max(_BOUGHT_WEIGHTS))
"""The least and the most that an opening gap is followed with, in % of NAV."""


def decide(facts: Facts, regime: str | None = None) -> Decision:
    """Decides on each opening gap by its score, and whether the regime lets it be followed."""
    return _decision(facts, _openings(facts, regime or stated_regime(facts)), regime)


@dataclass(frozen=True)
class _Opening:
    """A stock's opening, the tests that it is taken to pass, and whether gaps are followed."""

    stock: StockFacts
    points: dict[str, bool]
    regime: str
    may_buy: bool
    slip: Literal["", "trade", "stop"] = ""  # what the verdict has otherwise than the working

    @property
    def score(self) -> int:
        return sum(self.points.values())

    @property
    def signal(self) -> str:
        if self.score >= STRONG_SCORE:
            return "STRONG"
        return "MODERATE" if self.score >= MODERATE_SCORE else "WEAK"

    @property
    def followed(self) -> bool:
        return self.may_buy and self.signal != "WEAK"

    @property
    def stop_bp(self) -> int:
        """Half the gap, in hundredths of a %."""
        return round(abs(self.stock.numbers["gap_pct"]) * 50)


def _openings(facts: Facts, regime: str) -> list[_Opening]:
    may_buy = carries_longs(regime)
    return [_Opening(stock, _points(stock), regime, may_buy) for stock in facts.stocks]


def _points(stock: StockFacts) -> dict[str, bool]:
    """Which of the five tests the stock passes, each worth a point."""
    return {
        "gap_pct": stock.numbers["gap_pct"] > GAP_PCT,
        "volume_x": stock.numbers["volume_x"] > VOLUME_RATIO,
        "f_score": stock.numbers["f_score"] >= F_SCORE,
        "us_correlation": stock.words["us_correlation"] == "high",
        "tier": stock.words["tier"] == "mid",
    }


def _decision(facts: Facts, openings: list[_Opening], regime: str | None) -> Decision:
    bought = [OPENING_WEIGHTS[opening.score] for opening in openings if opening.followed]
    total = f"ADD {'+'.join(map(str, bought))}={sum(bought)}" if bought else "no ADD"
    buying = "may buy" if openings[0].may_buy else "buy nothing"
    return {
        "working": [
            market_working(facts, regime),
            f"{openings[0].regime}: {buying}; points: {_TESTS}",
            *[_step(opening) for opening in openings],
            total,
        ],
        "opening_analysis": [_verdict(opening) for opening in openings],
    }


_TESTS = f"gap > {GAP_PCT:g}, vol > {VOLUME_RATIO:g}, F >= {F_SCORE}, US high, mid"


def _step(opening: _Opening) -> str:
    """The points one by one, their sum, and the trade."""
    numbers, words = opening.stock.numbers, opening.stock.words
    measures = (
        f"gap {numbers['gap_pct']:.1f}",
        f"vol {numbers['volume_x']:.1f}",
        f"F {numbers['f_score']:.0f}",
        f"US {words['us_correlation']}",
        words["tier"],
    )
    tests = zip(measures, opening.points.values(), strict=True)
    points = ", ".join(f"{measure} {point:d}" for measure, point in tests)
    return f"{opening.stock.ticker}: {points}: {opening.score} {opening.signal}, {_trade(opening)}"


def _trade(opening: _Opening) -> str:
    if opening.followed:
        gap = abs(opening.stock.numbers["gap_pct"])
        weight = OPENING_WEIGHTS[opening.score]
        return f"ADD {weight}, stop {gap:.1f}/2={opening.stop_bp / 100:.2f}"
    return "SKIP" if opening.signal == "WEAK" else f"{opening.regime} SKIP"


def _verdict(opening: _Opening) -> Decision:
    verdict: Decision = {
        "ticker": opening.stock.ticker,
        "score_points": opening.score,
        "signal": opening.signal,
    }
    is_bought = opening.followed
    if opening.slip == "trade":
        is_bought = not is_bought
    if not is_bought:
        return {**verdict, "action": "SKIP", "weight_pct": 0, "stop_bp": 0}
    weight = Choice(OPENING_WEIGHTS[opening.score] or _WEIGHTS[0], *_WEIGHTS)
    stop_bp = opening.stop_bp * (2 if opening.slip == "stop" else 1)
    return {**verdict, "action": "ADD", "weight_pct": weight, "stop_bp": stop_bp}


_TAUGHT_WEIGHTS = ", ".join(
    f"{score} points {weight}" for score, weight in OPENING_WEIGHTS.items() if weight
)
card = f"""\
one point each: gap > {GAP_PCT:g} %, volume ratio > {VOLUME_RATIO:g}x, F-Score >= {F_SCORE}, \
US correlation high, cap tier mid
signal: {STRONG_SCORE} or more STRONG, {MODERATE_SCORE} MODERATE, else WEAK
STRONG and MODERATE: ADD, weight {_WEIGHTS[0]} to {_WEIGHTS[1]} % of NAV ({_TAUGHT_WEIGHTS}), \
stop_bp = 50 * gap (half the gap); WEAK: SKIP, weight 0, stop 0
{WITHOUT_LONGS}: score all the same, buy nothing: every action SKIP, weight 0, stop 0
the market's numbers are those of the session before
working after the market's line: "MILD_BULL: may buy; points: {_TESTS}"; for each stock \
"108320: gap 2.9 0, vol 5.8 1, F 7 1, US high 1, mid 1: 4 STRONG, ADD 7, stop 2.9/2=1.45" (or \
SKIP, or {WITHOUT_LONGS} SKIP); last "ADD 7+3=10" or "no ADD"\
"""

schema: Schema = closed(
    working=WORKING,
    opening_analysis=listed(
        stock_entry(
            reason=text(300),
            score_points=integer(0, 5),
            signal=one_of("STRONG", "MODERATE", "WEAK"),
            action=one_of("ADD", "SKIP"),
            weight_pct=integer(0, _WEIGHTS[1]),
            stop_bp=integer(0, 1500),
        ),
        8,
        1,
    ),
    recommendation=text(),
)

# How it is argued.


def answer(scene: Scene, rng: Random) -> Answer:
    """Returns the score and the trade of every opening, with a reason for each and a summary."""
    return _with_reasons(scene, _openings(scene.facts, scene.regime), rng)


def _with_reasons(scene: Scene, openings: list[_Opening], rng: Random) -> Answer:
    """The verdicts as an answer, argued in the scene's language."""
    decision = wording.named(settled(_decision(scene.facts, openings, None)), scene.language)
    verdicts = decision["opening_analysis"]
    for opening, verdict in zip(openings, verdicts, strict=True):
        verdict["reason"] = _reason(opening, verdict, scene.language, rng)
    may_buy = openings[0].may_buy
    decision["recommendation"] = _summary(verdicts, may_buy, scene.language, rng)
    return arranged(decision, schema)


def _reason(opening: _Opening, verdict: dict[str, Any], language: Language, rng: Random) -> str:
    """What the stock scored for, why one of these matters, and the trade."""
    stated = _stated(opening.stock, language)
    passed = [test for test, passes in opening.points.items() if passes]
    points = wording.enumerated([stated[test] for test in passed], language)
    failed = [test for test in _NUMBERS if test not in passed]
    missed = wording.enumerated([stated[test] for test in failed], language)
    blanks = {
        "score": opening.score,
        **forms("points", points),
        **forms("missed", missed),
        "weight": verdict["weight_pct"],
        "stop": f"{verdict['stop_bp'] / 100:.2f}",
    }
    sentences = _chosen(verdict, passed, language, rng)
    reason = " ".join(sentence.format(**blanks) for sentence in sentences)
    return reason[0].upper() + reason[1:]


_NUMBERS = ("gap_pct", "volume_x", "f_score")


def _chosen(
    verdict: dict[str, Any], passed: list[str], language: Language, rng: Random
) -> list[str]:
    """The sentences of a reason, with their blanks."""
    texts = _WORDS.texts
    scored = ("no_point", "one_point")[len(passed)] if verdict["signal"] == "WEAK" else "score"
    sentences = [rng.choice(texts[scored][language])]
    if verdict["action"] == "ADD":
        if passed:
            sentences.append(rng.choice(texts[f"why_{rng.choice(passed)}"][language]))
        return [*sentences, rng.choice(texts["add"][language])]
    skipped = "weak" if verdict["signal"] == "WEAK" else "bear"
    return [*sentences, rng.choice(texts[skipped][language])]


def _stated(stock: StockFacts, language: Language) -> dict[str, str]:
    """The stock's tests as texts name them. Korean prose says 3.5배 for the question's 3.5x."""
    stated = {}
    for test, sentences in _TEST_WORDS[language].items():
        value = ""
        if test in stock.numbers:
            value = printed(test, stock.numbers[test], language)
        if language == "ko":
            value = value.replace("x", "배")
        stated[test] = sentences.format(value=value)
    return stated


_TEST_WORDS: dict[Language, dict[str, str]] = {
    "ko": {
        "gap_pct": "갭 {value}",
        "volume_x": "거래량 {value}",
        "f_score": "F-Score {value}",
        "us_correlation": "높은 미국 상관",
        "tier": "중형주",
    },
    "en": {
        "gap_pct": "gap {value}",
        "volume_x": "volume {value}",
        "f_score": "F-Score {value}",
        "us_correlation": "high US correlation",
        "tier": "mid cap",
    },
}


def _summary(verdicts: list[dict[str, Any]], may_buy: bool, language: Language, rng: Random) -> str:
    """Which stocks are bought, and with what weight in all."""
    bought = [verdict for verdict in verdicts if verdict["action"] == "ADD"]
    case = "some"
    if not bought:
        case = "none" if may_buy else "bear"
    elif len(bought) == len(verdicts):
        case = "all"
    stock_names = wording.enumerated([verdict["name"] for verdict in bought], language)
    return rng.choice(_WORDS.texts[f"sum_{case}"][language]).format(
        **forms("names", stock_names),
        total=sum(verdict["weight_pct"] for verdict in bought),
        enough=MODERATE_SCORE,
    )


# How it goes wrong.


def spoil(scene: Scene, right: dict[str, Any], how: Flaw, rng: Random) -> str:
    """Spoils the right answer in one way; a mistaken trader misreads a test, follows a weak gap,
    passes over a good one, or buys in a bear market. His words are those of the scene's own answer.
    """

    def mistake() -> Answer:
        return _with_reasons(scene, _mistaken(scene, rng), Random(scene.seed))

    return spoiling.spoil(spoiling.RightAnswer(scene, right, schema), how, rng, mistake)


def _mistaken(scene: Scene, rng: Random) -> list[_Opening]:
    """The openings as a mistaken trader sees them: a bear market that may be bought, one test
    misread, or one trade or stop that does not follow from the working.
    """
    openings = _openings(scene.facts, scene.regime)
    bought = [replace(opening, may_buy=True) for opening in openings]
    in_bear = any(opening.followed for opening in bought) and not openings[0].may_buy
    if in_bear and rng.random() < 0.6:
        return bought
    index = rng.randrange(len(openings))
    chosen = openings[index]
    slip = rng.choice(("test", "test", "trade", "stop"))
    if slip == "stop" and chosen.followed:
        openings[index] = replace(chosen, slip="stop")
    elif slip == "trade" and chosen.signal == "WEAK" and chosen.may_buy:
        openings[index] = replace(chosen, slip="trade")
    else:
        openings[index] = replace(chosen, points=_one_misread(chosen.points, rng))
    return openings


def _one_misread(points: dict[str, bool], rng: Random) -> dict[str, bool]:
    """The points with one test misread, more often one that is passed: failing it makes no text
    longer, and length must not tell.
    """
    passed = [test for test, passes in points.items() if passes]
    tests = passed if passed and rng.random() < 0.7 else list(points)
    test = rng.choice(tests)
    return {**points, test: not points[test]}


# How it is graded.


def grade(scene: Scene, reply: str) -> Grade:
    """Grades every stock's score, signal and trade against the strategy's decision."""
    return grading.judge(scene, reply, schema, decide(scene.facts))
