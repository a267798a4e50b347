"""intraday_rebalancing: bring a book's weights back inside the stop, the limit per stock and the
regime's band.

Question: the market's numbers, three to six positions with weight and profit or loss, and in some
questions a limit per stock, which is 18 % otherwise.
Right answer: a stopped position goes, none stays above the limit, and what is left is scaled down
if its sum is above the regime's long gross.
Mistake: the book of another regime.
Grade: every position has one right action and target weight.
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
    integer,
    listed,
    one_of,
    stock_entry,
    text,
)
from tasks.core.kinds.words import words_beside
from tasks.core.records.facts import Facts, Language, StockFacts
from tasks.core.strategy import rules
from tasks.core.strategy.deciding import Decision, settled
from tasks.core.strategy.rules import EXPOSURES, MAX_LONG_WEIGHT_PCT, STOP_LOSS_PCT
from tasks.core.strategy.stated import stated_regime
from tasks.core.strategy.working import market_working

name = "intraday_rebalancing"
share = 0.06
needs = Needs(
    stocks=(3, 6),
    stock_numbers=("weight_pct", "pnl_pct"),
    asides=("max_weight_pct", "nav_100m_krw"),
)

# What it asks.

_WORDS = words_beside(__file__)


def templates(language: Language) -> tuple[str, ...]:
    """Returns every way to ask in this language."""
    return _WORDS.templates[language]


def ask(scene: Scene, rng: Random) -> str:
    """Asks for a target weight of each of the scene's positions."""
    return wording.ask(scene, _WORDS.templates[scene.language])


# What the right answer is.


def decide(facts: Facts, regime: str | None = None) -> Decision:
    """Decides the target weight of each position, and whether the book as a whole is in its band.

    A limit per stock that the question states stands in place of the strategy's own.
    """
    regime = regime or stated_regime(facts)
    weights = [int(position.numbers["weight_pct"]) for position in facts.stocks]
    pnls = [position.numbers["pnl_pct"] for position in facts.stocks]
    limit = int(facts.numbers.get("max_weight_pct", rules.MAX_LONG_WEIGHT_PCT))
    targets = rules.rebalanced(weights, pnls, regime, limit)
    entries = []
    for position, weight, target in zip(facts.stocks, weights, targets, strict=True):
        action = _rebalancing_action(weight, target)
        entry = {"ticker": position.ticker, "action": action, "target_weight_pct": target}
        entries.append(entry)
    return {
        "working": [market_working(facts, regime)],
        "rebalancing_decision": entries,
        "overall_assessment": _gross_assessment(sum(weights), regime),
        "regime": regime,
    }


def _rebalancing_action(weight: int, target: int) -> str:
    if target == 0:
        return "EXIT"
    if target < weight:
        return "TRIM"
    return "HOLD"


def _gross_assessment(gross: int, regime: str) -> str:
    low, high = EXPOSURES[regime].long_gross
    if gross > high:
        return "OVER_EXPOSED"
    if gross < low:
        return "UNDER_EXPOSED"
    return "IN_BAND"


card = ""

# How it is argued.

schema: Schema = closed(
    working=WORKING,
    rebalancing_decision=listed(
        stock_entry(
            action=one_of("EXIT", "TRIM", "HOLD"),
            target_weight_pct=integer(0, 18),
            reason=text(160),
        ),
        10,
        1,
    ),
    overall_assessment=one_of("OVER_EXPOSED", "IN_BAND", "UNDER_EXPOSED"),
    regime=REGIME,
)

