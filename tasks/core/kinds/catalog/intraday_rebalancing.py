"""intraday_rebalancing: bring a book's weights back inside the stops, the limit per stock and the
regime's band.

Question: the market's numbers, four to seven positions with weight and profit or loss, and in some
questions a limit per stock, which is 18 % otherwise and never more.
Right answer: what the stop review sells or halves is sold or halved, none stays above the limit; a
book above the band of long gross comes down to its top pro rata, one below it is bought up to its
low end over the names that are held and have room. What finds no room is named.
Mistake: a stop, a limit or the band overlooked, or another regime's book.
Grade: the weights of sold, halved and limited names are fixed; how purchases are spread is free as
long as the book ends in its band.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random
from typing import Any

from tasks.core.kinds import grading, spoiling, wording
from tasks.core.kinds.base import Flaw, Grade, Needs, Scene
from tasks.core.kinds.schemas import (
    REGIME,
    WORKING,
    Schema,
    arranged,
    closed,
    integer,
    listed,
    one_of,
    stock_entry,
    text,
)
from tasks.core.kinds.words import unused, words_beside
from tasks.core.records.facts import Facts, Language, StockFacts
from tasks.core.strategy.deciding import Choice, Decision, settled
from tasks.core.strategy.rules import (
    EXPOSURES,
    MAX_LONG_WEIGHT_PCT,
    REDUCE_PCT,
    STOP_LOSS_PCT,
    TAKE_PROFIT_PCT,
    stop_action,
)
from tasks.core.strategy.stated import stated_regime
from tasks.core.strategy.working import market_working, stop_working

name = "intraday_rebalancing"
share = 0.06
needs = Needs(
    stocks=(4, 7),
    stock_numbers=("weight_pct", "pnl_pct"),
    asides=("max_weight_pct", "nav_100m_krw"),
)

# What it asks.

_WORDS = words_beside(__file__)


def templates(language: Language) -> tuple[str, ...]:
    """Returns every way to ask in this language."""
    return _WORDS.templates[language]


def ask(scene: Scene, rng: Random) -> str:
    """Asks for a target weight of each of the scene's positions."""
    return wording.ask(scene, _WORDS.templates[scene.language], wording.YESTERDAY)


# What the right answer is. All weights are in % of NAV.


