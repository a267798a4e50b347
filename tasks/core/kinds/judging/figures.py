"""The numbers that an answer's texts may quote: what the question states, the rules' limits, the
right answer with its working, and what follows from these.

Each stated number has its name, its sign and its owner: the market, or one stock. A text's `owner`
is the ticker of the stock that it is the reason of, or None for a text on the whole.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from math import inf
from typing import Any

from tasks.core.kinds.judging.following import (
    averages,
    consequences,
    integers,
    lists_in,
    of_entry,
    weight_of,
)
from tasks.core.kinds.judging.sentences import Number, read_text
from tasks.core.kinds.texts import numbers_in, regimes_in
from tasks.core.records.facts import Facts
from tasks.core.strategy import rules
from tasks.core.strategy.rules import EXPOSURES, THRESHOLDS
from tasks.core.strategy.stated import known_numbers, stated_regime

Values = tuple[float, ...]

_NAME_IN_TEXTS = {"usdkrw_change_pct": "usdkrw"}
"""Texts call the rate and its change alike."""

DECLINERS = "decliners"
"""What texts call the names that fell, in %."""
_SIZES = frozenset(("shock_pct", "drawdown_pct"))
"""Numbers of a fall or a move that are stated without its direction."""

_OVERNIGHT = (rules.OVERNIGHT_STEP_PCT, *rules.OVERNIGHT_PCT)
LIMITS: dict[str, Values] = {
    **{name: () for name in rules.NUMBERS},
    "us_return_pct": (rules.LARGE_US_MOVE_PCT, -rules.LARGE_US_MOVE_PCT, *_OVERNIGHT),
    "vix": (rules.HIGH_VIX, *_OVERNIGHT),
    "usdkrw_change_pct": (rules.WON_MOVE_PCT, -rules.WON_MOVE_PCT),
    "drawdown_pct": (rules.MAX_LEVERAGE, *(limit for limit, _ in rules.RISK_LEVELS[:-1])),
    "net_now_pct": (rules.SMALL_STEP_PCT, rules.CALM_FIRST_DAY_PCT, rules.FAST_FIRST_DAY_PCT),
    "pnl_pct": (rules.STOP_LOSS_PCT, rules.REDUCE_PCT, rules.TAKE_PROFIT_PCT),
    "gap_pct": (rules.GAP_PCT,),
    "volume_x": (rules.VOLUME_RATIO,),
    "f_score": (rules.F_SCORE, rules.MODERATE_SCORE, rules.STRONG_SCORE),
}
"""The limits of the rules, by the number that they limit; those of the regime's rule follow."""
for _name, _limit in THRESHOLDS:
    LIMITS[_name] = (*LIMITS[_name], _limit)
LIMITS["volatility_pct"] = (*LIMITS["volatility_pct"], rules.WILD_VOLATILITY_PCT)
_SIZES_OF_LIMITS = frozenset(abs(limit) for _, limit in THRESHOLDS)
_IN_EVERY_KIND = (0.0, 50.0, 100.0, float(rules.MAX_LONG_WEIGHT_PCT))


@lru_cache(maxsize=256)
def _limits_of(names: tuple[str, ...]) -> frozenset[float]:
    found = {*_IN_EVERY_KIND}
    for name in (*rules.NUMBERS, *names):
        found.update(LIMITS.get(name, ()))
    return frozenset(found)


def quotes(number: Number, value: float) -> bool:
    """Whether a printed number is this value, or the value rounded to as many digits."""
    off = abs(number.value - value)
    if off < EXACT:
        return True
    is_rounded = off <= 0.5 * 10.0**-number.decimals + EXACT
    return is_rounded and abs(round(value, number.decimals) - value) > EXACT


EXACT = 1e-9


