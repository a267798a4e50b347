"""What follows from the numbers of a question and of an answer: sums, distances and averages that a
text may quote in its own words.
"""

from collections.abc import Iterable, Iterator, Mapping
from itertools import combinations
from typing import Any

from tasks.core.records.facts import Facts
from tasks.core.strategy.rules import (
    GAP_PCT,
    MAX_LONG_WEIGHT_PCT,
    REDUCE_PCT,
    STOP_LOSS_PCT,
    TAKE_PROFIT_PCT,
    THRESHOLDS,
)
from tasks.core.strategy.stated import known_numbers

_OfStocks = Mapping[str, Mapping[str, tuple[float, ...]]]
_LIMITS_OF_STOCKS = {
    "pnl_pct": (STOP_LOSS_PCT, REDUCE_PCT, TAKE_PROFIT_PCT),
    "gap_pct": (GAP_PCT,),
}


def consequences(
    answer: Any, facts: Facts, market: Iterable[float], of_stocks: _OfStocks
) -> Iterator[float]:
    """Yields what follows exactly, with any sign: distances, sums of weights, what is left."""
    numbers = known_numbers(facts)
    for name, limit in THRESHOLDS:
        yield numbers[name] - limit
    yield from _both_ways(market)
    yield 100 - numbers["breadth_pct"]
    for entries in lists_in(answer):
        yield from _of_weights([weight_of(entry) for entry in entries])
        for entry in entries:
            yield from of_entry(entry, of_stocks)
    yield from _of_exposures(answer, facts)


def of_entry(entry: Mapping[str, Any], of_stocks: _OfStocks) -> Iterator[float]:
    """Yields what follows from the numbers of one entry and of its stock, with any sign."""
    stated = of_stocks.get(entry.get("ticker", ""), {})
    weights = [float(MAX_LONG_WEIGHT_PCT), *stated.get("weight_pct", ())]
    weights += [value for _, value in integers(entry)]
    yield from _apart(weights)
    for name, limits in _LIMITS_OF_STOCKS.items():
        for value in stated.get(name, ()):
            yield from (value - limit for limit in limits)
            yield value / 2


def averages(answer: Any, facts: Facts, of_stocks: _OfStocks) -> Iterator[float]:
    """Yields what texts round: means of the stocks' numbers, evenly and by weight, ratios, and
    amounts of won.
    """
    for entries in lists_in(answer):
        for name in {name for group in of_stocks.values() for name in group}:
            yield from _averages_of(name, entries, of_stocks)
    drawdown = facts.numbers.get("drawdown_pct")
    if drawdown:
        yield 100 / drawdown
    for _, value in integers(answer):
        yield facts.numbers.get("nav_100m_krw", 0) * value / 100


def _of_weights(weights: list[float]) -> Iterator[float]:
    total = sum(weights)
    yield total
    yield from (total - weight for weight in weights)
    yield from _both_ways(weights)


def _of_exposures(answer: Any, facts: Facts) -> Iterator[float]:
    """Yields what lies between two exposures, and what they leave of 100 %."""
    whole = [value for listed, value in integers(answer) if not listed]
    whole += [
        facts.numbers[name] for name in ("net_now_pct", "max_weight_pct") if name in facts.numbers
    ]
    yield from _apart(whole)
    yield from (100 - value for value in whole)


def _averages_of(name: str, entries: list[dict[str, Any]], of_stocks: _OfStocks) -> Iterator[float]:
    held = []
    for entry in entries:
        values = of_stocks.get(entry.get("ticker", ""), {}).get(name)
        if values:
            held.append((values[0], weight_of(entry)))
    if not held:
        return
    yield sum(value for value, _ in held) / len(held)
    weighted = sum(value * weight for value, weight in held)
    yield weighted / 100
    total = sum(weight for _, weight in held)
    if total:
        yield weighted / total


def _apart(values: Iterable[float]) -> Iterator[float]:
    for one, other in combinations(values, 2):
        yield one - other


def _both_ways(values: Iterable[float]) -> Iterator[float]:
    for one, other in combinations(values, 2):
        yield one - other
        yield one + other


# Numbers of an answer.


def weight_of(entry: Mapping[str, Any]) -> float:
    """Returns what an entry weighs in % of NAV, 0 if it does not say."""
    for key in ("weight_pct", "target_weight_pct"):
        if isinstance(entry.get(key), int):
            return float(entry[key])
    return 0.0


def lists_in(answer: Any) -> Iterator[list[dict[str, Any]]]:
    """Yields the lists of objects in an answer, at any depth."""
    if isinstance(answer, dict):
        for value in answer.values():
            if isinstance(value, (dict, list)):
                yield from lists_in(value)
    elif isinstance(answer, list) and answer and isinstance(answer[0], dict):
        yield answer


def integers(answer: Any, listed: bool = False) -> Iterator[tuple[bool, float]]:
    """Yields an answer's integers in the unit that texts print, not hundredths, tenths or basis
    points; and whether each stands in a list.
    """
    if isinstance(answer, dict):
        for key, value in answer.items():
            if isinstance(value, int):
                yield listed, value / _scale_of(key)
            elif not isinstance(value, str):
                yield from integers(value, listed)
    elif isinstance(answer, list):
        for entry in answer:
            if not isinstance(entry, str):
                yield from integers(entry, True)


def _scale_of(key: str) -> int:
    if key.endswith(("_x100", "_bp")):
        return 100
    if key.endswith("_x10"):
        return 10
    return 1


def nets_add_up(answer: Any) -> bool:
    """Whether each net exposure is the long gross beside it less the index short, to a point of
    rounding.
    """
    contents = answer
    if isinstance(answer, dict):
        long, short = answer.get("long_gross_pct"), answer.get("index_short_pct")
        net = answer.get("net_exposure_pct")
        if isinstance(long, int) and isinstance(short, int) and isinstance(net, int):
            return abs(long - short - net) <= 1
        contents = answer.values()
    return all(nets_add_up(value) for value in contents if isinstance(value, (dict, list)))
