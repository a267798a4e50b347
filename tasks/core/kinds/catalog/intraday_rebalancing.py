"""intraday_rebalancing: bring a book's weights back inside the stops, the limit per stock and the
regime's band.

Question: the market's numbers, five to seven positions with weight and profit or loss, and in some
questions a limit per stock, which is 18 % otherwise and never more.
Right answer: what the stop review sells or halves is sold or halved, none stays above the limit; a
book above the band of long gross comes down to its top pro rata, one below it is bought up to its
low end over the names that are held and have room. What finds no room is named.
Mistake: a stop, a limit or the band overlooked, or another regime's book.
Grade: the weights of sold, halved and limited names are fixed, how purchases are spread is free.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from random import Random
from typing import Any

from tasks.core.kinds import grading, spoiling, wording
from tasks.core.kinds.base import Flaw, Grade, Needs, Scene
from tasks.core.kinds.cards import WEAK_WITH_LONGS, WITHOUT_LONGS, working_card
from tasks.core.kinds.schemas import (
    LONG_GROSS,
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
from tasks.core.kinds.spoilt.limits import misread
from tasks.core.kinds.words import unused, words_beside
from tasks.core.records.facts import Facts, Language, StockFacts
from tasks.core.strategy import rules
from tasks.core.strategy.deciding import Choice, Decision, settled
from tasks.core.strategy.stated import stated_regime
from tasks.core.strategy.working import market_working, stop_working

name = "intraday_rebalancing"
share = 0.06
needs = Needs(
    (5, 7), stock_numbers=("weight_pct", "pnl_pct"), asides=("max_weight_pct", "nav_100m_krw")
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
class _Position:
    """A position as it is, and what the stops and the limit per stock leave of it."""

    ticker: str
    pnl: float
    weight: int
    action: str  # the stop review's
    left: int  # all or half of the weight, or nothing
    kept: int  # of this at most the limit
    room: int  # how much more may be bought: nothing of one that is not on hold


@dataclass(frozen=True)
class _Book:
    positions: tuple[_Position, ...]
    regime: str
    limit: int

    @property
    def band(self) -> tuple[int, int]:
        """The regime's band of long gross."""
        return rules.EXPOSURES[self.regime].long_gross

    @property
    def kept(self) -> int:
        """The sum of what is kept."""
        return sum(position.kept for position in self.positions)

    @property
    def missing(self) -> int:
        """How far what is kept lies below the band."""
        return max(0, self.band[0] - self.kept)

    @property
    def unplaced(self) -> int:
        """What is missing and finds no room."""
        return max(0, self.missing - sum(position.room for position in self.positions))


def _book_of(facts: Facts, regime: str | None = None) -> _Book:
    """Returns the question's book. A limit per stock that it states counts if it is the lower."""
    regime = regime or stated_regime(facts)
    stated = int(facts.numbers.get("max_weight_pct", rules.MAX_LONG_WEIGHT_PCT))
    limit = min(stated, rules.MAX_LONG_WEIGHT_PCT)
    positions = tuple(_position(stock, regime, limit) for stock in facts.stocks)
    return _Book(positions, regime, limit)