@dataclass(frozen=True)
class Figures:
    """Everything numeric that the texts of one answer may speak of."""

    facts: Facts
    right: dict[str, Any]  # the decision that training teaches
    answer: dict[str, Any]

    # What the question states.

    @cached_property
    def of_market(self) -> dict[str, Values]:
        """The stated numbers by their names in texts; the four of the rule as it sees them."""
        named = _by_name({**known_numbers(self.facts), **self.facts.numbers})
        named[DECLINERS] = (100 - named["breadth_pct"][0],)
        for name in _SIZES.intersection(named):
            named[name] = (*named[name], -named[name][0])
        return named

    @cached_property
    def of_stocks(self) -> dict[str, dict[str, Values]]:
        """The stated numbers of each stock, by ticker."""
        return {stock.ticker: _by_name(stock.numbers) for stock in self.facts.stocks}

    def stated(self, owner: str | None) -> frozenset[float]:
        """Returns the numbers of the market and of the owner, else of all stocks."""
        if owner not in self._stated:
            values = list(self._of_market)
            groups = self.of_stocks.values() if owner is None else [self.of_stocks.get(owner, {})]
            for group in groups:
                values += _all(group)
            self._stated[owner] = frozenset(values)
        return self._stated[owner]

    def sizes(self, owner: str | None) -> frozenset[float]:
        """Returns the same without signs."""
        if owner not in self._sizes:
            self._sizes[owner] = frozenset(map(abs, self.stated(owner)))
        return self._sizes[owner]

    def named(self, label: str, owner: str | None) -> Values:
        """Returns the stated values of a name: the owner's, else the market's, else any stock's."""
        own = self.of_stocks.get(owner or "", {})
        found = own.get(label) or self.of_market.get(label) or ()
        if label == "return_pct" and self.has_own_return(owner):  # a position's return is its P&L
            found = (*own["pnl_pct"], *found)
        if found or owner is not None:
            return found
        return tuple(value for group in self.of_stocks.values() for value in group.get(label, ()))

    def has_own_return(self, owner: str | None) -> bool:
        """Whether the question states the owner's profit or loss, which texts call return too."""
        return "pnl_pct" in self.of_stocks.get(owner or "", {})

    def names_of(self, number: Number, owner: str | None) -> set[str]:
        """Returns the names under which the question states a number of this size, unless it is a
        limit as well.
        """
        size = abs(number.value)
        if number.value in self.limits:
            return set()
        found = set()
        for group in (self.of_market, self.of_stocks.get(owner or "", {})):
            for name, values in group.items():
                if any(abs(abs(value) - size) < EXACT for value in values):
                    found.add(name)
        return found

    def is_of_another(self, number: Number, owner: str) -> bool:
        """Whether another stock has this number, and neither the owner's entry nor a limit."""
        size = abs(number.value)
        if number.value in self.limits or self.is_told_of(number, owner):
            return False
        others = (group for ticker, group in self.of_stocks.items() if ticker != owner)
        return any(abs(value) == size for group in others for value in _all(group))

    def is_told_of(self, number: Number, owner: str) -> bool:
        """Whether the answer decides on this number for the owner, as its stop or its weight."""
        return abs(number.value) in self._told_of(owner)

    # What may be quoted beside it, whatever its sign.

    @cached_property
    def other_limits(self) -> frozenset[float]:
        """The limits but those of the regime's rule."""
        names = [name for name in self._limited if name not in rules.NUMBERS]
        return frozenset((*_IN_EVERY_KIND, *(limit for name in names for limit in LIMITS[name])))

    @cached_property
    def limits(self) -> frozenset[float]:
        """The limits of the rules that the question's numbers have."""
        return _limits_of(self._limited)

    @cached_property
    def bands(self) -> frozenset[float]:
        """The ends of the bands of the regimes at hand, without signs."""
        regimes = {*regimes_in(self.right), *regimes_in(self.answer), stated_regime(self.facts)}
        if "previous_regime" in self.facts.words:
            regimes.add(self.facts.words["previous_regime"])
        return frozenset(end for regime in regimes for end in _ENDS[regime])

    def works_out(self, label: str, number: Number) -> bool:
        """Whether the working has the number under this very name and with its sign, as it has
        what a shock makes of the market.
        """
        found = self._worked_by_name.get(label.removesuffix("_pct"), ())
        return any(
            abs(value - number.value) < EXACT and number.decimals <= decimals
            for value, decimals in found
        )

    @cached_property
    def worked(self) -> dict[float, int]:
        """The numbers of the right working, without signs, and their decimals."""
        lines = " ".join(self.right.get("working", ()))
        decimals: dict[float, int] = {}
        for number, behind_point in _IN_WORKING.findall(lines):
            value, printed = float(number), len(behind_point)
            decimals[value] = max(printed, decimals.get(value, 0))
        return decimals

    @cached_property
    def told(self) -> frozenset[float]:
        """The integers of the answer, in the units that texts print, without signs, the total
        weight of each of its lists, and the leverage that the drawdown would allow without a cap.
        """
        told = {abs(value) for _, value in self._integers}
        drawdown = self.facts.numbers.get("drawdown_pct")
        if drawdown:
            told.add(int(10_000 / drawdown) / 100)
        for entries in lists_in(self.answer):
            told.add(sum(weight_of(entry) for entry in entries))
        return frozenset(told)

    @cached_property
    def distances(self) -> tuple[float, ...]:
        """How far each of the market's numbers is from each of its limits."""
        return tuple(abs(self.of_market[name][0] - limit) for name, limit in THRESHOLDS)

    def has(self, number: Number, unit: str = "") -> bool:
        """Whether the answer decides on the number, the right working has it, or a band ends with
        it, whatever its sign.
        """
        size = abs(number.value)
        # Every working has the limits of the regime rule, which only texts on the market quote.
        of_rule = unit == "%" and number.decimals == 0 and size in _SIZES_OF_LIMITS
        if size in self.told and (number.decimals in (0, _OF_LEVERAGE) or not size.is_integer()):
            return True
        if not size or (not of_rule and number.decimals <= self.worked.get(size, -1)):
            return True
        return number.decimals == 0 and size in self.bands

    def follows(self, number: Number) -> bool:
        """Whether the number is a sum, a distance, an average or another consequence."""
        size = abs(number.value)
        if round(size, 6) in self._following:
            return True
        bare = Number(size, number.decimals, False)
        return any(quotes(bare, abs(value)) for value in self._averages)

    @cached_property
    def _stated(self) -> dict[str | None, frozenset[float]]:
        return {}

    @cached_property
    def _sizes(self) -> dict[str | None, frozenset[float]]:
        return {}

    @cached_property
    def _told_outside_lists(self) -> frozenset[float]:
        return frozenset(abs(value) for listed, value in self._integers if not listed)

    @cached_property
    def _integers(self) -> tuple[tuple[bool, float], ...]:
        return tuple(integers(self.answer))

    @cached_property
    def _told(self) -> dict[str, set[float]]:
        return {}

    @cached_property
    def _worked_by_name(self) -> dict[str, list[tuple[float, int]]]:
        named: dict[str, list[tuple[float, int]]] = {}
        for line in self.right.get("working", ()):
            for found in _NAMED_IN_WORKING.finditer(line):
                value = float(found["number"]), len(found["decimals"] or "")
                named.setdefault(found["name"], []).append(value)
        return named

    @cached_property
    def _limited(self) -> tuple[str, ...]:
        """The names of the stated numbers that have limits."""
        stocks = self.facts.stocks
        of_stock = tuple(stocks[0].numbers) if stocks else ()
        return tuple(name for name in (*self.facts.numbers, *of_stock) if name in LIMITS)

    @cached_property
    def _of_market(self) -> tuple[float, ...]:
        return (*_all(self.of_market), *_noted(self.facts.words.get("notes", "")))

    @cached_property
    def _following(self) -> frozenset[float]:
        found = consequences(self.answer, self.facts, self._of_market, self.of_stocks)
        return frozenset(round(abs(value), 6) for value in found)

    @cached_property
    def _averages(self) -> tuple[float, ...]:
        return tuple(averages(self.answer, self.facts, self.of_stocks))

    def _told_of(self, owner: str) -> set[float]:
        """Returns the sizes of what the answer says of the owner and of what follows from that,
        and of what it says outside its lists.
        """
        if owner in self._told:
            return self._told[owner]
        told = {*self._told_outside_lists}
        for entries in lists_in(self.answer):
            for entry in entries:
                if entry.get("ticker") == owner:
                    told.update(abs(value) for _, value in integers(entry))
                    told.update(round(abs(value), 6) for value in of_entry(entry, self.of_stocks))
        self._told[owner] = told
        return told