@dataclass(frozen=True)
class _Book:
    """The positions as they are, and what the stops and the limit per stock leave of each."""

    positions: tuple[StockFacts, ...]
    regime: str
    limit: int

    @property
    def weights(self) -> list[int]:
        return [int(position.numbers["weight_pct"]) for position in self.positions]

    @property
    def actions(self) -> list[str]:
        """The stop review's action of each position."""
        return [stop_action(stock.numbers["pnl_pct"], self.regime) for stock in self.positions]

    @property
    def kept(self) -> list[int]:
        """What is left of each weight: all or half of it, at most the limit, or nothing."""
        kept = []
        for weight, action in zip(self.weights, self.actions, strict=True):
            left = {"HOLD": weight, "REDUCE": weight // 2}.get(action, 0)
            kept.append(min(left, self.limit))
        return kept

    @property
    def room(self) -> list[int]:
        """How much more of each position may be bought: nothing of one that is not on hold."""
        room = []
        for weight, action in zip(self.kept, self.actions, strict=True):
            room.append(self.limit - weight if action == "HOLD" else 0)
        return room

    @property
    def band(self) -> tuple[int, int]:
        """The regime's band of long gross."""
        return EXPOSURES[self.regime].long_gross

    @property
    def missing(self) -> int:
        """How far what is kept lies below the band."""
        return max(0, self.band[0] - sum(self.kept))

    @property
    def unplaced(self) -> int:
        """What is missing and finds no room."""
        return max(0, self.missing - sum(self.room))


def _book_of(facts: Facts, regime: str | None = None) -> _Book:
    """Returns the question's book. A limit per stock that it states counts if it is the lower."""
    stated = int(facts.numbers.get("max_weight_pct", MAX_LONG_WEIGHT_PCT))
    return _Book(facts.stocks, regime or stated_regime(facts), min(stated, MAX_LONG_WEIGHT_PCT))


def _targets(book: _Book) -> list[int]:
    """Returns the target weight of each position."""
    gross, most = sum(book.kept), book.band[1]
    if gross > most:
        return [weight * most // gross for weight in book.kept]
    bought = _spread(book.room, book.missing - book.unplaced)
    return [weight + more for weight, more in zip(book.kept, bought, strict=True)]


def _spread(room: Sequence[int], amount: int) -> list[int]:
    """Returns an amount spread in proportion to the room; the first names take the remainder."""
    if amount == 0:
        return [0] * len(room)
    spread = [space * amount // sum(room) for space in room]
    for at, space in enumerate(room):
        if sum(spread) < amount and spread[at] < space:
            spread[at] += 1
    return spread


def decide(facts: Facts, regime: str | None = None) -> Decision:
    """Decides the target weight of each position, and whether the book is in its band."""
    book = _book_of(facts, regime)
    entries = []
    for at, target in enumerate(_targets(book)):
        entry = {"ticker": facts.stocks[at].ticker, **_entry(book, at, target)}
        entries.append(entry)
    return {
        "working": _working(facts, book, regime),
        "rebalancing_decision": entries,
        "overall_assessment": _assessment(book),
        "unplaced_pct": book.unplaced,
        "regime": book.regime,
    }


def _entry(book: _Book, at: int, target: int) -> Decision:
    """Returns a position's action and target weight, and what else is as right."""
    kept = book.kept[at]
    low, high = target, target
    if sum(book.kept) > book.band[1]:
        high = min(target + 1, kept)  # pro rata, rounded the other way
    elif book.missing and book.room[at]:
        low, high = kept, book.limit
    weight = book.weights[at]
    action = _action(weight, target)
    others = {_action(weight, size) for size in range(low, high + 1)} - {action}
    return {
        "action": Choice(action, others=tuple(sorted(others))),
        "target_weight_pct": Choice(target, low, high),
    }


def _action(weight: int, target: int) -> str:
    if target == 0:
        return "EXIT"
    if target < weight:
        return "TRIM"
    if target > weight:
        return "BUY"
    return "HOLD"


def _assessment(book: _Book) -> str:
    low, high = book.band
    if sum(book.weights) > high:
        return "OVER_EXPOSED"
    if sum(book.weights) < low:
        return "UNDER_EXPOSED"
    return "IN_BAND"


# The working.


def _working(facts: Facts, book: _Book, claimed: str | None) -> list[str]:
    low, high = book.band
    lines = [market_working(facts, claimed)]
    lines.append(f"now {_summed(book.weights)}; band {low} to {high}: {_assessment(book)}")
    lines += [_step(book, at) for at in range(len(book.positions))]
    lines.append(f"kept {_summed(book.kept)}; {_fitted(book)}")
    return lines


def _step(book: _Book, at: int) -> str:
    """Returns what the stops and the limit leave of one position."""
    position, weight, kept = book.positions[at], book.weights[at], book.kept[at]
    step = f"{position.ticker} {stop_working(position.numbers['pnl_pct'], book.regime)}"
    if book.actions[at] == "REDUCE":
        weight //= 2
        step = f"{step} {book.weights[at]}/2={weight}"
    elif book.actions[at] != "HOLD":
        return f"{step} 0"
    if weight > book.limit:
        return f"{step} {weight}>{book.limit}: {kept}"
    return f"{step} {weight}<={book.limit}"


def _summed(weights: Sequence[int]) -> str:
    """Returns a sum with every subtotal, without the zeros: 18+11=29+17=46."""
    held = [weight for weight in weights if weight]
    if not held:
        return "0"
    steps, total = str(held[0]), held[0]
    for weight in held[1:]:
        total += weight
        steps = f"{steps}+{weight}={total}"
    return steps


def _fitted(book: _Book) -> str:
    """Returns how what is kept comes into the band."""
    gross, (low, high) = sum(book.kept), book.band
    if gross > high:
        scaled = [
            f"{weight}*{high}/{gross}={weight * high // gross}" for weight in book.kept if weight
        ]
        return f"{gross}>{high}: {', '.join(scaled)}, unplaced 0"
    if not book.missing:
        return "in band, unplaced 0"
    step = f"{low}-{gross}={book.missing} to buy, room {_summed(book.room)}"
    if book.missing >= sum(book.room):
        return f"{step}: all to {book.limit}, unplaced {book.unplaced}"
    bought = [str(more) for more in _spread(book.room, book.missing) if more]
    return f"{step}: +{', +'.join(bought)}, unplaced 0"


card = f"""\
Each weight in %, in this order (long gross = sum of weights; band = the regime's long band):
1 P&L <={STOP_LOSS_PCT:g} (stop) or >={TAKE_PROFIT_PCT:g} (target): 0. BEAR: all 0
2 P&L <={REDUCE_PCT:g} in WEAKENING or SHORT_TERM_STRESS: half, rounded down
3 none above the limit per stock: {MAX_LONG_WEIGHT_PCT}, or the question's if lower
4 sum above the band's top: each weight * top / sum, rounded down
5 sum below the band's low end: buy what is missing, in proportion to the room below the limit of
the names untouched by 1 and 2 (rounded down, the rest 1 each from the first); no room: unplaced_pct
Action: EXIT to 0, TRIM lower, BUY higher, else HOLD
overall_assessment, of the sum before: OVER_EXPOSED above the band, UNDER_EXPOSED below, IN_BAND"""

# How it is argued.

schema: Schema = closed(
    working=WORKING,
    rebalancing_decision=listed(
        stock_entry(
            reason=text(200),
            action=one_of("EXIT", "TRIM", "HOLD", "BUY"),
            target_weight_pct=integer(0, MAX_LONG_WEIGHT_PCT),
        ),
        10,
        1,
    ),
    overall_assessment=one_of("OVER_EXPOSED", "IN_BAND", "UNDER_EXPOSED"),
    unplaced_pct=integer(0, 130),
    regime=REGIME,
)


def answer(scene: Scene, rng: Random) -> dict[str, Any]:
    """Returns the target weight of every position, with the rule that set it."""
    return _with_reasons(scene, decide(scene.facts), rng)


def _with_reasons(scene: Scene, decision: Decision, rng: Random) -> dict[str, Any]:
    """The decision as an answer, argued in the scene's language."""
    decision = wording.named(settled(decision), scene.language)
    book = _book_of(scene.facts, decision["regime"])
    used: set[str] = set()
    for at, entry in enumerate(decision["rebalancing_decision"]):
        target = entry["target_weight_pct"]
        sentence = unused(_WORDS.texts[_case(book, at, target)][scene.language], used, rng)
        entry["reason"] = _filled(sentence, book, at, target)
    return arranged(decision, schema)


_NEAR_PCT = 1.5
"""How near the stop, in points, makes a position one to watch."""


def _case(book: _Book, at: int, target: int) -> str:
    """Returns which rule set the target weight, and so which texts argue for it."""
    action, weight, kept = book.actions[at], book.weights[at], book.kept[at]
    if target == 0 and action in ("STOP_LOSS", "TAKE_PROFIT", "EXIT"):
        return action
    if target > weight:
        return "buy"
    if target < kept:
        return "scaled"
    if action == "REDUCE" and target < weight:
        return "REDUCE"
    if target < weight:
        return "capped"
    if STOP_LOSS_PCT < book.positions[at].numbers["pnl_pct"] <= STOP_LOSS_PCT + _NEAR_PCT:
        return "near_stop"
    return "full" if weight == book.limit else "kept"


def _filled(sentence: str, book: _Book, at: int, target: int) -> str:
    pnl = f"{book.positions[at].numbers['pnl_pct']:.1f}%"
    low, high = book.band
    return sentence.format(
        pnl=pnl,
        weight=f"{book.weights[at]}%",
        target=f"{target}%",
        limit=f"{book.limit}%",
        stop=f"{STOP_LOSS_PCT:g}%",
        cut=f"{REDUCE_PCT:g}%",
        take=f"{TAKE_PROFIT_PCT:g}%",
        low=f"{low}%",
        high=f"{high}%",
    )


# How it goes wrong.


def spoil(scene: Scene, right: dict[str, Any], how: Flaw, rng: Random) -> str:
    """Spoils the right answer in one way; a mistaken trader overlooks what one position calls for,
    or takes the market for another regime.
    """

    def mistake() -> dict[str, Any]:
        overlooked = _overlooked(scene.facts, rng)
        if overlooked is None or rng.random() < 0.3:
            other = spoiling.other_regime(right["regime"], rng)
            return _with_reasons(scene, decide(scene.facts, other), rng)
        return _with_reasons(scene, overlooked, rng)

    return spoiling.spoil(spoiling.RightAnswer(scene, right, schema), how, rng, mistake)


def _overlooked(facts: Facts, rng: Random) -> Decision | None:
    """Returns the decision with one position left as far as a schema allows, against the working;
    None if every position is.
    """
    book = _book_of(facts)
    decision = settled(decide(facts))
    entries = decision["rebalancing_decision"]
    left = [min(weight, MAX_LONG_WEIGHT_PCT) for weight in book.weights]
    moved = [at for at, entry in enumerate(entries) if entry["target_weight_pct"] != left[at]]
    if not moved:
        return None
    at = rng.choice(moved)
    entries[at]["target_weight_pct"] = left[at]
    entries[at]["action"] = _action(book.weights[at], left[at])
    return decision


def grade(scene: Scene, reply: str) -> Grade:
    """Grades every target weight, its action, and whether the book ends in its band."""
    judged = grading.judge(scene, reply, schema, decide(scene.facts), ("exposure",))
    if judged.told is None:
        return judged
    book = _book_of(scene.facts)
    parts = dict(judged.parts)
    parts["exposure"] = _ends_in_band(judged.told, book)
    parts["actions"] = parts["actions"] and _acts_as_it_aims(judged.told, book)
    return grading.graded(parts, judged.parts, judged.told)


def _ends_in_band(told: dict[str, Any], book: _Book) -> bool:
    """Whether the target weights, with what is named as unplaced, sum to the band. An answer that
    leaves out positions, which is another fault, has no sum to judge.
    """
    entries = told["rebalancing_decision"]
    if len(entries) < len(book.positions):
        return True
    low, high = book.band
    gross = sum(entry["target_weight_pct"] for entry in entries)
    return gross <= high and low <= gross + told["unplaced_pct"]


def _acts_as_it_aims(told: dict[str, Any], book: _Book) -> bool:
    """Whether each action is that of its own target weight."""
    weights = {
        stock.ticker: weight for stock, weight in zip(book.positions, book.weights, strict=True)
    }
    for entry in told["rebalancing_decision"]:
        weight = weights.get(entry["ticker"])
        if weight is not None and entry["action"] != _action(weight, entry["target_weight_pct"]):
            return False
    return True
