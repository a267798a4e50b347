"""risk_management: how much leverage a drawdown allows, and what the regime asks for beside it.

Question: the market's numbers, the maximum drawdown and the current leverage.
Right answer: the level of risk; a leverage of at most 100 / drawdown in %, and never more than 2;
in a bear market the longs are sold, else deleverage if the leverage is above that ceiling, else
hedge in a weak regime, else maintain.
Mistake: the action of another regime, the ceiling overlooked, or a neighbouring level.
Grade: level, ceiling, action and regime have one right value each.
"""

from random import Random
from typing import Any

from tasks.core.kinds import grading, spoiling, wording
from tasks.core.kinds.base import Flaw, Grade, Needs, Scene
from tasks.core.kinds.cards import WEAK_WITH_LONGS, WITHOUT_LONGS, working_card
from tasks.core.kinds.schemas import (
    LEVERAGE_CEILING,
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
from tasks.core.strategy.deciding import Decision, settled
from tasks.core.strategy.rules import (
    EXPOSURES,
    MAX_LEVERAGE,
    RISK_LEVELS,
    WEAK_REGIMES,
    carries_longs,
    max_leverage_x100,
    risk_level,
)
from tasks.core.strategy.stated import stated_regime
from tasks.core.strategy.working import ceiling_working, market_working

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
    most = max_leverage_x100(drawdown)
    action = _action(leverage > most, regime)
    return {
        "working": [
            market_working(facts, regime),
            _level_step(drawdown),
            ceiling_working(drawdown),
            _action_step(leverage, most, regime),
        ],
        "risk_assessment": {
            "level": risk_level(drawdown),
            "leverage_x100": leverage,
            "max_leverage_x100": most,
        },
        "action": action,
        "regime": regime,
    }


def _action(is_above: bool, regime: str) -> str:
    if not carries_longs(regime):
        return "EXIT_LONGS"
    if is_above:
        return "DELEVERAGE"
    if regime in WEAK_REGIMES:
        return "HEDGE"
    return "MAINTAIN"


def _level_step(drawdown_pct: float) -> str:
    """Returns between which levels' limits the drawdown lies."""
    limits = [limit for limit, _ in RISK_LEVELS[:-1]]
    reached = [limit for limit in limits if limit <= drawdown_pct]
    ahead = [limit for limit in limits if limit > drawdown_pct]
    if not reached:
        place = f"below {ahead[0]:g}"
    elif not ahead:
        place = f"{reached[-1]:g} or more"
    else:
        place = f"{reached[-1]:g} to {ahead[0]:g}"
    return f"MDD {drawdown_pct:.1f}: {place}: {risk_level(drawdown_pct)}"


def _action_step(leverage_x100: int, most_x100: int, regime: str, misread: bool = False) -> str:
    """Returns the leverage against the ceiling, the regime, and what follows from both; `misread`
    takes the comparison the wrong way round.
    """
    is_above = leverage_x100 > most_x100
    if misread:
        is_above = not is_above
    sign = ">" if is_above else "<="
    leverage, most = leverage_x100 / 100, most_x100 / 100
    smaller, larger = sorted((leverage, most))
    gap = f"{larger:.2f}-{smaller:.2f}={larger - smaller:.2f}"
    step = f"leverage {leverage:.2f}{sign}{most:.2f}, gap {gap}"
    state = regime
    if regime in WEAK_REGIMES and carries_longs(regime):
        state = f"{regime} weak"
    return f"{step}; {state}: {_action(is_above, regime)}"


_LEVELS = ", ".join(f"{level} <{limit:g}" for limit, level in RISK_LEVELS[:-1])
card = f"""\
level by MDD in %, the first that holds: {_LEVELS}, else {RISK_LEVELS[-1][1]}
max leverage = 100 / MDD %, rounded down to 0.01, at most {MAX_LEVERAGE:g}; x100 = in hundredths
action, the first that holds: {WITHOUT_LONGS}: EXIT_LONGS; leverage above max: DELEVERAGE;
{WEAK_WITH_LONGS}: HEDGE (index short of the regime's band); else MAINTAIN
{working_card(decide)}"""

# How it is argued.

_ACTIONS = ("EXIT_LONGS", "DELEVERAGE", "HEDGE", "MAINTAIN")
schema: Schema = closed(
    working=WORKING,
    reasoning=text(),
    risk_assessment=closed(
        level=one_of(*(level for _, level in RISK_LEVELS)),
        leverage_x100=integer(0, 1000),
        max_leverage_x100=LEVERAGE_CEILING,
    ),
    action=one_of(*_ACTIONS),
    regime=REGIME,
)


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
    sentences = [_leverage_reason(scene, decision, rng), wording.argue(scene, rng, claimed=regime)]
    if rng.random() < 0.4:
        sentences.reverse()
    sentences.append(rng.choice(_WORDS.texts[f"{decision['action']}_then"][scene.language]))
    low, high = EXPOSURES[decision["regime"]].index_short
    sentences[-1] = sentences[-1].format(low=f"{low}%", high=f"{high}%")
    decision["reasoning"] = " ".join(sentences)
    return arranged(decision, schema)


def _leverage_reason(scene: Scene, decision: Decision, rng: Random) -> str:
    """Returns how the leverage compares with the ceiling."""
    risk = decision["risk_assessment"]
    now, most = risk["leverage_x100"], risk["max_leverage_x100"]
    case = "above" if now > most else "within"
    return rng.choice(_WORDS.texts[case][scene.language]).format(
        drawdown=f"{scene.facts.numbers['drawdown_pct']:.1f}%",
        level=risk["level"],
        now=f"{now / 100:.2f}",
        most=f"{most / 100:.2f}",
        gap=f"{abs(now - most) / 100:.2f}",
    )


# How it goes wrong.


def spoil(scene: Scene, right: dict[str, Any], how: Flaw, rng: Random) -> str:
    """Spoils the right answer in one way; a mistaken strategist takes the market for another
    regime, compares the leverage or the drawdown wrongly, or does not do what the working says.
    """

    def mistake() -> dict[str, Any]:
        chance = rng.random()
        if chance < 0.3:
            other = spoiling.other_regime(right["regime"], rng)
            return _with_reasons(scene, decide(scene.facts, other), rng, other)
        if chance < 0.55:
            return _with_reasons(scene, _of_another_level(scene.facts, rng), rng)
        if chance < 0.8 and carries_longs(right["regime"]):
            return _with_reasons(scene, _compared_wrongly(scene.facts), rng)
        decision = decide(scene.facts)
        wrong = [action for action in _ACTIONS if action != decision["action"]]
        decision["action"] = rng.choice(wrong)
        return _with_reasons(scene, decision, rng)

    return spoiling.spoil(spoiling.RightAnswer(scene, right, schema), how, rng, mistake)


def _compared_wrongly(facts: Facts) -> Decision:
    """Returns the decision with leverage and ceiling compared the wrong way round."""
    decision = decide(facts)
    risk, regime = decision["risk_assessment"], decision["regime"]
    leverage, most = risk["leverage_x100"], risk["max_leverage_x100"]
    decision["working"][-1] = _action_step(leverage, most, regime, misread=True)
    decision["action"] = _action(leverage <= most, regime)
    return decision


def _of_another_level(facts: Facts, rng: Random) -> Decision:
    """Returns the decision with a neighbour of the right level, in half of the cases in the working
    too.
    """
    decision = decide(facts)
    levels = [level for _, level in RISK_LEVELS]
    level = decision["risk_assessment"]["level"]
    at = levels.index(level)
    beside = rng.choice(levels[max(0, at - 1) : at] + levels[at + 1 : at + 2])
    decision["risk_assessment"]["level"] = beside
    if rng.random() < 0.5:
        decision["working"][1] = decision["working"][1].replace(level, beside)
    return decision


# How it is graded.


def grade(scene: Scene, reply: str) -> Grade:
    """Grades the level, the ceiling, the action and the regime against the strategy's decision."""
    return grading.judge(scene, reply, schema, decide(scene.facts))
