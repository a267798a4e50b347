"""opening_momentum: which opening gaps are worth following, with what weight and what stop.

Question: the market's numbers, and two to four stocks with their opening gap, volume ratio,
F-Score, US correlation and cap tier.
Right answer: a score of one point for each test that a stock passes, and the signal it makes. From
2 points on the stock is bought, with more weight the higher the score and a stop of half the gap.
Mistake: a weak gap followed, or a good one passed over.
Grade: score, signal, action and stop have one right value each; a bought stock may weigh 3 to 8 %.
"""

from random import Random
from typing import Any

from tasks.core.kinds import grading, spoiling, wording
from tasks.core.kinds.base import Flaw, Grade, Needs, Scene
from tasks.core.kinds.korean import with_particle
from tasks.core.kinds.lexicon import printed
from tasks.core.kinds.phrases import crossed
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
from tasks.core.strategy import rules
from tasks.core.strategy.deciding import Choice, Decision, settled
from tasks.core.strategy.rules import (
    F_SCORE,
    GAP_PCT,
    OPENING_WEIGHTS,
    VOLUME_RATIO,
    opening_signal,
)
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
    """Asks which of the scene's opening gaps to follow, and how."""
    return wording.ask(scene, _WORDS.templates[scene.language])


# What the right answer is.


def decide(facts: Facts, regime: str | None = None) -> Decision:
    """Decides on each opening gap by its score; the regime plays no part."""
    return {
        "working": [market_working(facts, regime)],
        "opening_analysis": [_opening(stock) for stock in facts.stocks],
    }


def _opening(stock: StockFacts) -> Decision:
    gap = stock.numbers["gap_pct"]
    score = rules.opening_score(
        gap_pct=gap,
        volume_ratio=stock.numbers["volume_x"],
        f_score=stock.numbers["f_score"],
        us_correlation=stock.words["us_correlation"],
        tier=stock.words["tier"],
    )
    decision: Decision = {
        "ticker": stock.ticker,
        "score_points": score,
        "signal": rules.opening_signal(score),
    }
    if score < rules.MODERATE_SCORE:
        return {**decision, "action": "SKIP", "weight_pct": 0, "stop_bp": 0}
    weight = Choice(rules.OPENING_WEIGHTS[score], 3, 8)
    stop_bp = round(abs(gap) * 50)  # half the gap
    return {**decision, "action": "ADD", "weight_pct": weight, "stop_bp": stop_bp}


card = ""

# How it is argued. A blank such as {points_da} is the word with the
# Korean particle that its sound takes.

schema: Schema = closed(
    working=WORKING,
    opening_analysis=listed(
        stock_entry(
            score_points=integer(0, 5),
            signal=one_of("STRONG", "MODERATE", "WEAK"),
            action=one_of("ADD", "SKIP"),
            weight_pct=integer(0, 8),
            stop_bp=integer(0, 1500),
            reason=text(200),
        ),
        8,
        1,
    ),
    recommendation=text(),
)

