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
    WORKING,
    Schema,
    arranged,
    closed,
    integer,
    listed,
    stock_entry,
    text,
)
from tasks.core.kinds.words import words_beside
from tasks.core.records.facts import Facts, Language
from tasks.core.strategy import rules
from tasks.core.strategy.deciding import Decision, confidence, exposures, settled
from tasks.core.strategy.holdings import preferred
from tasks.core.strategy.rules import EXPOSURES, STOP_LOSS_PCT, TAKE_PROFIT_PCT
from tasks.core.strategy.stated import stated_regime
from tasks.core.strategy.working import confidence_working, exposure_working, market_working

name = "multi_step"
share = 0.06
needs = Needs(
    stocks=(3, 5),
    stock_numbers=("beta",),
    numbers=("drawdown_pct",),
    asides=("nav_100m_krw", "vix"),
)

# What it asks.

_WORDS = words_beside(__file__)


def templates(language: Language) -> tuple[str, ...]:
    """Returns every way to ask in this language."""
    return _WORDS.templates[language]


def ask(scene: Scene, rng: Random) -> str:
    """Asks for the regime, the portfolio and the risk limits, in three steps."""
    return wording.ask(scene, _WORDS.templates[scene.language])


# What the right answer is.


def decide(facts: Facts, regime: str | None = None) -> Decision:
    """Decides regime, portfolio and risk limits, one after the other."""
    regime = regime or stated_regime(facts)
    allowed = exposures(regime, facts)
    core = preferred(facts, regime)[:3] if allowed.long_gross.value else []
    return {
        "working": [
            market_working(facts, regime),
            confidence_working(facts),
            exposure_working(regime, facts),
        ],
        "step_1_regime": {"regime": regime, "confidence_pct": confidence(facts)},
        "step_2_portfolio": {
            "long_gross_pct": allowed.long_gross,
            "index_short_pct": allowed.index_short,
            "net_exposure_pct": allowed.net,
            "core_longs": [{"ticker": stock.ticker} for stock in core],
        },
        "step_3_risk": {
            "max_leverage_x100": rules.max_leverage_x100(facts.numbers["drawdown_pct"]),
            "stop_loss_pct": int(rules.STOP_LOSS_PCT),
            "take_profit_pct": int(rules.TAKE_PROFIT_PCT),
        },
    }


card = ""

# How it is argued.

schema: Schema = closed(
    working=WORKING,
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
    decision = settled(decide(scene.facts, regime))
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
    return grading.judge(scene, reply, schema, decide(scene.facts))
