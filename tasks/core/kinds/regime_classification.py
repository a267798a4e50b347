"""regime_classification: which regime is it, and how much exposure does it allow?

Question: the market's four numbers; in some questions, asked in a hurry, only some of them.
Right answer: the regime of the strategy's rule, the confidence, and a net exposure in the regime's
band. A number that nobody gave is named, counts as neutral, and halves the confidence.
Mistake: another regime.
Grade: any net exposure in the regime's band is right, and any confidence, which may not exceed 50 %
if a number is missing.
"""

from random import Random
from typing import Any

from tasks.core.kinds import grading, spoiling, wording
from tasks.core.kinds.base import Flaw, Grade, Needs, Scene
from tasks.core.kinds.schemas import (
    CONFIDENCE,
    NET,
    REGIME,
    Schema,
    arranged,
    closed,
    listed,
    one_of,
    optional,
    text,
)
from tasks.core.records.facts import Language
from tasks.core.strategy import decisions
from tasks.core.strategy.rules import NUMBERS

name = "regime_classification"
share = 0.10
needs = Needs(partial_share=0.15, asides=("foreign_net_buy_100m_krw", "sentiment_points"))

# What it asks. The last two templates of each language are kept for evaluation.

_TEMPLATES: dict[Language, tuple[str, ...]] = {
    "ko": (
        "{day} 시장 지표다.\n{market}\n지금은 어떤 국면이고 순노출은 얼마가 적당한가?",
        "다음 숫자로 국면을 판정해 줘.\n{market}\n기준일: {day}",
        "{day} 장 마감 수치를 정리했다.\n{market}\n국면과 권고 순노출을 알려 달라.",
        "오전 회의용 질문이다. {day} 기준 시장은 아래와 같다.\n{market}\n국면 판단과 근거는?",
        "위험 관리팀에서 묻는다. {day} 시장 상태:\n{market}\n순노출을 얼마로 가져가야 하나?",
        "{market}\n{day}의 이 수치라면 어느 국면으로 봐야 하는가?",
        "펀드 비중을 정하려고 한다. {day} 지표는 이렇다.\n{market}\n국면을 분류하고 근거를 밝혀라.",
        "{day} 마감 기준 시장 요약이다.\n{market}\n규칙대로 국면을 정하고 순노출을 제시하라.",
        "{day} 자료로 국면표를 갱신하려 한다.\n{market}\n어느 칸에 넣을지와 이유를 적어 줘.",
        "운용 일지에 적을 판단이 필요하다({day}).\n{market}\n국면과 순노출, 근거 순으로 답해 달라.",
    ),
    "en": (
        "Market figures for {day}:\n{market}\nWhich regime is this, and what net exposure fits?",
        "Classify the regime from these numbers.\n{market}\nDate: {day}",
        (
            "Here are the closing figures of {day}.\n{market}\n"
            "Give the regime and the recommended net exposure."
        ),
        (
            "For the morning meeting: the market of {day} looked like this.\n"
            "{market}\nYour regime call, and why?"
        ),
        "Risk desk here. State of the market, {day}:\n{market}\nHow much net exposure may we run?",
        "{market}\nThose are the numbers of {day}. Which regime do they mean?",
        (
            "We are setting the fund's exposure. Indicators for {day}:\n"
            "{market}\nClassify the regime and argue it."
        ),
        (
            "Market summary at the close of {day}.\n{market}\n"
            "Apply the rule: regime and net exposure, please."
        ),
        (
            "I am updating our regime log with {day}.\n{market}\n"
            "Which entry does it get, and for what reason?"
        ),
        (
            "The committee wants one line on {day}.\n{market}\n"
            "State the regime, the net exposure and the ground for both."
        ),
    ),
}
# A scene that states only some of the numbers takes the hurried template of the same index.
_HURRIED: dict[Language, tuple[str, ...]] = {
    "ko": (
        "급한데 {day} {market}, 이것만 보면 어떤 국면이야?",
        "지금 아는 건 {day} {market}뿐인데 국면이 뭐야?",
        "회의 직전이야, {day} {market}, 국면 어떻게 봐?",
        "{day} {market}까지만 확인했어, 국면이랑 순노출 빨리.",
        "{market}, {day} 이 정도면 어느 국면이지?",
        "통화 중이라 짧게 물을게, {day} {market}, 순노출 얼마로 가?",
        "나머지는 아직 못 봤고 {day} {market}, 국면 판정 부탁해.",
        "일단 {day} {market}, 국면부터 말해 줘.",
        "자리 비운 사이 {day} {market}라는데 국면 좀 봐 줘.",
        "주문 넣기 전에 하나만, {day} {market}, 지금 무슨 국면이야?",
    ),
    "en": (
        "Quick one, {day}: {market}, which regime?",
        "All I have for {day} is {market}, so what regime is that?",
        "Meeting starts now, {day}, {market}, how do you call it?",
        "Only checked {market} for {day}, regime and net exposure please?",
        "{market}, {day}, that is all I know, which regime?",
        "On the phone, {day}, {market}, what net do we run?",
        "No time for the rest, {day}, {market}, your regime call?",
        "Just {market} for {day} so far, where does that put us?",
        "Back at my desk, {day}, they say {market}, so which regime?",
        "One thing before the order goes in, {day}, {market}, what regime are we in?",
    ),
}


def templates(language: Language) -> tuple[str, ...]:
    """Returns every way to ask in this language, the hurried ones aside: these are as many."""
    return _TEMPLATES[language]


def ask(scene: Scene, rng: Random) -> str:
    """Asks for the regime and the net exposure, in a hurry if numbers are missing."""
    if scene.partial:
        return wording.ask(scene, _HURRIED[scene.language])
    return wording.ask(scene, _TEMPLATES[scene.language])


# What the right answer is, and how it is argued.

schema: Schema = optional(
    closed(
        regime=REGIME, confidence_pct=CONFIDENCE, reasoning=text(), recommended_net_exposure_pct=NET
    ),
    missing_inputs=listed(one_of(*NUMBERS), 3),
)


def answer(scene: Scene, rng: Random, regime: str | None = None) -> dict[str, Any]:
    """Returns the regime and its net exposure, argued from the question's numbers.

    With a `regime`, it is the answer of someone who takes the market to be in that one.
    """
    decision = decisions.settled(decisions.regime_classification(scene.facts, regime))
    argues_exposure = rng.random() < 0.5
    decision["reasoning"] = wording.argue(scene, rng, claimed=regime, exposure=argues_exposure)
    return arranged(decision, schema)


def spoil(scene: Scene, right: dict[str, Any], how: Flaw, rng: Random) -> str:
    """Spoils the right answer in one way; a mistaken strategist takes the market for another
    regime.
    """

    def mistake() -> dict[str, Any]:
        return answer(scene, rng, spoiling.other_regime(right["regime"], rng))

    return spoiling.spoil(spoiling.RightAnswer(scene, right, schema), how, rng, mistake)


def grade(scene: Scene, reply: str) -> Grade:
    """Grades the regime, the confidence and the missing numbers against the rule, and the net
    exposure against the regime's band.
    """
    return grading.judge(scene, reply, schema, decisions.regime_classification(scene.facts))