_POINTS = {
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
_SCORES = {
    "ko": {
        "some": crossed(
            (
                "{score}점이다.",
                "점수는 {score}점이다.",
                "신호는 {score}점이다.",
                "{score}점을 준다.",
                "{score}점으로 매긴다.",
                "평가는 {score}점이다.",
                "{score}점짜리 갭이다.",
                "합계는 {score}점이다.",
                "신호 강도는 {score}점이다.",
                "{score}점을 받는다.",
                "판정은 {score}점이다.",
            ),
            (
                "{points} 조건을 채웠다.",
                "근거는 {points_da}.",
                "기준을 넘은 것은 {points_da}.",
                "해당 항목은 {points_da}.",
                "충족한 조건은 {points_da}.",
                "점수를 준 항목은 {points_da}.",
            ),
        ),
        "none": (
            "모두 기준에 못 미친다. 갭 {gap}, 거래량 {volume}, F-Score {f}로 0점이다.",
            "점수가 없다. 갭 {gap}에 거래량 {volume}뿐이다.",
            "0점이다. 갭 {gap}, 거래량 {volume}, F-Score {f} 어느 것도 기준을 넘지 못했다.",
            "기준을 넘은 항목이 없다. 갭은 {gap}, 거래량은 {volume}다.",
        ),
    },
    "en": {
        "some": crossed(
            (
                "Scores {score}.",
                "Gets {score}.",
                "Rated {score}.",
                "Earns {score}.",
                "Worth {score}.",
                "Total {score}.",
                "Signal {score}.",
                "Makes {score}.",
                "Marked {score}.",
                "Score {score}.",
                "Reaches {score}.",
            ),
            (
                "It comes from {points}.",
                "Counted: {points}.",
                "What counts is {points}.",
                "In its favour: {points}.",
                "The ground: {points}.",
                "Conditions met: {points}.",
                "Credited: {points}.",
                "Passed: {points}.",
            ),
        ),
        "none": (
            "Gap {gap}, volume {volume} and F-Score {f} all miss their marks: 0 points.",
            "No point scored with a gap of {gap} on volume of {volume}.",
            "Nothing counts here, with gap {gap}, volume {volume} and F-Score {f}.",
            "A score of 0: gap {gap}, volume {volume}, F-Score {f}.",
        ),
    },
}
_TRADES = {
    "ko": {
        "ADD": (
            "비중 {weight}%에 손절은 갭의 절반인 {stop}%다.",
            "{weight}% 담고 {stop}% 밀리면 나온다.",
            "{weight}%를 사고 손절 폭은 {stop}%로 둔다.",
        ),
        "SKIP": ("따라 사지 않는다.", "진입하지 않는다.", "이 갭은 넘긴다."),
    },
    "en": {
        "ADD": (
            "Weight {weight}%, stop at {stop}%, half the gap.",
            "Buy {weight}% and leave if it loses {stop}%.",
            "It gets {weight}% with a stop of {stop}%.",
        ),
        "SKIP": ("Not followed.", "We pass.", "No trade."),
    },
}
_SUMMARIES = {
    "ko": {
        "some": (
            "{names_eul} 합계 {total}% 담고 나머지는 넘긴다.",
            "진입은 {names}, 비중 합계 {total}%다.",
            "합계 {total}%로 {names}에 들어간다.",
        ),
        "all": (
            "모두 신호가 살아 있어 합계 {total}% 담는다.",
            "전 종목이 2점 이상이라 {total}%를 나눠 산다.",
        ),
        "none": ("2점을 넘긴 종목이 없어 모두 넘긴다.", "신호가 2점에 못 미쳐 오늘은 쉬어 간다."),
    },
    "en": {
        "some": (
            "Buy {names}, {total}% in all, and pass on the rest.",
            "Entries: {names}, together {total}%.",
            "A total of {total}% goes into {names}.",
        ),
        "all": (
            "Every signal holds, so {total}% in all is bought.",
            "All score 2 or more and share {total}%.",
        ),
        "none": (
            "None reaches 2 points, so we pass on all.",
            "No signal scores 2 today; stay out.",
        ),
    },
}


def answer(scene: Scene, rng: Random) -> dict[str, Any]:
    """Returns the score and the trade of every opening, with a reason for each and a summary."""
    return _with_reasons(scene, decide(scene.facts), rng)


def _with_reasons(scene: Scene, decision: Decision, rng: Random) -> dict[str, Any]:
    """The decision as an answer, argued in the scene's language."""
    decision = wording.named(settled(decision), scene.language)
    openings = decision["opening_analysis"]
    for opening, stock in zip(openings, scene.facts.stocks, strict=True):
        opening["reason"] = _reason(stock, opening, scene.language, rng)
    decision["recommendation"] = _summary(openings, scene.language, rng)
    return arranged(decision, schema)


def _reason(stock: StockFacts, opening: dict[str, Any], language: Language, rng: Random) -> str:
    """What the stock scored for, or that it scored nothing, and the trade."""
    stated = _stated_numbers(stock, language)
    points = _points(stock, stated, language)
    listed_points = ", ".join(points)
    score = rng.choice(_SCORES[language]["some" if points else "none"]).format(
        score=opening["score_points"],
        points=listed_points,
        points_da=with_particle(listed_points, "이다/다"),
        gap=stated["gap_pct"],
        volume=stated["volume_x"],
        f=stated["f_score"],
    )
    trade = rng.choice(_TRADES[language][opening["action"]]).format(
        weight=opening["weight_pct"], stop=f"{opening['stop_bp'] / 100:.2f}"
    )
    return f"{score} {trade}"


def _stated_numbers(stock: StockFacts, language: Language) -> dict[str, str]:
    """The stock's opening as texts print it. Korean prose says 3.5배 for the question's 3.5x."""
    stated = {}
    for number in ("gap_pct", "volume_x", "f_score"):
        stated[number] = printed(number, stock.numbers[number], language)
    if language == "ko":
        stated["volume_x"] = stated["volume_x"].replace("x", "배")
    return stated


def _points(stock: StockFacts, stated: dict[str, str], language: Language) -> list[str]:
    """What the stock scores a point for, in words."""
    phrases = _POINTS[language]
    points = []
    if stock.numbers["gap_pct"] > GAP_PCT:
        points.append(phrases["gap_pct"].format(value=stated["gap_pct"]))
    if stock.numbers["volume_x"] > VOLUME_RATIO:
        points.append(phrases["volume_x"].format(value=stated["volume_x"]))
    if stock.numbers["f_score"] >= F_SCORE:
        points.append(phrases["f_score"].format(value=stated["f_score"]))
    if stock.words["us_correlation"] == "high":
        points.append(phrases["us_correlation"])
    if stock.words["tier"] == "mid":
        points.append(phrases["tier"])
    return points


def _summary(openings: list[dict[str, Any]], language: Language, rng: Random) -> str:
    """Which stocks are bought, and with what weight in all."""
    bought = [opening for opening in openings if opening["action"] == "ADD"]
    if not bought:
        return rng.choice(_SUMMARIES[language]["none"])
    how_many = "all" if len(bought) == len(openings) else "some"
    stock_names = ", ".join(opening["name"] for opening in bought)
    return rng.choice(_SUMMARIES[language][how_many]).format(
        names=stock_names,
        names_eul=with_particle(stock_names, "을/를"),
        total=sum(opening["weight_pct"] for opening in bought),
    )


def spoil(scene: Scene, right: dict[str, Any], how: Flaw, rng: Random) -> str:
    """Spoils the right answer in one way; a mistaken trader follows a weak gap, or passes over a
    good one.
    """

    def mistake() -> dict[str, Any]:
        decision = decide(scene.facts)
        index = rng.randrange(len(decision["opening_analysis"]))
        opening = decision["opening_analysis"][index]
        if opening["action"] == "ADD":
            opening |= {"signal": "WEAK", "action": "SKIP", "weight_pct": 0, "stop_bp": 0}
        else:
            pretended_score = rng.choice((2, 3))
            gap_pct = scene.facts.stocks[index].numbers["gap_pct"]
            opening["signal"] = opening_signal(pretended_score)
            opening["action"] = "ADD"
            opening["weight_pct"] = OPENING_WEIGHTS[pretended_score]
            opening["stop_bp"] = round(abs(gap_pct) * 50)
        return _with_reasons(scene, decision, rng)

    return spoiling.spoil(spoiling.RightAnswer(scene, right, schema), how, rng, mistake)


def grade(scene: Scene, reply: str) -> Grade:
    """Grades every stock's score, signal and trade against the strategy's decision."""
    return grading.judge(scene, reply, schema, decide(scene.facts))
