"""multi_step: regime, then portfolio, then risk, each step resting on the one before.

Question: the market's numbers, the maximum drawdown, and three to five stocks with their beta.
Right answer: the regime; its long gross, index short, net and up to three core longs, low betas
first in a weak regime and high betas first in the others; the leverage that the drawdown allows,
the stop and the target.
Mistake: the steps of another regime.
Grade: any long gross, index short and net in the regime's bands is right.
"""

from random import Random
from typing import Any

from tasks.core.kinds import grading, spoiling, wording
from tasks.core.kinds.base import Flaw, Grade, Needs, Scene
from tasks.core.kinds.schemas import (
    CONFIDENCE,
    INDEX_SHORT,
    LONG_GROSS,
    NET,
    REGIME,
    Schema,
    arranged,
    closed,
    integer,
    listed,
    stock_entry,
    text,
)
from tasks.core.records.facts import Language
from tasks.core.strategy import decisions
from tasks.core.strategy.rules import EXPOSURES, STOP_LOSS_PCT, TAKE_PROFIT_PCT

name = "multi_step"
share = 0.06
needs = Needs(
    stocks=(3, 5),
    stock_numbers=("beta",),
    numbers=("drawdown_pct",),
    asides=("nav_100m_krw", "vix"),
)

# What it asks. The last two templates of each language are kept for evaluation.

_TEMPLATES: dict[Language, tuple[str, ...]] = {
    "ko": (
        "{day} 시장과 후보다.\n{market}\n{stocks}\n국면, 포트폴리오, 리스크 순으로 답하라.",
        "세 단계로 분석해 줘. 기준일 {day}.\n{market}\n후보 종목\n{stocks}",
        "{market}\n{stocks}\n{day} 기준으로 먼저 국면을, 다음에 비중을, 끝으로 위험 한도를 정하라.",
        (
            "투자 위원회 보고서를 준비한다({day}).\n{market}\n"
            "핵심 후보:\n{stocks}\n단계별로 적어 달라."
        ),
        "{day} 마감 자료다.\n{market}\n종목:\n{stocks}\n판단 과정을 차례로 보여 줘.",
        "초보 운용역에게 설명하듯 단계별로 답해 달라. {day}\n{market}\n{stocks}",
        "{stocks}\n{day} 시장이 아래와 같을 때 국면부터 손절선까지 정해 줘.\n{market}",
        "점검표를 채워라. 기준일 {day}.\n{market}\n후보:\n{stocks}\n국면, 노출, 위험 세 칸이다.",
        (
            "{day} 전략 전체를 한 번에 묻는다.\n{market}\n"
            "{stocks}\n앞 단계가 뒤 단계의 근거가 되게 하라."
        ),
        (
            "월요일 회의 초안이 필요하다({day}).\n{market}\n"
            "검토 종목은\n{stocks}\n단계를 나눠 결론을 내 줘."
        ),
    ),
    "en": (
        (
            "The market and the candidates of {day}.\n{market}\n"
            "{stocks}\nAnswer in order: regime, portfolio, risk."
        ),
        "Analyse this in three steps. As of {day}.\n{market}\nCandidates\n{stocks}",
        (
            "{market}\n{stocks}\n"
            "As of {day}, set the regime first, then the exposure, then the risk limits."
        ),
        (
            "For the investment committee's paper ({day}).\n"
            "{market}\nCore candidates:\n{stocks}\nGo step by step."
        ),
        "Closing data of {day}.\n{market}\nStocks:\n{stocks}\nShow the judgement in its stages.",
        "Explain it in steps as to a junior manager. {day}\n{market}\n{stocks}",
        (
            "{stocks}\nWith the market of {day} as below, "
            "decide everything from the regime to the stop.\n{market}"
        ),
        (
            "Fill in the checklist as of {day}.\n{market}\n"
            "Candidates:\n{stocks}\nThree boxes: regime, exposure, risk."
        ),
        (
            "The whole strategy of {day} in one go.\n{market}\n"
            "{stocks}\nLet each step rest on the one before."
        ),
        (
            "I need a draft for Monday's meeting ({day}).\n{market}\n"
            "Under review\n{stocks}\nConclude in separate steps."
        ),
    ),
}


def templates(language: Language) -> tuple[str, ...]:
    """Returns every way to ask in this language."""
    return _TEMPLATES[language]


def ask(scene: Scene, rng: Random) -> str:
    """Asks for the regime, the portfolio and the risk limits, in three steps."""
    return wording.ask(scene, _TEMPLATES[scene.language])


