"""stop_loss_management: what to do with each position, given its profit or loss and the regime.

Question: the market's numbers, and three to five positions with their profit or loss.
Right answer: stop out a loss of 8 % or more and take a profit of 15 % or more; reduce a position
that lost 3 % or more in a weak regime, and hold the rest. A bear market keeps no single-stock long:
what is neither stopped nor taken there is sold too.
Mistake: a limit misread for one position, one that does not exist, or another regime's review.
Grade: every position has one right action.
"""

from random import Random
from typing import Any

from tasks.core.kinds import grading, spoiling, wording
from tasks.core.kinds.base import Flaw, Grade, Needs, Scene
from tasks.core.kinds.cards import WEAK_WITH_LONGS, WITHOUT_LONGS, working_card
from tasks.core.kinds.schemas import (
    REGIME,
    WORKING,
    Schema,
    arranged,
    closed,
    listed,
    one_of,
    stock_entry,
    text,
)
from tasks.core.kinds.spoilt.limits import misread
from tasks.core.kinds.words import unused, words_beside
from tasks.core.records.facts import Facts, Language
from tasks.core.strategy.deciding import Decision, settled
from tasks.core.strategy.rules import (
    REDUCE_PCT,
    STOP_LOSS_PCT,
    TAKE_PROFIT_PCT,
    WEAK_REGIMES,
    stop_action,
)
from tasks.core.strategy.stated import stated_regime
from tasks.core.strategy.working import limits_working, market_working, stop_working

name = "stop_loss_management"
share = 0.06
needs = Needs(stocks=(3, 5), stock_numbers=("pnl_pct",), asides=("nav_100m_krw",))

# What it asks.

_WORDS = words_beside(__file__)


def templates(language: Language) -> tuple[str, ...]:
    """Returns every way to ask in this language."""
    return _WORDS.templates[language]


def ask(scene: Scene, rng: Random) -> str:
    """Asks what to do with each of the scene's positions."""
    return wording.ask(scene, _WORDS.templates[scene.language])


# What the right answer is.


def decide(facts: Facts, regime: str | None = None) -> Decision:
    """Decides what happens to each position by its profit or loss."""
    regime = regime or stated_regime(facts)
    working = [market_working(facts, regime), limits_working(regime)]
    review = []
    for position in facts.stocks:
        pnl = position.numbers["pnl_pct"]
        action = stop_action(pnl, regime)
        working.append(_step(position.ticker, pnl, regime))
        review.append({"ticker": position.ticker, "action": action})
    return {"working": working, "position_review": review, "regime": regime}


def _step(ticker: str, pnl_pct: float, regime: str) -> str:
    """Returns a position's line of the working; if it is held, with how near its next limit is."""
    step = f"{ticker} {stop_working(pnl_pct, regime)}"
    if stop_action(pnl_pct, regime) != "HOLD":
        return step
    limit = _next_limit(pnl_pct, regime)
    return f"{step}, {abs(pnl_pct - limit):.1f} from {limit:g}"


def _next_limit(pnl_pct: float, regime: str) -> float:
    """Returns the limit (%) that a held position would reach first."""
    lower = REDUCE_PCT if regime in WEAK_REGIMES else STOP_LOSS_PCT
    if pnl_pct - lower <= TAKE_PROFIT_PCT - pnl_pct:
        return lower
    return TAKE_PROFIT_PCT


card = f"""\
Each position by its P&L in %, the first line that holds:
<={STOP_LOSS_PCT:g} STOP_LOSS (sell all)
>={TAKE_PROFIT_PCT:g} TAKE_PROFIT (sell all)
{WITHOUT_LONGS}: EXIT (sell all: no single-stock longs)
<={REDUCE_PCT:g} in {WEAK_WITH_LONGS}: REDUCE (sell half)
else HOLD
{working_card(decide)}"""

# How it is argued.

_ACTIONS = ("STOP_LOSS", "TAKE_PROFIT", "REDUCE", "EXIT", "HOLD")
schema: Schema = closed(
    working=WORKING,
    position_review=listed(stock_entry(reason=text(200), action=one_of(*_ACTIONS)), 10, 1),
    regime=REGIME,
)


def answer(scene: Scene, rng: Random) -> dict[str, Any]:
    """Returns an action for every position, with its reason."""
    return _with_reasons(scene, decide(scene.facts), rng)


def _with_reasons(scene: Scene, decision: Decision, rng: Random) -> dict[str, Any]:
    """The decision as an answer, argued in the scene's language."""
    decision = wording.named(settled(decision), scene.language)
    used: set[str] = set()
    for entry, position in zip(decision["position_review"], scene.facts.stocks, strict=True):
        pnl = position.numbers["pnl_pct"]
        case = _case(entry["action"], pnl, decision["regime"])
        words = _WORDS.texts[case][scene.language]
        reason = _filled(unused(words, used, rng), pnl, decision["regime"])
        if rng.random() < 0.5:
            what_follows = unused(_WORDS.texts[f"{case}_then"][scene.language], used, rng)
            reason = f"{reason} {what_follows}"
        entry["reason"] = reason
    return arranged(decision, schema)


_NEAR_PCT = 2.0
"""How near a limit, in points, makes a held position one to watch."""


def _case(action: str, pnl_pct: float, regime: str) -> str:
    """Returns which texts argue for an action; a mistaken one has no limit that it is near to."""
    if action != "HOLD" or stop_action(pnl_pct, regime) != "HOLD":
        return action
    limit = _next_limit(pnl_pct, regime)
    if abs(pnl_pct - limit) <= _NEAR_PCT:
        return {STOP_LOSS_PCT: "near_stop", REDUCE_PCT: "near_cut"}.get(limit, "near_target")
    return "loss" if pnl_pct <= REDUCE_PCT else action


def _filled(sentence: str, pnl_pct: float, regime: str) -> str:
    return sentence.format(
        pnl=f"{pnl_pct:.1f}%",
        stop=f"{STOP_LOSS_PCT:g}%",
        cut=f"{REDUCE_PCT:g}%",
        take=f"{TAKE_PROFIT_PCT:g}%",
        gap=f"{abs(pnl_pct - _next_limit(pnl_pct, regime)):.1f}",
    )


# How it goes wrong.


def spoil(scene: Scene, right: dict[str, Any], how: Flaw, rng: Random) -> str:
    """Spoils the right answer in one way; a mistaken trader reads one position across a limit, does
    not do what the working says, or takes the market for another regime.
    """

    def mistake() -> dict[str, Any]:
        if rng.random() < 0.3:
            other = spoiling.other_regime(right["regime"], rng)
            return _with_reasons(scene, decide(scene.facts, other), rng)
        return _with_reasons(scene, _across_a_limit(scene.facts, rng), rng)

    return spoiling.spoil(spoiling.RightAnswer(scene, right, schema), how, rng, mistake)


def _across_a_limit(facts: Facts, rng: Random) -> Decision:
    """Returns the review with one position read across a limit, in half of the cases in the working
    too.
    """
    wrong = misread(facts, stated_regime(facts), rng)
    decision = decide(wrong.as_read(facts))
    decision["working"] = wrong.as_printed(decision["working"])
    if rng.random() >= 0.5:
        decision["working"] = decide(facts)["working"]
    return decision


# How it is graded.


def grade(scene: Scene, reply: str) -> Grade:
    """Grades the action of every position and the regime against the strategy's decision."""
    return grading.judge(scene, reply, schema, decide(scene.facts))