def _position(stock: StockFacts, regime: str, limit: int) -> _Position:
    pnl, weight = stock.numbers["pnl_pct"], int(stock.numbers["weight_pct"])
    action = rules.stop_action(pnl, regime)
    left = {"HOLD": weight, "REDUCE": weight // 2}.get(action, 0)
    kept = min(left, limit)
    room = limit - kept if kept and action == "HOLD" else 0
    return _Position(stock.ticker, pnl, weight, action, left, kept, room)


def _targets(book: _Book) -> list[int]:
    """Returns the target weight of each position."""
    most = book.band[1]
    if book.kept > most:
        return [position.kept * most // book.kept for position in book.positions]
    bought = _bought(book)
    return [position.kept + more for position, more in zip(book.positions, bought, strict=True)]


def _bought(book: _Book) -> list[int]:
    """Returns what is bought of each, in proportion to its room; the first take the remainder."""
    amount = book.missing - book.unplaced
    room = [position.room for position in book.positions]
    bought = [space * amount // max(1, sum(room)) for space in room]
    for at, space in enumerate(room):
        if sum(bought) < amount and bought[at] < space:
            bought[at] += 1
    return bought


def decide(facts: Facts, regime: str | None = None) -> Decision:
    """Decides the target weight of each position, and whether the book is in its band."""
    book = _book_of(facts, regime)
    entries = []
    for position, target in zip(book.positions, _targets(book), strict=True):
        entries.append({"ticker": position.ticker, **_entry(book, position, target)})
    return {
        "working": _working(facts, book, regime),
        "rebalancing_decision": entries,
        "overall_assessment": _assessment(book),
        "unplaced_pct": book.unplaced,
        "regime": book.regime,
    }


def _entry(book: _Book, position: _Position, target: int) -> Decision:
    """Returns a position's action and target weight, and what else is as right."""
    low, high = target, target
    if book.kept > book.band[1]:
        high = min(target + 1, position.kept)  # pro rata, rounded the other way
    elif book.missing and position.room:
        low, high = position.kept, book.limit
    action = _action(position.weight, target)
    others = {_action(position.weight, size) for size in range(low, high + 1)} - {action}
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
    """Returns how the book as it is lies to its band."""
    low, high = book.band
    gross = sum(position.weight for position in book.positions)
    if gross > high:
        return "OVER_EXPOSED"
    if gross < low:
        return "UNDER_EXPOSED"
    return "IN_BAND"


# The working.


def _working(facts: Facts, book: _Book, claimed: str | None) -> list[str]:
    low, high = book.band
    now = _summed(position.weight for position in book.positions)
    kept = _summed(position.kept for position in book.positions)
    return [
        market_working(facts, claimed),
        f"now {now}; band {low} to {high}: {_assessment(book)}",
        *(_step(book, position) for position in book.positions),
        f"kept {kept}; {_fitted(book)}",
    ]


def _step(book: _Book, position: _Position) -> str:
    """Returns what the stops and the limit leave of one position."""
    step = f"{position.ticker} {stop_working(position.pnl, book.regime)}"
    if position.action == "REDUCE":
        step = f"{step} {position.weight}/2={position.left}"
    elif position.action != "HOLD":
        return f"{step} 0"
    if position.left > book.limit:
        return f"{step} {position.left}>{book.limit}: {position.kept}"
    room = f", room {book.limit}-{position.left}={position.room}"
    return f"{step} {position.left}<={book.limit}{room if position.action == 'HOLD' else ''}"


def _summed(weights: Iterable[int]) -> str:
    """Returns a sum with every subtotal, without the zeros: 18+11=29+17=46."""
    steps, total = "0", 0
    for weight in weights:
        if weight:
            total += weight
            steps = f"{steps}+{weight}={total}" if total > weight else str(weight)
    return steps


def _fitted(book: _Book) -> str:
    """Returns how what is kept comes into the band."""
    low, high = book.band
    if book.kept > high:
        held = [position.kept for position in book.positions if position.kept]
        scaled = [f"{kept}*{high}/{book.kept}={kept * high // book.kept}" for kept in held]
        return f"{book.kept}>{high}: {', '.join(scaled)}, unplaced 0"
    if not book.missing:
        return "in band, unplaced 0"
    room = _summed(position.room for position in book.positions)
    step = f"{low}-{book.kept}={book.missing} to buy, room {room}"
    if book.unplaced:
        return f"{step}: all to {book.limit}, unplaced {book.unplaced}"
    rooms = [position.room for position in book.positions if position.room]
    of = f"{book.missing}/{sum(rooms)}"
    shares = [f"{space}*{of}={space * book.missing // sum(rooms)}" for space in rooms]
    bought = ", ".join(f"+{more}" for more in _bought(book) if more)
    return f"{step}: {', '.join(shares)}; {bought}, unplaced 0"


card = f"""\
Each weight in %, in this order (long gross = sum of weights; band = the regime's long band):
1 P&L <={rules.STOP_LOSS_PCT:g} (stop) or >={rules.TAKE_PROFIT_PCT:g} (target): 0. \
{WITHOUT_LONGS}: all 0
2 P&L <={rules.REDUCE_PCT:g} in {WEAK_WITH_LONGS}: half, rounded down
3 none above the limit per stock: {rules.MAX_LONG_WEIGHT_PCT}, or the question's if lower
4 sum above the band's top: each weight * top / sum, rounded down (up is right too)
5 sum below the band's low end: buy what is missing, in proportion to the room below the limit of
the names untouched by 1 and 2 (rounded down, the rest 1 each from the first; bought among them in \
other parts is right too); no room: unplaced_pct
Action: EXIT to 0, TRIM lower, BUY higher, else HOLD
overall_assessment, of the sum before: OVER_EXPOSED above the band, UNDER_EXPOSED below, IN_BAND
{working_card(decide)}"""

# How it is argued.

schema: Schema = closed(
    working=WORKING,
    rebalancing_decision=listed(
        stock_entry(
            reason=text(200),
            action=one_of("EXIT", "TRIM", "HOLD", "BUY"),
            target_weight_pct=integer(0, rules.MAX_LONG_WEIGHT_PCT),
        ),
        10,
        1,
    ),
    overall_assessment=one_of("OVER_EXPOSED", "IN_BAND", "UNDER_EXPOSED"),
    unplaced_pct=integer(LONG_GROSS["minimum"], LONG_GROSS["maximum"]),
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
    for position, entry in zip(book.positions, decision["rebalancing_decision"], strict=True):
        target = entry["target_weight_pct"]
        sentences = _WORDS.texts[_case(book, position, target)][scene.language]
        entry["reason"] = _filled(unused(sentences, used, rng), book, position, target)
    return arranged(decision, schema)


_NEAR_PCT = 1.5
"""How near the stop, in points, makes a position one to watch."""


def _case(book: _Book, position: _Position, target: int) -> str:
    """Returns which rule set the target weight, and so which texts argue for it."""
    if target == 0 and position.action in ("STOP_LOSS", "TAKE_PROFIT", "EXIT"):
        return position.action
    if target > position.weight:
        return "buy"
    if target < position.kept:
        return "scaled"
    if target < position.weight:
        cut = "REDUCE_capped" if position.kept < position.left else "REDUCE"
        return cut if position.action == "REDUCE" else "capped"
    if rules.STOP_LOSS_PCT < position.pnl <= rules.STOP_LOSS_PCT + _NEAR_PCT:
        return "near_stop"
    return "full" if position.weight == book.limit else "kept"


def _filled(sentence: str, book: _Book, position: _Position, target: int) -> str:
    return sentence.format(
        pnl=f"{position.pnl:.1f}%",
        weight=f"{position.weight}%",
        target=f"{target}%",
        limit=f"{book.limit}%",
        stop=f"{rules.STOP_LOSS_PCT:g}%",
        cut=f"{rules.REDUCE_PCT:g}%",
        take=f"{rules.TAKE_PROFIT_PCT:g}%",
        low=f"{book.band[0]}%",
        high=f"{book.band[1]}%",
    )


# How it goes wrong.


def spoil(scene: Scene, right: dict[str, Any], how: Flaw, rng: Random) -> str:
    """Spoils the right answer in one way; a mistaken trader reads one profit or loss across a
    limit, or takes the market for another regime.
    """

    def mistake() -> dict[str, Any]:
        if not rules.carries_longs(right["regime"]) or rng.random() < 0.3:
            other = spoiling.other_regime(right["regime"], rng)
            return _with_reasons(scene, decide(scene.facts, other), rng)
        return _with_reasons(scene, _across_a_limit(scene.facts, rng), rng)

    return spoiling.spoil(spoiling.RightAnswer(scene, right, schema), how, rng, mistake)


def _across_a_limit(facts: Facts, rng: Random) -> Decision:
    """Returns the decision of a book of which one profit or loss is read across a limit, in half of
    the cases in the working too.
    """
    wrong = misread(facts, stated_regime(facts), rng)
    decision = decide(wrong.as_read(facts))
    decision["working"] = wrong.as_printed(decision["working"])
    if rng.random() < 0.5:
        decision["working"] = decide(facts)["working"]
    return decision


# How it is graded.


def grade(scene: Scene, reply: str) -> Grade:
    """Grades every target weight, its action, and whether the book ends in its band."""
    judged = grading.judge(scene, reply, schema, decide(scene.facts), ("exposure",))
    if judged.answer is None:
        return judged
    book = _book_of(scene.facts)
    parts = dict(judged.parts)
    parts["exposure"] = _ends_in_band(judged.answer, book)
    parts["actions"] = parts["actions"] and _acts_as_it_aims(judged.answer, book)
    return grading.graded(parts, judged.parts, judged.answer)


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
    targets = {entry["ticker"]: entry for entry in told["rebalancing_decision"]}
    for position in book.positions:
        entry = targets.get(position.ticker)
        if entry and entry["action"] != _action(position.weight, entry["target_weight_pct"]):
            return False
    return True
