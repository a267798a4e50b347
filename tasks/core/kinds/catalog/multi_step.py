"""multi_step: regime, then portfolio, then risk, each step resting on the one before.

Question: the market's numbers, the maximum drawdown, and three to five stocks with their beta.
Right answer: the regime; its long gross, index short, net and up to three core longs, by beta as
the regime's stance wants them; the leverage that the drawdown allows, the stop and the target.
Mistake: the steps of another regime, a sum or a ceiling that is not what the step before says.
Grade: any long gross, index short and net in the regime's bands is right.
"""

from copy import deepcopy
from random import Random
from typing import Any

from tasks.core.kinds import grading, spoiling, wording
from tasks.core.kinds.base import Answer, Flaw, Grade, Needs, Scene
from tasks.core.kinds.cards import (
    CONFIDENCE_CARD,
    EXPOSURE_CARD,
    PREFERENCE_CARD,
    working_card,
)
from tasks.core.kinds.lexicon import STOCK
from tasks.core.kinds.schemas import (
    CONFIDENCE,
    INDEX_SHORT,
    LEVERAGE_CEILING,
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
from tasks.core.strategy.deciding import Decision, confidence, exposures, settled
from tasks.core.strategy.holdings import preferred
from tasks.core.strategy.rules import (
    EXPOSURES,
    MAX_LEVERAGE,
    STOP_LOSS_PCT,
    TAKE_PROFIT_PCT,
    max_leverage_x100,
)
from tasks.core.strategy.stated import stated_regime
from tasks.core.strategy.working import (
    ceiling_working,
    confidence_working,
    exposure_working,
    market_working,
    preference_working,
)

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


_CORE = 3
"""The most core longs."""


def decide(facts: Facts, regime: str | None = None) -> Decision:
    """Decides regime, portfolio and risk limits, one after the other."""
    regime = regime or stated_regime(facts)
    allowed = exposures(regime, facts)
    core = preferred(facts, regime)[:_CORE] if allowed.long_gross.value else []
    drawdown = facts.numbers["drawdown_pct"]
    return {
        "working": [
            market_working(facts, regime),
            confidence_working(facts),
            exposure_working(regime, facts),
            preference_working(facts, regime, _CORE) if core else "no core longs",
            ceiling_working(drawdown),
        ],
        "step_1_regime": {"regime": regime, "confidence_pct": confidence(facts)},
        "step_2_portfolio": {
            "core_longs": [{"ticker": stock.ticker} for stock in core],
            "long_gross_pct": allowed.long_gross,
            "index_short_pct": allowed.index_short,
            "net_exposure_pct": allowed.net,
        },
        "step_3_risk": {
            "max_leverage_x100": max_leverage_x100(drawdown),
            "stop_loss_pct": int(STOP_LOSS_PCT),
            "take_profit_pct": int(TAKE_PROFIT_PCT),
        },
    }


card = f"""\
Step 1: the system message's rule. {CONFIDENCE_CARD}
Step 2: {EXPOSURE_CARD}
core_longs: {_CORE} of the offered stocks; {PREFERENCE_CARD}.
Step 3: max_leverage_x100 = 100 * min({MAX_LEVERAGE:g}, 100 / drawdown %), rounded down; stop \
{STOP_LOSS_PCT:g}; target {TAKE_PROFIT_PCT:g}.
{working_card(decide)}"""

# How it is argued.

schema: Schema = closed(
    working=WORKING,
    step_1_regime=closed(reasoning=text(), regime=REGIME, confidence_pct=CONFIDENCE),
    step_2_portfolio=closed(
        reasoning=text(300),
        core_longs=listed(stock_entry(), _CORE),
        long_gross_pct=LONG_GROSS,
        index_short_pct=INDEX_SHORT,
        net_exposure_pct=NET,
    ),
    step_3_risk=closed(
        reasoning=text(300),
        max_leverage_x100=LEVERAGE_CEILING,
        stop_loss_pct=integer(-20, 0),
        take_profit_pct=integer(0, 50),
    ),
)


def answer(scene: Scene, rng: Random, regime: str | None = None) -> dict[str, Any]:
    """Returns the three steps, each with its reasoning.

    With a `regime`, it is the answer of someone who takes the market to be in that one.
    """
    decision = settled(decide(scene.facts, regime))
    decision = wording.named(decision, scene.language)
    taken = decision["step_1_regime"]["regime"]
    portfolio, risk = decision["step_2_portfolio"], decision["step_3_risk"]
    decision["step_1_regime"]["reasoning"] = wording.argue(scene, rng, claimed=regime, turn=True)
    portfolio["reasoning"] = _portfolio_reasoning(portfolio, taken, scene, rng)
    risk["reasoning"] = _risk_reasoning(risk, scene, rng)
    return arranged(decision, schema)


def _portfolio_reasoning(portfolio: Answer, regime: str, scene: Scene, rng: Random) -> str:
    """Returns how the exposures sum, and which names come first."""
    sums, core = _TEXTS_OF_REGIME[regime]
    low, high = EXPOSURES[regime].net
    texts = (rng.choice(_WORDS.texts[name][scene.language]) for name in (sums, core))
    return " ".join(texts).format(
        long=portfolio["long_gross_pct"],
        short=portfolio["index_short_pct"],
        net=portfolio["net_exposure_pct"],
        low=low,
        high=high,
        core=_core_names(portfolio["core_longs"], scene),
    )


_TEXTS_OF_REGIME = {
    "STRONG_BULL": ("unhedged", "core_strong"),
    "MILD_BULL": ("unhedged", "core_mild"),
    "WEAKENING": ("hedged", "core_weak"),
    "SHORT_TERM_STRESS": ("hedged", "core_weak"),
    "BEAR": ("bear", "core_none"),
}
"""Which texts say how the exposures of a regime sum, and which names come first."""


def _core_names(core: list[dict[str, Any]], scene: Scene) -> str:
    """Returns the core longs with their betas, as a text lists them.

    A name of two letters stands alone: in a text it may be a word of the language, and a number
    beside it would seem to be another's.
    """
    betas = {stock.ticker: stock.numbers["beta"] for stock in scene.facts.stocks}
    before = "(" if scene.language == "ko" else " ("
    before += STOCK["beta"].of(scene.language)
    listed_names = []
    for entry in core:
        beta = f"{before} {betas[entry['ticker']]:.2f})" if len(entry["name"]) > 2 else ""
        listed_names.append(f"{entry['name']}{beta}")
    return ", ".join(listed_names)


def _risk_reasoning(risk: Answer, scene: Scene, rng: Random) -> str:
    """Returns what bounds the leverage, and where positions are sold."""
    is_capped = risk["max_leverage_x100"] == 100 * MAX_LEVERAGE
    texts = ("capped" if is_capped else "bound", "stops")
    sentences = (rng.choice(_WORDS.texts[name][scene.language]) for name in texts)
    return " ".join(sentences).format(
        drawdown=f"{scene.facts.numbers['drawdown_pct']:.1f}",
        most=f"{risk['max_leverage_x100'] / 100:.2f}",
        stop=f"{STOP_LOSS_PCT:g}",
        take=f"{TAKE_PROFIT_PCT:g}",
    )


# How it goes wrong.


def spoil(scene: Scene, right: dict[str, Any], how: Flaw, rng: Random) -> str:
    """Spoils the right answer in one way; a mistaken strategist takes the market for another
    regime, or gets one number of a later step wrong.
    """

    def mistake() -> dict[str, Any]:
        chance = rng.random()
        wrong = deepcopy(right)
        if chance < 0.25:
            _ignore_drawdown(wrong, rng)
            return wrong
        if chance < 0.5:
            _leave_band(wrong, rng)
            return wrong
        return answer(scene, rng, spoiling.other_regime(right["step_1_regime"]["regime"], rng))

    return spoiling.spoil(spoiling.RightAnswer(scene, right, schema), how, rng, mistake)


def _ignore_drawdown(wrong: dict[str, Any], rng: Random) -> None:
    """Allows the full leverage although the drawdown does not, or less where it does."""
    risk = wrong["step_3_risk"]
    full = LEVERAGE_CEILING["maximum"]
    if risk["max_leverage_x100"] < full:
        risk["max_leverage_x100"] = full
    else:
        risk["max_leverage_x100"] = rng.choice((100, 120, 150))


def _leave_band(wrong: dict[str, Any], rng: Random) -> None:
    """Holds more long than the regime allows, or less if it allows all, or less short; and sums it
    right.
    """
    portfolio = wrong["step_2_portfolio"]
    bands = EXPOSURES[wrong["step_1_regime"]["regime"]]
    least, most = bands.long_gross
    if portfolio["index_short_pct"] and rng.random() < 0.5:
        portfolio["index_short_pct"] = bands.index_short[0] - rng.randint(2, 8)
    else:
        portfolio["long_gross_pct"] = min(LONG_GROSS["maximum"], most + rng.randint(2, 8))
        if most == LONG_GROSS["maximum"]:
            portfolio["long_gross_pct"] = least - rng.randint(2, 8)
    net = portfolio["long_gross_pct"] - portfolio["index_short_pct"]
    portfolio["net_exposure_pct"] = net


# How it is graded.


def grade(scene: Scene, reply: str) -> Grade:
    """Grades the regime and the risk limits against the decision, and the exposure against the
    regime's bands.
    """
    return grading.judge(scene, reply, schema, decide(scene.facts))
