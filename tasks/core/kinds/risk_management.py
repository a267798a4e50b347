"""risk_management: how much leverage a drawdown allows, and what the regime asks for beside it."""

from random import Random
from typing import Any

from tasks.core import decisions
from tasks.core.kinds import grading, spoiling, wording
from tasks.core.kinds.base import Flaw, Grade, Language, Needs, Scene
from tasks.core.kinds.schemas import REGIME, Schema, arranged, closed, integer, one_of, text
from tasks.core.strategy import MAX_LEVERAGE

name = "risk_management"
share = 0.07
needs = Needs(numbers=("drawdown_pct", "leverage_x"), asides=("vix", "nav_100m_krw", "foreign_net_buy_100m_krw"))

ACTIONS = ("DELEVERAGE", "HEDGE", "MAINTAIN")
schema: Schema = closed(
    risk_assessment=closed(
        level=one_of("LOW", "ELEVATED", "HIGH", "CRITICAL"),
        leverage_x100=integer(0, 1000),
        max_leverage_x100=integer(0, 200),
    ),
    action=one_of(*ACTIONS),
    reasoning=text(),
    regime=REGIME,
)

# The last two of each language are kept for evaluation.
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
        "Please review the limits. The figures of {day}:\n{market}\nMust we cut, or is a hedge enough?",
        "The drawdown report of {day} is in.\n{market}\nSet the maximum leverage and the response by the rules.",
        "The manager wants to borrow more. Here is {day}.\n{market}\nCan that be allowed?",
        "We are recomputing the risk budget for {day}.\n{market}\nLevel, ceiling and action, in that order.",
        "For the supervisor's report ({day}).\n{market}\nState the present risk and what follows, with grounds.",
    ),
}
_LEVERAGE = {
    "ko": {
        "DELEVERAGE": (
            "최대 낙폭 {drawdown}%가 허용하는 레버리지는 {most}배인데 지금 {now}배라 줄여야 한다.",
            "레버리지 {now}배는 낙폭 {drawdown}%에서 나온 상한 {most}배를 넘는다.",
            "상한은 100/{drawdown}으로 구한 {most}배다. 현재 {now}배는 초과다.",
            "낙폭이 {drawdown}%이면 {most}배가 한계이므로 {now}배에서 내려와야 한다.",
        ),
        "HEDGE": (
            "레버리지 {now}배는 낙폭 {drawdown}%의 상한 {most}배 안이지만 국면이 약해 헤지를 둔다.",
            "상한 {most}배를 지키는 {now}배라 줄일 필요는 없고, 약한 국면에는 헤지로 답한다.",
            "낙폭 {drawdown}%로 {most}배까지 되니 {now}배는 괜찮다. 다만 국면이 헤지를 부른다.",
            "차입은 {now}배로 한도 {most}배 아래다. 문제는 국면이라 지수 헤지를 더한다.",
        ),
        "MAINTAIN": (
            "레버리지 {now}배는 낙폭 {drawdown}%의 상한 {most}배 안이고 국면도 나쁘지 않아 유지한다.",
            "상한 {most}배 아래의 {now}배이고 시장이 오르는 쪽이라 그대로 둔다.",
            "낙폭 {drawdown}%가 허용하는 {most}배에 {now}배는 못 미친다. 손댈 것이 없다.",
            "{now}배는 한도 {most}배를 지키고, 헤지를 부를 국면도 아니다.",
        ),
    },
    "en": {
        "DELEVERAGE": (
            "A drawdown of {drawdown}% allows {most} times at most; at {now} times leverage has to fall.",
            "Leverage of {now} exceeds the ceiling of {most} that a {drawdown}% drawdown sets.",
            "The ceiling is 100/{drawdown}, which gives {most}; {now} is too much.",
            "With {drawdown}% lost from the peak {most} is the limit, so {now} must come down.",
        ),
        "HEDGE": (
            "Leverage of {now} is inside the ceiling of {most} for a {drawdown}% drawdown, but the regime is weak.",
            "At {now} against a limit of {most} nothing need be sold; a weak regime is answered with a hedge.",
            "The drawdown of {drawdown}% permits {most}, so {now} may stay. The regime asks for a hedge.",
            "Borrowing is {now}, below its limit of {most}. It is the regime that calls for an index hedge.",
        ),
        "MAINTAIN": (
            "Leverage of {now} is inside the ceiling of {most} for a {drawdown}% drawdown and the regime is sound.",
            "At {now}, below the limit of {most}, and with the market on the rising side, nothing changes.",
            "A {drawdown}% drawdown permits {most}; {now} does not reach that. Keep it.",
            "The limit of {most} is respected at {now}, and no hedge is called for.",
        ),
    },
}


def templates(language: Language) -> tuple[str, ...]:
    return _TEMPLATES[language]


def ask(scene: Scene, rng: Random) -> str:
    return wording.ask(scene, _TEMPLATES[scene.language])


def answer(scene: Scene, rng: Random) -> dict[str, Any]:
    return _written(scene, rng, decisions.risk_management(scene.facts))


def _written(scene: Scene, rng: Random, decision: decisions.Decision, regime: str | None = None) -> dict[str, Any]:
    told = decisions.settled(decision)
    facts, risk = scene.facts.numbers, told["risk_assessment"]
    leverage = rng.choice(_LEVERAGE[scene.language][told["action"]]).format(
        drawdown=f"{facts['drawdown_pct']:.1f}",
        now=f"{risk['leverage_x100'] / 100:.2f}",
        most=f"{risk['max_leverage_x100'] / 100:.2f}",
    )
    parts = [leverage, wording.argue(scene, rng, claimed=regime)]
    if rng.random() < 0.4:
        parts.reverse()
    told["reasoning"] = " ".join(parts)
    return arranged(told, schema)


def spoil(scene: Scene, right: dict[str, Any], how: Flaw, rng: Random) -> str:
    def mistake() -> dict[str, Any]:
        """Another regime's answer, or the leverage ceiling overlooked."""
        if rng.random() < 0.5:
            other = spoiling.other_regime(right["regime"], rng)
            return _written(scene, rng, decisions.risk_management(scene.facts, other), other)
        wrong = decisions.risk_management(scene.facts)
        wrong["risk_assessment"]["max_leverage_x100"] = int(100 * MAX_LEVERAGE)
        wrong["action"] = rng.choice([action for action in ACTIONS if action != wrong["action"]])
        return _written(scene, rng, wrong)

    return spoiling.spoil(scene, right, how, rng, mistake, schema)


def grade(scene: Scene, reply: str) -> Grade:
    return grading.judge(scene, reply, schema, decisions.risk_management(scene.facts))
