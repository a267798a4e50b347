"""Whether the words of a text hold: what it says goes up or down, which regime it argues for, and
what it would do, against the question and the entry that it gives the reason of.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from tasks.core.kinds.judging.figures import Figures
from tasks.core.kinds.judging.meaning import Claim
from tasks.core.kinds.judging.sentences import Sentence
from tasks.core.kinds.judging.vocabulary import meanings
from tasks.core.strategy.rules import (
    F_SCORE,
    GAP_PCT,
    HIGH_VIX,
    THRESHOLDS,
    VOLUME_RATIO,
    WEAK_REGIMES,
    regime_of,
)
from tasks.core.strategy.stated import known_numbers


@dataclass(frozen=True)
class Stand:
    """What a text is the reason of."""

    owner: str | None  # the stock, in a list
    sides: frozenset[str]  # what its entry does or says: meanings such as hold, trim, gain, lose
    regimes: frozenset[str]  # that the answer gives
    is_reason: bool  # and no plan or summary
    is_terse: bool  # a few words beside a score
    words: dict[str, str]  # of the owner, as the question states them


def claim_faults(sentence: Sentence, stand: Stand, figures: Figures) -> Iterator[str]:
    """Yields what a sentence says that is not so."""
    sense = sentence.sense
    yield from _regime_faults(sentence, stand, figures)
    yield from _crossing_faults(sentence, stand, figures)
    if "reverse" in sense.says:
        yield "it tells to do the opposite of the answer"
    if sense.supposes:
        return
    for claim in sense.claims:
        if not _holds(claim, stand, figures):
            yield f"the question does not have {claim.of} {claim.way}"
    bulls = stand.regimes and not stand.regimes & set(WEAK_REGIMES)
    if bulls and stand.owner is None and stand.is_reason and "all_out" in sense.says:
        yield "it sells out in a bull regime"
    if stand.regimes and stand.regimes <= set(WEAK_REGIMES) and "all_in" in sense.says:
        yield "it goes all in in a weak regime"
    yield from _credit_faults(sentence, stand, figures)


# Directions.

_SMALL = 0.1
"""A move in % below this is neither up nor down to the judge of words."""
_CALM_VIX, _CALM_VOLATILITY, _TENSE_VOLATILITY = 20.0, 25.0, 15.0

_UP = frozenset(("up", "positive", "strong", "high"))
_DOWN = frozenset(("down", "negative", "weak"))
_GOES = ("up", "down", "strong", "weak")
_SIGNS = ("positive", "negative")
_LEVELS = ("low", "high")
_MOVES = {
    "return_pct": ("return_pct", _SIGNS),
    "momentum_pct": ("momentum_pct", _SIGNS),
    "us_return_pct": ("us_return_pct", (*_GOES, *_SIGNS)),
    "foreign_net_buy_100m_krw": ("foreign_net_buy_100m_krw", ("up", "down")),
    "usdkrw": ("usdkrw_change_pct", ("up", "down")),
    "dollar": ("usdkrw_change_pct", _GOES),
}
"""Of which stated number a claim tells the sign, and in which words."""


def _holds(claim: Claim, stand: Stand, figures: Figures) -> bool:
    """Whether the question bears out a claim, or does not speak of it."""
    stated, way = figures.facts.numbers, claim.way
    number, ways = _MOVES.get(claim.of, ("", ()))
    if way in ways:
        return _goes(way, stated.get(number))
    match claim.of:
        case "market" if way in _GOES:
            shocked = "shock" in figures.facts.words  # a scenario moves the market
            return shocked or _goes(way, stated.get("return_pct"))
        case "market" if way == "calm":
            is_quiet = stated.get("volatility_pct", 0.0) <= _CALM_VOLATILITY
            return is_quiet and _is_tense(way, stated.get("vix"), _CALM_VIX, HIGH_VIX)
        case "won" if way in _GOES:
            change = stated.get("usdkrw_change_pct")
            return _goes(way, None if change is None else -change)
        case "vix":
            return _is_tense(way, stated.get("vix"), _CALM_VIX, HIGH_VIX)
        case "volatility_pct":
            volatility = stated.get("volatility_pct")
            return _is_tense(way, volatility, _TENSE_VOLATILITY, _CALM_VOLATILITY)
        case "breadth_pct" if way in _LEVELS:
            return _is_beyond(way, stated.get("breadth_pct"), 50.0)
        case "beta" if way in _LEVELS:
            values = figures.named("beta", stand.owner)
            return len(values) != 1 or _is_beyond(way, values[0], 1.0)
        case "us_correlation" if way in _LEVELS:
            return stand.words.get("us_correlation", "medium") in ("medium", way)
    return True


def _goes(way: str, change: float | None) -> bool:
    """Whether a change goes this way, if it is known and no small one."""
    if change is None or abs(change) < _SMALL:
        return True
    return change > 0 if way in _UP else change < 0


def _is_tense(way: str, value: float | None, calm: float, tense: float) -> bool:
    """Whether a gauge of fear is calm below `tense`, or tense above `calm`."""
    if value is None:
        return True
    if way in ("calm", "low"):
        return value < tense
    if way in ("tense", "high"):
        return value > calm
    return True


def _is_beyond(way: str, value: float | None, middle: float) -> bool:
    if value is None:
        return True
    return value <= middle if way == "low" else value >= middle


# Regimes.


def _regime_faults(sentence: Sentence, stand: Stand, figures: Figures) -> Iterator[str]:
    """A regime that the answer does not give may be denied, or lie beyond a limit of the rule."""
    strange = sentence.sense.regimes - stand.regimes
    if not strange or not stand.regimes:
        return
    beyond = set(_regimes_beyond(sentence, figures))
    if beyond:
        strange -= beyond
    elif sentence.sense.supposes or (sentence.sense.regimes & stand.regimes):
        return
    if strange:
        yield f"it argues for {', '.join(sorted(strange))}"


def _crossing_faults(sentence: Sentence, stand: Stand, figures: Figures) -> Iterator[str]:
    """The limit to another regime can only be crossed from the side where the number stands."""
    sense = sentence.sense
    sides = sense.means & _SIDES_OF_LIMITS
    names_another = stand.regimes and sense.regimes - stand.regimes
    if not (sense.supposes and names_another and len(sides) == 1):
        return
    market = known_numbers(figures.facts)
    limits = set(_limits_named(sentence, market))
    if len(limits) != 1:
        return
    name, limit = limits.pop()
    if market[name] != limit and sides != {"above" if market[name] < limit else "below"}:
        yield f"{name} does not cross {limit:g} from that side"


_SIDES_OF_LIMITS = frozenset(("above", "below"))
_STEP = 0.1  # points beyond a limit, to see which regime lies there


def _regimes_beyond(sentence: Sentence, figures: Figures) -> Iterator[str]:
    """Yields the regimes beyond the limits that a sentence names with their number."""
    sense = sentence.sense
    if not (sense.supposes or sense.of_limits):
        return
    market = known_numbers(figures.facts)
    for name, limit in _limits_named(sentence, market):
        step = -_STEP if market[name] >= limit else _STEP
        yield regime_of(**{**market, name: limit + step})
        if market[name] == limit:
            yield regime_of(**{**market, name: limit + _STEP})


def _limits_named(sentence: Sentence, market: Mapping[str, float]) -> Iterator[tuple[str, float]]:
    """Yields the limits of the rule that a sentence names, each with its number."""
    sense = sentence.sense
    named = {name for name in market if name in sense.says}
    for number, slot in zip(sentence.numbers, sense.slots, strict=True):
        names = {slot.label} & named or slot.nearby & named or named
        for name, limit in THRESHOLDS:
            if name in names and number.value == limit:
                yield name, limit


# What is done, and what it means for a company.

_AGAINST = {
    "gain": frozenset(("lose", "unaffected")),
    "lose": frozenset(("gain", "unaffected")),
    "hold": frozenset(("trim", "exit", "buy", "all_out")),
    "trim": frozenset(("hold", "buy", "nothing")),
    "exit": frozenset(("hold", "buy", "nothing")),
    "buy": frozenset(("skip", "exit", "trim", "all_out")),
    "skip": frozenset(("buy",)),
}
_SAID_ANYWHERE = frozenset(("gain", "lose", "unaffected", "nothing", "all_out"))
_OF_COMPANIES = frozenset(("gain", "lose"))
_ALIKE = {
    "hold": frozenset(("hold", "stay")),
    "trim": frozenset(("trim", "exit")),
    "exit": frozenset(("trim", "exit")),
}
_SIDE_OF_VALUE = {"positive": "gain", "negative": "lose"}


def side_faults(sentences: tuple[Sentence, ...], stand: Stand) -> Iterator[str]:
    """Yields what a text does that its entry does not: only the opposite, of all that it says."""
    sides = stand.sides
    if stand.owner is None:  # a text on the whole weighs one thing against another, then ends
        sentences, sides = sentences[-1:], sides - _OF_COMPANIES
    said = _done_in(sentences)
    for side in sides:
        against = said & _AGAINST.get(side, frozenset())
        for_it = said & (_ALIKE.get(side, frozenset((side,))) | stand.sides)
        if against and not for_it:
            yield f"its entry is to {side}, the text says {', '.join(sorted(against))}"


def _done_in(sentences: tuple[Sentence, ...]) -> set[str]:
    """Returns what sentences do, and what they say a company gains or loses."""
    done: set[str] = set()
    for sentence in sentences:
        sense = sentence.sense
        if sense.supposes and len(sentences) > 1:
            continue
        done |= sense.acts
        if "others" in sense.says:  # what rivals win or lose
            done -= _OF_COMPANIES
        elif sense.contrasts:
            done -= _OF_COMPANIES - sense.acts
        else:
            done |= sense.says & _SAID_ANYWHERE
        done.update(_outcomes(sense.claims))
    return done


def _outcomes(claims: frozenset[Claim]) -> Iterator[str]:
    """Yields gain or lose for profits that rise or fall, and for costs the other way round."""
    for claim in claims:
        if claim.of in ("outcome", "cost") and claim.way in (*_UP, *_DOWN):
            rises = claim.way in _UP
            yield "gain" if rises == (claim.of == "outcome") else "lose"


def sides_of(entry: dict[str, Any], list_key: str, free: frozenset[str]) -> frozenset[str]:
    """Returns what an entry stands for, read from its words as English: those under its keys that
    are not written freely (`free`), and the name of its list.
    """
    values = [
        value
        for key, value in entry.items()
        if isinstance(value, str) and key not in free and value.isupper()
    ]
    return _sides(list_key, *values)


@lru_cache(maxsize=4096)
def _sides(*written: str) -> frozenset[str]:
    found: set[str] = set()
    for text in written:
        found |= meanings(text.lower(), "en")
        for word in text.lower().split("_"):
            found |= meanings(word, "en")
    sides = {_SIDE_OF_VALUE.get(side, side) for side in found}
    return frozenset(sides & _AGAINST.keys())


# Conditions that a stock is credited for.

_MINIMA = {"gap_pct": GAP_PCT, "volume_x": VOLUME_RATIO, "f_score": F_SCORE - 1}
_TIERS = {"mid": ("mid",), "large": ("large", "mid_large"), "small": ("small_mid",)}


def _credit_faults(sentence: Sentence, stand: Stand, figures: Figures) -> Iterator[str]:
    """A stock is of the size that the question says, and earns no point for what it misses."""
    said = sentence.sense.says
    for size, tiers in _TIERS.items():
        if f"tier_{size}" in said and stand.words.get("tier", tiers[0]) not in tiers:
            yield f"the stock is no {size} cap"
    if "credit" not in said or "not" in sentence.sense.means or stand.owner is None:
        return
    for name, least in _MINIMA.items():
        values = figures.named(name, stand.owner)
        if name in said and values and values[0] <= least:
            yield f"it credits a {name} of {values[0]:g}"
