"""risk_management: how much leverage a drawdown allows, and what the regime asks for beside it.

Question: the market's numbers, the maximum drawdown and the current leverage.
Right answer: the level of risk; a leverage of at most 100 / drawdown in %, and never more than 2;
deleverage if it is above that ceiling, else hedge in a weak regime, else maintain.
Mistake: the action of another regime, or the ceiling overlooked.
Grade: level, ceiling, action and regime have one right value each.
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
    one_of,
    text,
)
from tasks.core.kinds.words import words_beside
from tasks.core.records.facts import Facts, Language
from tasks.core.strategy import rules
from tasks.core.strategy.deciding import Decision, settled
from tasks.core.strategy.rules import MAX_LEVERAGE, WEAK_REGIMES
from tasks.core.strategy.stated import stated_regime
from tasks.core.strategy.working import market_working

name = "risk_management"
share = 0.07
needs = Needs(
    numbers=("drawdown_pct", "leverage_x"),
    asides=("vix", "nav_100m_krw", "foreign_net_buy_100m_krw"),
)

# What it asks.

_WORDS = words_beside(__file__)


def templates(language: Language) -> tuple[str, ...]:
    """Returns every way to ask in this language."""
    return _WORDS.templates[language]


def ask(scene: Scene, rng: Random) -> str:
    """Asks whether the fund's leverage is allowed, and what to do."""
    return wording.ask(scene, _WORDS.templates[scene.language])


# What the right answer is.


def decide(facts: Facts, regime: str | None = None) -> Decision:
    """Decides how much leverage a drawdown allows, and what to do about it."""
    regime = regime or stated_regime(facts)
    drawdown = facts.numbers["drawdown_pct"]
    leverage = round(100 * facts.numbers["leverage_x"])
    most = rules.max_leverage_x100(drawdown)
    if leverage > most:
        action = "DELEVERAGE"
    elif regime in WEAK_REGIMES:
        action = "HEDGE"
    else:
        action = "MAINTAIN"
    return {
        "working": [market_working(facts, regime)],
        "risk_assessment": {
            "level": rules.risk_level(drawdown),
            "leverage_x100": leverage,
            "max_leverage_x100": most,
        },
        "action": action,
        "regime": regime,
    }


card = ""

# How it is argued.

_ACTIONS = ("DELEVERAGE", "HEDGE", "MAINTAIN")
schema: Schema = closed(
    working=WORKING,
    risk_assessment=closed(
        level=one_of("LOW", "ELEVATED", "HIGH", "CRITICAL"),
        leverage_x100=integer(0, 1000),
        max_leverage_x100=integer(0, 200),
    ),
    action=one_of(*_ACTIONS),
    reasoning=text(),
    regime=REGIME,
)

