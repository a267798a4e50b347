"""stop_loss_management: what to do with each position, given its profit or loss and the regime.

Question: the market's numbers, and three to five positions with their profit or loss.
Right answer: stop out a loss of 8 % or more, take a profit of 15 % or more, reduce a position that
lost 3 % or more in a weak regime, and hold the rest.
Mistake: the action of another rule for one position.
Grade: every position has one right action.
"""

from random import Random
from typing import Any

from tasks.core.kinds import grading, spoiling, wording
from tasks.core.kinds.base import Flaw, Grade, Needs, Scene
from tasks.core.kinds.phrases import crossed
from tasks.core.kinds.schemas import (
    REGIME,
    WORKING,
    Schema,
    arranged,
    closed,
    listed,
    one_of,
    stock_entry,
    text,
)
from tasks.core.kinds.words import words_beside
from tasks.core.records.facts import Facts, Language
from tasks.core.strategy import rules
from tasks.core.strategy.deciding import Decision, settled
from tasks.core.strategy.rules import REDUCE_PCT, STOP_LOSS_PCT, TAKE_PROFIT_PCT
from tasks.core.strategy.stated import stated_regime
from tasks.core.strategy.working import market_working

name = "stop_loss_management"
share = 0.06
needs = Needs(stocks=(3, 5), stock_numbers=("pnl_pct",), asides=("nav_100m_krw",))

# What it asks.

_WORDS = words_beside(__file__)


def templates(language: Language) -> tuple[str, ...]:
    """Returns every way to ask in this language."""
    return _WORDS.templates[language]


def ask(scene: Scene, rng: Random) -> str:
    """Asks what to do with each of the scene's positions."""
    return wording.ask(scene, _WORDS.templates[scene.language])


# What the right answer is.


def decide(facts: Facts, regime: str | None = None) -> Decision:
    """Decides what happens to each position by its profit or loss."""
    regime = regime or stated_regime(facts)
    review = []
    for position in facts.stocks:
        action = rules.stop_action(position.numbers["pnl_pct"], regime)
        review.append({"ticker": position.ticker, "action": action})
    return {"working": [market_working(facts, regime)], "position_review": review, "regime": regime}


card = ""

# How it is argued.

_ACTIONS = ("STOP_LOSS", "TAKE_PROFIT", "REDUCE", "HOLD")
schema: Schema = closed(
    working=WORKING,
    position_review=listed(stock_entry(action=one_of(*_ACTIONS), reason=text(160)), 10, 1),
    regime=REGIME,
)

_LOSSES_KO = ("손익 {pnl}%로", "현재 손익 {pnl}%로", "손익이 {pnl}%라서", "{pnl}%까지 밀려")
_RESULTS_EN = (
    "At {pnl}% it",
    "With {pnl}% it",
    "Its {pnl}%",
    "The {pnl}% result",
    "Now {pnl}%, it",
)
_REASONS = {
    "ko": {
        "STOP_LOSS": crossed(
            _LOSSES_KO,
            (
                "손절 기준인 {stop:g}%에 걸린다.",
                "{stop:g}% 손절 규칙을 따른다.",
                "손절선 {stop:g}% 이하이므로 정리한다.",
                "{stop:g}% 손절선을 지키지 못해 판다.",
            ),
        ),
        "TAKE_PROFIT": crossed(
            ("손익 {pnl}%로", "수익률 {pnl}%로", "손익이 {pnl}%라서", "{pnl}%까지 올라"),
            (
                "익절 기준 {take:g}% 이상이다.",
                "목표 {take:g}%를 채웠다.",
                "{take:g}% 익절 규칙에 따라 차익을 실현한다.",
                "이익을 확정할 {take:g}%선에 닿았다.",
            ),
        ),
        "REDUCE": crossed(
            _LOSSES_KO,
            (
                "축소 기준 {reduce:g}% 이하이고 국면이 약해 비중을 줄인다.",
                "약한 국면의 축소선 {reduce:g}%에 걸려 덜어 낸다.",
                "손절선 {stop:g}%까지는 아니지만 약한 국면이라 줄인다.",
            ),
        ),
        "HOLD": crossed(
            (
                "손익 {pnl}%로",
                "손익이 {pnl}%여서",
                "{pnl}% 손익은",
                "현재 손익 {pnl}%는",
                "손익 {pnl}% 수준은",
            ),
            (
                "조치 기준에 닿지 않는다.",
                "손절과 익절 어느 선에도 걸리지 않는다.",
                "규칙이 정한 범위 안에 있다.",
                "그대로 두어도 되는 구간이다.",
                "아직 손댈 단계가 아니다.",
            ),
        ),
    },
    "en": {
        "STOP_LOSS": crossed(
            _RESULTS_EN,
            (
                "is at or below the {stop:g}% stop.",
                "hits the {stop:g}% stop.",
                "falls under the {stop:g}% stop rule.",
                "trips the {stop:g}% stop: sell.",
            ),
        ),
        "TAKE_PROFIT": crossed(
            _RESULTS_EN,
            (
                "is at or above the {take:g}% target.",
                "meets the {take:g}% target.",
                "clears {take:g}%, so the gain is realized.",
                "triggers the {take:g}% profit rule.",
            ),
        ),
        "REDUCE": crossed(
            _RESULTS_EN,
            (
                "is at or below {reduce:g}% in a weak regime and is cut back.",
                "does not trip the {stop:g}% stop, but in a weak regime part of it goes.",
                "crosses the {reduce:g}% line that counts in a weak regime.",
            ),
        ),
        "HOLD": crossed(
            (
                "At {pnl}% it",
                "With {pnl}% it",
                "Its {pnl}%",
                "Today's {pnl}%",
                "Now {pnl}%, it",
                "The {pnl}% result",
            ),
            (
                "touches no limit.",
                "hits neither stop nor target.",
                "stays inside what the rules allow.",
                "calls for no trade.",
                "gives no reason to act.",
            ),
        ),
    },
}


def answer(scene: Scene, rng: Random) -> dict[str, Any]:
    """Returns an action for every position, with its reason."""
    return _with_reasons(scene, decide(scene.facts), rng)


def _with_reasons(scene: Scene, decision: Decision, rng: Random) -> dict[str, Any]:
    """The decision as an answer, argued in the scene's language."""
    decision = wording.named(settled(decision), scene.language)
    for entry, position in zip(decision["position_review"], scene.facts.stocks, strict=True):
        entry["reason"] = rng.choice(_REASONS[scene.language][entry["action"]]).format(
            pnl=f"{position.numbers['pnl_pct']:.1f}",
            stop=STOP_LOSS_PCT,
            reduce=REDUCE_PCT,
            take=TAKE_PROFIT_PCT,
        )
    return arranged(decision, schema)


def spoil(scene: Scene, right: dict[str, Any], how: Flaw, rng: Random) -> str:
    """Spoils the right answer in one way; a mistaken trader overlooks a limit of one position, or
    sees one that is not reached.
    """

    def mistake() -> dict[str, Any]:
        decision = decide(scene.facts)
        entry = rng.choice(decision["position_review"])
        entry["action"] = rng.choice([action for action in _ACTIONS if action != entry["action"]])
        return _with_reasons(scene, decision, rng)

    return spoiling.spoil(spoiling.RightAnswer(scene, right, schema), how, rng, mistake)


def grade(scene: Scene, reply: str) -> Grade:
    """Grades the action of every position and the regime against the strategy's decision."""
    return grading.judge(scene, reply, schema, decide(scene.facts))