_IN_WORKING = re.compile(r"(\d+(?:\.(\d+))?)")
_NAMED_IN_WORKING = re.compile(
    r"(?<![a-z])(?P<name>[a-z]+) (?P<number>-?\d+(?:\.(?P<decimals>\d+))?):"
)
_OF_LEVERAGE = 2  # decimals, as in 2.00x


def _ends_of(regime: str) -> Iterator[float]:
    bands = EXPOSURES[regime]
    for low, high in (bands.long_gross, bands.index_short, bands.net):
        yield from (abs(float(low)), abs(float(high)))


_ENDS = {regime: frozenset(_ends_of(regime)) for regime in EXPOSURES}


@lru_cache(maxsize=256)
def _noted(text: str) -> Values:
    """Returns the numbers of the notes that a question quotes, as texts tell of them: nothing
    labels them, so with either sign, and a large one rounded.
    """
    noted = numbers_in(text)
    for sentence in read_text(text, "en").sentences:  # amounts of won are in 억
        noted += [number.value for number in sentence.numbers]
    noted += [float(round(number)) for number in noted if _LARGE <= abs(number) < inf]
    return (*noted, *(-number for number in noted))


_LARGE = 100


def _by_name(numbers: Mapping[str, float]) -> dict[str, Values]:
    named: dict[str, Values] = {}
    for name, value in numbers.items():
        called = _NAME_IN_TEXTS.get(name, name)
        named[called] = (*named.get(called, ()), value)
    return named


def _all(group: Mapping[str, Values]) -> list[float]:
    return [value for values in group.values() for value in values]