_SUBJECTS_EN = (
    "Leverage of {now}x",
    "Today's {now}x",
    "Running {now}x",
    "This {now}x",
    "Our {now}x",
    "The book's {now}x",
)
_LEVERAGE = {
    "ko": {
        "DELEVERAGE": crossed(
            (
                "레버리지 {now}배는",
                "지금의 {now}배는",
                "현재 레버리지 {now}배는",
                "쓰고 있는 {now}배는",
            ),
            (
                "최대 낙폭 {drawdown}%가 허용하는 {most}배를 넘어 줄여야 한다.",
                "상한 {most}배(낙폭 {drawdown}%)를 넘는 수준이라 축소 대상이다.",
                "낙폭 {drawdown}%에서 나온 한도 {most}배보다 높아 낮춰야 한다.",
                "한도 초과다. 낙폭 {drawdown}%면 {most}배가 한계다.",
            ),
        ),
        "HEDGE": crossed(
            (
                "레버리지는 {now}배로",
                "레버리지가 {now}배라",
                "현재 {now}배로",
                "지금은 {now}배라",
                "레버리지 {now}배로",
            ),
            (
                "낙폭 {drawdown}%의 상한 {most}배 안이지만 국면이 약해 지수 헤지를 둔다.",
                "상한 {most}배를 지키고 있다. 줄일 필요는 없으나 약한 국면이라 헤지를 더한다.",
                (
                    "최대 낙폭 {drawdown}%가 허용하는 {most}배 이내다. "
                    "다만 국면이 약해 헤지로 대응한다."
                ),
                "한도 {most}배에 걸리지 않는다. 국면이 약하므로 헤지만 얹는다.",
            ),
        ),
        "MAINTAIN": crossed(
            (
                "{now}배 레버리지는",
                "현 수준 {now}배는",
                "운용 레버리지 {now}배는",
                "포트폴리오의 {now}배는",
            ),
            (
                "낙폭 {drawdown}%의 상한 {most}배 안이고 국면도 나쁘지 않아 유지한다.",
                "상한 {most}배를 지키고 있고 시장도 받쳐 주어 그대로 둔다.",
                "최대 낙폭 {drawdown}%가 허용하는 {most}배 이내라 손댈 것이 없다.",
                "한도 {most}배에 걸리지 않고 헤지가 필요한 국면도 아니다.",
            ),
        ),
    },
    "en": {
        "DELEVERAGE": crossed(
            _SUBJECTS_EN,
            (
                "is above the {most}x that a drawdown of {drawdown}% allows and has to come down.",
                "exceeds the ceiling of {most}x set by a drawdown of {drawdown}%.",
                (
                    "goes past {most}x, "
                    "the most that a drawdown of {drawdown}% permits; it must be cut."
                ),
                "breaks the {most}x limit of a drawdown of {drawdown}%, so part of it is sold.",
            ),
        ),
        "HEDGE": crossed(
            _SUBJECTS_EN,
            (
                (
                    "keeps inside the {most}x that a drawdown of {drawdown}% allows, "
                    "but the regime is weak: add a hedge."
                ),
                (
                    "respects the ceiling of {most}x. "
                    "Nothing need be sold; the weak regime is answered with a hedge."
                ),
                (
                    "stays within {most}x for a drawdown of {drawdown}%. "
                    "The regime still calls for an index hedge."
                ),
                "may stay under a limit of {most}x, yet a weak regime wants an index hedge.",
            ),
        ),
        "MAINTAIN": crossed(
            _SUBJECTS_EN,
            (
                (
                    "fits inside the {most}x that a drawdown of {drawdown}% allows, "
                    "and the regime is sound."
                ),
                "meets the ceiling of {most}x, and no hedge is called for.",
                "needs no change: a drawdown of {drawdown}% allows {most}x.",
                "leaves the {most}x limit intact in a regime that asks for no hedge.",
            ),
        ),
    },
}


def answer(scene: Scene, rng: Random) -> dict[str, Any]:
    """Returns the level of risk, the leverage that is allowed and the action, with the grounds."""
    return _with_reasons(scene, decide(scene.facts), rng)


def _with_reasons(
    scene: Scene, decision: Decision, rng: Random, regime: str | None = None
) -> dict[str, Any]:
    """The decision as an answer, argued in the scene's language, and for another `regime` if one is
    given.
    """
    decision = settled(decision)
    risk = decision["risk_assessment"]
    leverage_reason = rng.choice(_LEVERAGE[scene.language][decision["action"]]).format(
        drawdown=f"{scene.facts.numbers['drawdown_pct']:.1f}",
        now=f"{risk['leverage_x100'] / 100:.2f}",
        most=f"{risk['max_leverage_x100'] / 100:.2f}",
    )
    reasons = [leverage_reason, wording.argue(scene, rng, claimed=regime)]
    if rng.random() < 0.4:
        reasons.reverse()
    decision["reasoning"] = " ".join(reasons)
    return arranged(decision, schema)


def spoil(scene: Scene, right: dict[str, Any], how: Flaw, rng: Random) -> str:
    """Spoils the right answer in one way; a mistaken strategist takes the market for another
    regime, or overlooks the leverage ceiling.
    """

    def mistake() -> dict[str, Any]:
        if rng.random() < 0.5:
            other = spoiling.other_regime(right["regime"], rng)
            return _with_reasons(scene, decide(scene.facts, other), rng, other)
        decision = decide(scene.facts)
        decision["risk_assessment"]["max_leverage_x100"] = int(100 * MAX_LEVERAGE)
        decision["action"] = rng.choice(
            [action for action in _ACTIONS if action != decision["action"]]
        )
        return _with_reasons(scene, decision, rng)

    return spoiling.spoil(spoiling.RightAnswer(scene, right, schema), how, rng, mistake)


def grade(scene: Scene, reply: str) -> Grade:
    """Grades the level, the ceiling, the action and the regime against the strategy's decision."""
    return grading.judge(scene, reply, schema, decide(scene.facts))
