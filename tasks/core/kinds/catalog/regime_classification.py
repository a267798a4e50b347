"""regime_classification: which regime is it, and how much exposure does it allow?

Question: the market's four numbers; in some questions, asked in a hurry, only some of them, or the
regime alone.
Right answer: the regime of the strategy's rule, the confidence, and a net exposure in the regime's
band. A number that nobody gave is named, is taken as it usually is on such a day, and halves the
confidence.
Mistake: another regime, a number misread against its limit, a verdict that its working denies.
Grade: any net exposure in the regime's band is right, and any confidence, which may not exceed 50 %
if a number is missing.
"""

from random import Random
from typing import Any

from tasks.core.kinds import grading, spoiling, wording
from tasks.core.kinds.base import Flaw, Grade, Needs, Scene
from tasks.core.kinds.cards import CONFIDENCE_CARD, EXPOSURE_CARD, USUAL_CARD, working_card
from tasks.core.kinds.schemas import (
    CONFIDENCE,
    MISSING_INPUTS,
    NET,
    REGIME,
    WORKING,
    Schema,
    arranged,
    closed,
    optional,
    text,
)
from tasks.core.kinds.words import words_beside
from tasks.core.records.facts import Facts, Language
from tasks.core.strategy.borders import Turn, nearest_turn
from tasks.core.strategy.deciding import Decision, confidence, exposures, missing_inputs, settled
from tasks.core.strategy.rules import DECIMALS
from tasks.core.strategy.stated import known_numbers, stated_regime
from tasks.core.strategy.working import confidence_working, exposure_working, market_working

name = "regime_classification"
share = 0.10
needs = Needs(partial_share=0.15, asides=("foreign_net_buy_100m_krw", "sentiment_points"))

# What it asks.

_WORDS = words_beside(__file__)


def templates(language: Language) -> tuple[str, ...]:
    """Returns every way to ask in this language, the hurried ones aside: these are as many."""
    return _WORDS.templates[language]


def ask(scene: Scene, rng: Random) -> str:
    """Asks for the regime and the net exposure, in a hurry if numbers are missing."""
    if scene.partial:
        return wording.ask(scene, _WORDS.texts["hurried"][scene.language])
    return wording.ask(scene, _WORDS.templates[scene.language])


# What the right answer is.


def decide(facts: Facts, regime: str | None = None) -> Decision:
    """Decides the regime and its net exposure, and names the numbers that are missing, if any."""
    regime = regime or stated_regime(facts)
    return {
        "working": [
            market_working(facts, regime),
            confidence_working(facts),
            exposure_working(regime, facts),
        ],
        "regime": regime,
        "confidence_pct": confidence(facts),
        "recommended_net_exposure_pct": exposures(regime, facts).net,
        **missing_inputs(facts),
    }


card = f"""\
Regime: the system message's rule. Net: a point of the regime's net band.
{CONFIDENCE_CARD}
{USUAL_CARD}
{EXPOSURE_CARD}
{working_card(decide)}"""

# How it is argued.

schema: Schema = optional(
    closed(
        working=WORKING,
        regime=REGIME,
        confidence_pct=CONFIDENCE,
        reasoning=text(),
        recommended_net_exposure_pct=NET,
    ),
    missing_inputs=MISSING_INPUTS,
)


def answer(scene: Scene, rng: Random, regime: str | None = None) -> dict[str, Any]:
    """Returns the regime and its net exposure, argued from the question's numbers.

    With a `regime`, it is the answer of someone who takes the market to be in that one.
    """
    decision = settled(decide(scene.facts, regime))
    argues_exposure = scene.partial or rng.random() < 0.5
    decision["reasoning"] = wording.argue(
        scene, rng, claimed=regime, turn=True, exposure=argues_exposure
    )
    return arranged(decision, schema)


# How it goes wrong.


def spoil(scene: Scene, right: dict[str, Any], how: Flaw, rng: Random) -> str:
    """Spoils the right answer in one way; a mistaken strategist takes the market for another
    regime, by a wrong line of the working or in spite of a right one.
    """

    def mistake() -> dict[str, Any]:
        turn = nearest_turn(known_numbers(scene.facts))
        claimed = spoiling.other_regime(right["regime"], rng)
        if turn and turn.regime != right["regime"] and rng.random() < 0.6:
            claimed = turn.regime
        wrong = answer(scene, rng, claimed)
        chance = rng.random()
        if chance < 0.3:
            wrong["working"] = right["working"]
        elif chance < 0.6 and turn and claimed == turn.regime:
            wrong["working"][0] = _misread(scene.facts, turn)
        return wrong

    return spoiling.spoil(spoiling.RightAnswer(scene, right, schema), how, rng, mistake)


def _misread(facts: Facts, turn: Turn) -> str:
    """Returns the market's line of one who takes a number to lie beyond its nearest limit."""
    moved = Facts({**facts.numbers, turn.name: turn.value_beyond})
    label, decimals = turn.name.removesuffix("_pct"), DECIMALS[turn.name]
    read = f"{label} {turn.value_beyond:.{decimals}f}"
    stated = f"{label} {known_numbers(facts)[turn.name]:.{decimals}f}"
    return market_working(moved).replace(read, stated)


# How it is graded.


def grade(scene: Scene, reply: str) -> Grade:
    """Grades the regime, the confidence and the missing numbers against the rule, and the net
    exposure against the regime's band.
    """
    return grading.judge(scene, reply, schema, decide(scene.facts))
