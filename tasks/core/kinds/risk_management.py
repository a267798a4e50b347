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
from tasks.core.kinds.schemas import REGIME, Schema, arranged, closed, integer, one_of, text
from tasks.core.records.facts import Language
from tasks.core.strategy import decisions
from tasks.core.strategy.decisions import Decision
from tasks.core.strategy.rules import MAX_LEVERAGE

name = "risk_management"
share = 0.07
needs = Needs(
    numbers=("drawdown_pct", "leverage_x"),
    asides=("vix", "nav_100m_krw", "foreign_net_buy_100m_krw"),
)

# What it asks. The last two templates of each language are kept for evaluation.

_TEMPLATES: dict[Language, tuple[str, ...]] = {
    "ko": (
        "{day} 리스크 점검이다.\n{market}\n레버리지를 더 써도 되는가?",
        "펀드의 낙폭과 레버리지를 보고 조치를 정해 줘. 기준일 {day}.\n{market}",
        "{market}\n{day} 기준 위 상태에서 허용 레버리지는 얼마인가?",
        "리스크 위원회 안건({day}).\n{market}\n위험 수준과 조치를 적어 달라.",
        "{day} 마감 수치다.\n{market}\n지금 레버리지가 규칙에 맞는지 보라.",
        "한도 점검을 부탁한다. {day} 자료는 다음과 같다.\n{market}\n줄여야 하나, 헤지로 충분한가?",
        "{day} 낙폭 보고서를 받았다.\n{market}\n최대 레버리지와 대응을 규칙대로 정하라.",
        "운용역이 차입을 늘리자고 한다. {day} 상황은 이렇다.\n{market}\n허용할 수 있나?",
        "{day} 위험 예산을 다시 계산한다.\n{market}\n등급, 상한, 조치를 차례로 달라.",
        "감독 보고용이다({day}).\n{market}\n현재 위험과 취할 조치를 근거와 함께 밝혀라.",
    ),
    "en": (
        "Risk check, {day}.\n{market}\nMay we use more leverage?",
        "Look at the fund's drawdown and leverage and decide. As of {day}.\n{market}",
        "{market}\nWith the above on {day}, how much leverage is allowed?",
        "Item for the risk committee ({day}).\n{market}\nGive the level of risk and the action.",
        "Closing figures of {day}.\n{market}\nDoes our leverage respect the rule?",
        (
            "Please review the limits. The figures of {day}:\n"
            "{market}\nMust we cut, or is a hedge enough?"
        ),
        (
            "The drawdown report of {day} is in.\n{market}\n"
            "Set the maximum leverage and the response by the rules."
        ),
        "The manager wants to borrow more. Here is {day}.\n{market}\nCan that be allowed?",
        (
            "We are recomputing the risk budget for {day}.\n"
            "{market}\nLevel, ceiling and action, in that order."
        ),
        (
            "For the supervisor's report ({day}).\n{market}\n"
            "State the present risk and what follows, with grounds."
        ),
    ),
}


def templates(language: Language) -> tuple[str, ...]:
    """Returns every way to ask in this language."""
    return _TEMPLATES[language]


def ask(scene: Scene, rng: Random) -> str:
    """Asks whether the fund's leverage is allowed, and what to do."""
    return wording.ask(scene, _TEMPLATES[scene.language])


# What the right answer is, and how it is argued.

_ACTIONS = ("DELEVERAGE", "HEDGE", "MAINTAIN")
schema: Schema = closed(
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
    return _with_reasons(scene, decisions.risk_management(scene.facts), rng)


def _with_reasons(
    scene: Scene, decision: Decision, rng: Random, regime: str | None = None
) -> dict[str, Any]:
    """The decision as an answer, argued in the scene's language, and for another `regime` if one is
    given.
    """
    decision = decisions.settled(decision)
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
            return _with_reasons(scene, decisions.risk_management(scene.facts, other), rng, other)
        decision = decisions.risk_management(scene.facts)
        decision["risk_assessment"]["max_leverage_x100"] = int(100 * MAX_LEVERAGE)
        decision["action"] = rng.choice(
            [action for action in _ACTIONS if action != decision["action"]]
        )
        return _with_reasons(scene, decision, rng)

    return spoiling.spoil(spoiling.RightAnswer(scene, right, schema), how, rng, mistake)


def grade(scene: Scene, reply: str) -> Grade:
    """Grades the level, the ceiling, the action and the regime against the strategy's decision."""
    return grading.judge(scene, reply, schema, decisions.risk_management(scene.facts))