_WEIGHTS_EN = (
    "At {weight}% it",
    "With {weight}% it",
    "Its {weight}%",
    "This {weight}%",
    "The {weight}%",
    "Now {weight}%, it",
)
_REASONS = {
    "ko": {
        "stopped": crossed(
            ("손익 {pnl}%가", "{pnl}% 손익은", "현재 손익 {pnl}%는", "이 손익({pnl}%)은"),
            (
                "손절 기준 {stop:g}% 이하라 전량 판다.",
                "손절선 {stop:g}%에 걸려 비운다.",
                "{stop:g}% 손절 규칙에 따라 전량 정리한다.",
                "{stop:g}%보다 나쁘거나 같아 남기지 않는다.",
            ),
        ),
        "no_longs": crossed(
            (
                "비중 {weight}%는",
                "{weight}%의 비중은",
                "현재 {weight}%는",
                "{weight}% 비중은",
                "보유한 {weight}%는",
            ),
            (
                "모두 정리한다. 롱 상한이 {high}%인 국면이다.",
                "전량 매도한다. 개별 롱을 두지 않는 국면이다.",
                "비운다. 이 국면의 롱 밴드는 {high}%다.",
            ),
        ),
        "scaled": (
            "롱 합계를 밴드 상한 {high}%에 맞추려 {weight}%에서 {target}%로 낮춘다.",
            "롱 합계가 밴드 {high}%를 넘어 {weight}%를 {target}%로 줄인다.",
            "국면의 롱 상한 {high}%에 비례해 {weight}%를 {target}%로 낮춘다.",
            "비중 {weight}%는 {target}%로 줄인다. 롱 합계 상한이 {high}%다.",
        ),
        "capped": crossed(
            (
                "비중 {weight}%가",
                "{weight}%의 비중은",
                "현재 {weight}%는",
                "{weight}% 비중은",
                "보유한 {weight}%는",
                "지금의 {weight}%는",
            ),
            (
                "종목당 한도 {limit}%를 넘어 {target}%로 줄인다.",
                "한도를 넘는다. {limit}%에 맞춰 {target}%까지 판다.",
                "{limit}% 한도를 벗어나 {target}%로 낮춘다.",
                "한도({limit}%)보다 커서 {target}%에 맞춘다.",
            ),
        ),
        "kept": crossed(
            (
                "비중 {weight}%는",
                "{weight}%의 비중은",
                "현재 {weight}%는",
                "{weight}% 비중은",
                "보유한 {weight}%는",
                "지금의 {weight}%는",
            ),
            (
                "한도 {limit}% 안이고 손익 {pnl}%도 손절선 위라 둔다.",
                "한도 {limit}%를 지키고 손익도 {pnl}%라 유지한다.",
                "손익이 {pnl}%이고 한도 {limit}% 이내라 손대지 않는다.",
                "그대로 둔다. 한도는 {limit}%, 손익은 {pnl}%다.",
                "종목당 {limit}% 이내이며 손익 {pnl}%도 문제없다.",
            ),
        ),
    },
    "en": {
        "stopped": crossed(
            ("At {pnl}% it", "With {pnl}% it", "Its {pnl}%", "The {pnl}% result"),
            (
                "is at or below the {stop:g}% stop, so all of it goes.",
                "hits the {stop:g}% stop: sell.",
                "falls under the {stop:g}% stop rule.",
                "trips the {stop:g}% stop, and nothing is kept.",
            ),
        ),
        "no_longs": crossed(
            ("All {weight}%", "The {weight}%", "Its {weight}%", "This {weight}%"),
            (
                "goes: the regime's long band ends at {high}%.",
                "is sold, as this regime holds no single longs.",
                "leaves the book, whose long band is {high}%.",
            ),
        ),
        "scaled": (
            "Longs come down to the band's {high}%: from {weight}% to {target}% here.",
            "The book is above its {high}% band, so {weight}% becomes {target}%.",
            "Scaled with the rest to the {high}% band, {weight}% to {target}%.",
            "A weight of {weight}% shrinks to {target}% as longs are held to {high}%.",
        ),
        "capped": crossed(
            _WEIGHTS_EN,
            (
                "exceeds the {limit}% limit per stock: cut to {target}%.",
                "breaks the {limit}% limit: down to {target}%.",
                "goes over {limit}%, the limit per stock; trim to {target}%.",
                "must shrink to {target}% under the {limit}% limit.",
            ),
        ),
        "kept": crossed(
            _WEIGHTS_EN,
            (
                "respects the {limit}% limit, and {pnl}% is above the stop.",
                "stays: limit {limit}%, result {pnl}%.",
                "needs no trade with {pnl}% and a limit of {limit}%.",
                "fits the {limit}% limit; {pnl}% trips no stop.",
            ),
        ),
    },
}


def answer(scene: Scene, rng: Random, regime: str | None = None) -> dict[str, Any]:
    """Returns the target weight of every position, with the rule that set it.

    With a `regime`, it is the answer of someone who takes the market to be in that one.
    """
    decision = settled(decide(scene.facts, regime))
    decision = wording.named(decision, scene.language)
    limit = int(scene.facts.numbers.get("max_weight_pct", MAX_LONG_WEIGHT_PCT))
    most_long = EXPOSURES[decision["regime"]].long_gross[1]
    for entry, position in zip(decision["rebalancing_decision"], scene.facts.stocks, strict=True):
        target = entry["target_weight_pct"]
        rule = _rule_behind(target, position, limit, most_long)
        entry["reason"] = rng.choice(_REASONS[scene.language][rule]).format(
            pnl=f"{position.numbers['pnl_pct']:.1f}",
            weight=int(position.numbers["weight_pct"]),
            target=target,
            stop=STOP_LOSS_PCT,
            limit=limit,
            high=most_long,
        )
    return arranged(decision, schema)


def _rule_behind(target: int, position: StockFacts, limit: int, most_long: int) -> str:
    """Which rule set the target weight: the stop before the band, the band before the limit. All
    are in %; `limit` is that per stock, `most_long` the top of the regime's band.
    """
    weight = int(position.numbers["weight_pct"])
    if position.numbers["pnl_pct"] <= STOP_LOSS_PCT:
        return "stopped"
    if most_long == 0:
        return "no_longs"
    if target < min(weight, limit):
        return "scaled"
    if target < weight:
        return "capped"
    return "kept"


def spoil(scene: Scene, right: dict[str, Any], how: Flaw, rng: Random) -> str:
    """Spoils the right answer in one way; a mistaken strategist takes the market for another
    regime.
    """

    def mistake() -> dict[str, Any]:
        return answer(scene, rng, spoiling.other_regime(right["regime"], rng))

    return spoiling.spoil(spoiling.RightAnswer(scene, right, schema), how, rng, mistake)


def grade(scene: Scene, reply: str) -> Grade:
    """Grades every action and target weight, and the book as a whole, against the decision."""
    return grading.judge(scene, reply, schema, decide(scene.facts))
