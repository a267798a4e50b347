"""stop_loss_management: what to do with each position, given its profit or loss and the regime."""

from random import Random
from typing import Any

from tasks.core import decisions
from tasks.core.kinds import grading, spoiling, wording
from tasks.core.kinds.base import Flaw, Grade, Language, Needs, Scene
from tasks.core.kinds.schemas import REGIME, Schema, arranged, closed, listed, one_of, stock_entry, text
from tasks.core.strategy import REDUCE_PCT, STOP_LOSS_PCT, TAKE_PROFIT_PCT

name = "stop_loss_management"
share = 0.06
needs = Needs(stocks=(3, 5), stock_numbers=("pnl_pct",), asides=("nav_100m_krw",))

ACTIONS = ("STOP_LOSS", "TAKE_PROFIT", "REDUCE", "HOLD")
schema: Schema = closed(
    position_review=listed(stock_entry(action=one_of(*ACTIONS), reason=text(160)), 10, 1), regime=REGIME
)

# The last two of each language are kept for evaluation.
_TEMPLATES: dict[Language, tuple[str, ...]] = {
    "ko": (
        "{day} 시장은 다음과 같다.\n{market}\n보유 종목 손익:\n{stocks}\n종목별로 어떻게 할까?",
        "손절 점검을 해 줘. 기준일 {day}.\n{market}\n{stocks}",
        "{day} 포지션 점검이다.\n{market}\n보유 현황\n{stocks}\n규칙대로 조치를 정하라.",
        "아래 포트폴리오에서 정리할 종목이 있나? ({day})\n{market}\n{stocks}",
        "{stocks}\n위 손익과 {day} 지표를 보고 대응을 정해 달라.\n{market}",
        "리스크 담당이다. {day} 마감 지표\n{market}\n종목별 손익\n{stocks}\n손절, 축소, 익절 여부는?",
        "{day} 장이 끝났다.\n{market}\n내 계좌:\n{stocks}\n각 종목의 조치를 알려 줘.",
        "정기 점검({day}).\n{market}\n포지션:\n{stocks}\n손절 규칙을 적용하라.",
        "{day} 손익표를 보고 있다.\n{market}\n{stocks}\n무엇을 자르고 무엇을 남길까?",
        "자동 주문을 걸기 전에 {day} 기준으로 확인한다.\n{market}\n보유분\n{stocks}\n종목마다 조치와 이유를 달라.",
    ),
    "en": (
        "The market, {day}:\n{market}\nOpen positions:\n{stocks}\nWhat should we do with each?",
        "Run the stop-loss review. As of {day}.\n{market}\n{stocks}",
        "Position check, {day}.\n{market}\nHoldings\n{stocks}\nDecide by the rules.",
        "Is there anything to cut in this portfolio? ({day})\n{market}\n{stocks}",
        "{stocks}\nGiven these results and the figures of {day}, decide what to do.\n{market}",
        "Risk desk. Closing figures, {day}:\n{market}\nResults by name:\n{stocks}\nStop, reduce or take profit?",
        "The session of {day} is over.\n{market}\nMy account:\n{stocks}\nGive an action for each name.",
        "Regular review ({day}).\n{market}\nPositions:\n{stocks}\nApply the stop rules.",
        "Looking at the profit and loss sheet of {day}.\n{market}\n{stocks}\nWhat goes and what stays?",
        "Before the automatic orders are set, as of {day}.\n{market}\nHeld\n{stocks}\nAn action and a reason for each.",
    ),
}
_REASONS = {
    "ko": {
        "STOP_LOSS": (
            "손익 {pnl}%로 손절 기준 {stop:g}% 이하다.",
            "손절선 {stop:g}%에 걸렸다. 손익은 {pnl}%다.",
            "{pnl}% 손실은 {stop:g}% 손절 규칙을 따른다.",
        ),
        "TAKE_PROFIT": (
            "손익 {pnl}%로 익절 기준 {take:g}% 이상이다.",
            "목표 {take:g}%에 닿았다. 손익은 {pnl}%다.",
            "{pnl}% 이익이 {take:g}% 기준을 채워 차익을 실현한다.",
        ),
        "REDUCE": (
            "손익 {pnl}%로 {reduce:g}% 이하이고 국면이 약해 비중을 줄인다.",
            "약한 국면에서 손익 {pnl}%는 축소선 {reduce:g}% 아래라 줄인다.",
            "손절선 {stop:g}%까지는 아니지만 {pnl}%라 국면을 보아 덜어 낸다.",
        ),
        "HOLD": (
            "손익 {pnl}%로 조치 기준에 닿지 않는다.",
            "{pnl}%면 손절과 익절 어느 선에도 걸리지 않는다.",
            "손익 {pnl}%는 규칙이 정한 범위 안이라 그대로 둔다.",
        ),
    },
    "en": {
        "STOP_LOSS": (
            "At {pnl}% it is at or below the {stop:g}% stop.",
            "The {stop:g}% stop is hit, with a result of {pnl}%.",
            "A result of {pnl}% falls under the {stop:g}% stop rule.",
        ),
        "TAKE_PROFIT": (
            "At {pnl}% it is at or above the {take:g}% target.",
            "The {take:g}% target is met at {pnl}%.",
            "A gain of {pnl}% meets the {take:g}% mark, so it is realized.",
        ),
        "REDUCE": (
            "At {pnl}%, at or below {reduce:g}% in a weak regime, it is cut back.",
            "The regime is weak and {pnl}% lies at or below {reduce:g}%, so part of it goes.",
            "Not yet at the {stop:g}% stop, but {pnl}% in this regime means less of it.",
        ),
        "HOLD": (
            "At {pnl}% it touches no limit.",
            "A result of {pnl}% hits neither stop nor target.",
            "It stays: {pnl}% is inside what the rules allow.",
        ),
    },
}


def templates(language: Language) -> tuple[str, ...]:
    return _TEMPLATES[language]


def ask(scene: Scene, rng: Random) -> str:
    return wording.ask(scene, _TEMPLATES[scene.language])


def answer(scene: Scene, rng: Random) -> dict[str, Any]:
    return _written(scene, rng, decisions.stop_loss_management(scene.facts))


def _written(scene: Scene, rng: Random, decision: decisions.Decision) -> dict[str, Any]:
    told = wording.named(decisions.settled(decision), scene.language)
    for entry, line in zip(told["position_review"], scene.facts.stocks, strict=True):
        text_of = rng.choice(_REASONS[scene.language][entry["action"]])
        limits = {"stop": STOP_LOSS_PCT, "reduce": REDUCE_PCT, "take": TAKE_PROFIT_PCT}
        entry["reason"] = text_of.format(pnl=f"{line.numbers['pnl_pct']:.1f}", **limits)
    return arranged(told, schema)


def spoil(scene: Scene, right: dict[str, Any], how: Flaw, rng: Random) -> str:
    def mistake() -> dict[str, Any]:
        """A stop that is ignored, or a limit seen where there is none: one action is another rule's."""
        decision = decisions.stop_loss_management(scene.facts)
        entry = rng.choice(decision["position_review"])
        entry["action"] = rng.choice([action for action in ACTIONS if action != entry["action"]])
        return _written(scene, rng, decision)

    return spoiling.spoil(scene, right, how, rng, mistake, schema)


def grade(scene: Scene, reply: str) -> Grade:
    return grading.judge(scene, reply, schema, decisions.stop_loss_management(scene.facts))
