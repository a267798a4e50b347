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
    Schema,
    arranged,
    closed,
    listed,
    one_of,
    stock_entry,
    text,
)
from tasks.core.records.facts import Language
from tasks.core.strategy import decisions
from tasks.core.strategy.decisions import Decision
from tasks.core.strategy.rules import REDUCE_PCT, STOP_LOSS_PCT, TAKE_PROFIT_PCT

name = "stop_loss_management"
share = 0.06
needs = Needs(stocks=(3, 5), stock_numbers=("pnl_pct",), asides=("nav_100m_krw",))

# What it asks. The last two templates of each language are kept for evaluation.

_TEMPLATES: dict[Language, tuple[str, ...]] = {
    "ko": (
        "{day} 시장은 다음과 같다.\n{market}\n보유 종목 손익:\n{stocks}\n종목별로 어떻게 할까?",
        "손절 점검을 해 줘. 기준일 {day}.\n{market}\n{stocks}",
        "{day} 포지션 점검이다.\n{market}\n보유 현황\n{stocks}\n규칙대로 조치를 정하라.",
        "아래 포트폴리오에서 정리할 종목이 있나? ({day})\n{market}\n{stocks}",
        "{stocks}\n위 손익과 {day} 지표를 보고 대응을 정해 달라.\n{market}",
        (
            "리스크 담당이다. {day} 마감 지표\n{market}\n"
            "종목별 손익\n{stocks}\n손절, 축소, 익절 여부는?"
        ),
        "{day} 장이 끝났다.\n{market}\n내 계좌:\n{stocks}\n각 종목의 조치를 알려 줘.",
        "정기 점검({day}).\n{market}\n포지션:\n{stocks}\n손절 규칙을 적용하라.",
        "{day} 손익표를 보고 있다.\n{market}\n{stocks}\n무엇을 자르고 무엇을 남길까?",
        (
            "자동 주문을 걸기 전에 {day} 기준으로 확인한다.\n"
            "{market}\n보유분\n{stocks}\n종목마다 조치와 이유를 달라."
        ),
    ),
    "en": (
        "The market, {day}:\n{market}\nOpen positions:\n{stocks}\nWhat should we do with each?",
        "Run the stop-loss review. As of {day}.\n{market}\n{stocks}",
        "Position check, {day}.\n{market}\nHoldings\n{stocks}\nDecide by the rules.",
        "Is there anything to cut in this portfolio? ({day})\n{market}\n{stocks}",
        "{stocks}\nGiven these results and the figures of {day}, decide what to do.\n{market}",
        (
            "Risk desk. Closing figures, {day}:\n{market}\n"
            "Results by name:\n{stocks}\nStop, reduce or take profit?"
        ),
        (
            "The session of {day} is over.\n{market}\n"
            "My account:\n{stocks}\nGive an action for each name."
        ),
        "Regular review ({day}).\n{market}\nPositions:\n{stocks}\nApply the stop rules.",
        (
            "Looking at the profit and loss sheet of {day}.\n"
            "{market}\n{stocks}\nWhat goes and what stays?"
        ),
        (
            "Before the automatic orders are set, as of {day}.\n"
            "{market}\nHeld\n{stocks}\nAn action and a reason for each."
        ),
    ),
}


def templates(language: Language) -> tuple[str, ...]:
    """Returns every way to ask in this language."""
    return _TEMPLATES[language]


def ask(scene: Scene, rng: Random) -> str:
    """Asks what to do with each of the scene's positions."""
    return wording.ask(scene, _TEMPLATES[scene.language])


# What the right answer is, and how it is argued.

_ACTIONS = ("STOP_LOSS", "TAKE_PROFIT", "REDUCE", "HOLD")
schema: Schema = closed(
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
    return _with_reasons(scene, decisions.stop_loss_management(scene.facts), rng)


def _with_reasons(scene: Scene, decision: Decision, rng: Random) -> dict[str, Any]:
    """The decision as an answer, argued in the scene's language."""
    decision = wording.named(decisions.settled(decision), scene.language)
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
        decision = decisions.stop_loss_management(scene.facts)
        entry = rng.choice(decision["position_review"])
        entry["action"] = rng.choice([action for action in _ACTIONS if action != entry["action"]])
        return _with_reasons(scene, decision, rng)

    return spoiling.spoil(spoiling.RightAnswer(scene, right, schema), how, rng, mistake)


def grade(scene: Scene, reply: str) -> Grade:
    """Grades the action of every position and the regime against the strategy's decision."""
    return grading.judge(scene, reply, schema, decisions.stop_loss_management(scene.facts))