# What the right answer is, and how it is argued.

schema: Schema = closed(
    step_1_regime=closed(regime=REGIME, confidence_pct=CONFIDENCE, reasoning=text()),
    step_2_portfolio=closed(
        long_gross_pct=LONG_GROSS,
        index_short_pct=INDEX_SHORT,
        net_exposure_pct=NET,
        core_longs=listed(stock_entry(), 3),
        reasoning=text(200),
    ),
    step_3_risk=closed(
        max_leverage_x100=integer(0, 200),
        stop_loss_pct=integer(-20, 0),
        take_profit_pct=integer(0, 50),
        reasoning=text(200),
    ),
)

_PORTFOLIO = {
    "ko": (
        "롱 {long}%에서 인덱스 숏 {short}%를 빼면 순노출 {net}%로 밴드 {low}~{high}% 안이다.",
        "순노출 {net}%는 롱 {long}%와 숏 {short}%의 차이이며 국면 밴드는 {low}~{high}%다.",
        "이 국면의 순노출 {low}~{high}%에 맞춰 롱 {long}%, 숏 {short}%로 {net}%를 만든다.",
    ),
    "en": (
        "Long {long}% less an index short of {short}% nets {net}%, inside {low} to {high}%.",
        "Net {net}% is {long}% long minus {short}% short; the regime's band is {low} to {high}%.",
        "To sit in the {low} to {high}% band: {long}% long, {short}% short, {net}% net.",
    ),
}
_RISK = {
    "ko": (
        "최대 낙폭 {drawdown}%면 레버리지는 {most}배까지다. 손절 {stop:g}%, 익절 {take:g}%를 건다.",
        (
            "낙폭 {drawdown}%에서 상한은 {most}배이고, "
            "종목은 손절 {stop:g}%와 익절 {take:g}% 사이에서 관리한다."
        ),
        (
            "레버리지 상한은 {most}배(낙폭 {drawdown}%), "
            "종목별로 {stop:g}%에 손절하고 {take:g}%에 익절한다."
        ),
    ),
    "en": (
        (
            "A drawdown of {drawdown}% caps leverage at {most}x. "
            "Stops at {stop:g}%, targets at {take:g}%."
        ),
        (
            "With {drawdown}% lost from the peak the ceiling is {most}x; "
            "each name runs between {stop:g}% and {take:g}%."
        ),
        (
            "Leverage may reach {most}x after a drawdown of {drawdown}%; "
            "stops at {stop:g}%, profits at {take:g}%."
        ),
    ),
}


def answer(scene: Scene, rng: Random, regime: str | None = None) -> dict[str, Any]:
    """Returns the three steps, each with its reasoning.

    With a `regime`, it is the answer of someone who takes the market to be in that one.
    """
    decision = decisions.settled(decisions.multi_step(scene.facts, regime))
    decision = wording.named(decision, scene.language)

    regime_step = decision["step_1_regime"]
    regime_step["reasoning"] = wording.argue(scene, rng, claimed=regime)

    portfolio = decision["step_2_portfolio"]
    low, high = EXPOSURES[regime_step["regime"]].net
    portfolio["reasoning"] = rng.choice(_PORTFOLIO[scene.language]).format(
        long=portfolio["long_gross_pct"],
        short=portfolio["index_short_pct"],
        net=portfolio["net_exposure_pct"],
        low=low,
        high=high,
    )

    risk = decision["step_3_risk"]
    risk["reasoning"] = rng.choice(_RISK[scene.language]).format(
        drawdown=f"{scene.facts.numbers['drawdown_pct']:.1f}",
        most=f"{risk['max_leverage_x100'] / 100:.2f}",
        stop=STOP_LOSS_PCT,
        take=TAKE_PROFIT_PCT,
    )
    return arranged(decision, schema)


def spoil(scene: Scene, right: dict[str, Any], how: Flaw, rng: Random) -> str:
    """Spoils the right answer in one way; a mistaken strategist takes the market for another
    regime.
    """

    def mistake() -> dict[str, Any]:
        return answer(scene, rng, spoiling.other_regime(right["step_1_regime"]["regime"], rng))

    return spoiling.spoil(spoiling.RightAnswer(scene, right, schema), how, rng, mistake)


def grade(scene: Scene, reply: str) -> Grade:
    """Grades the regime and the risk limits against the decision, and the exposure against the
    regime's bands.
    """
    return grading.judge(scene, reply, schema, decisions.multi_step(scene.facts))
