"""The working of an answer: the comparisons and sums that decide it, each step in one short line.

The lines are ASCII and the same in both languages. They are a pure function of the facts: training
teaches a model to write them before it decides, and a grader wants them exactly.
"""

from bisect import bisect
from collections.abc import Iterable
from functools import lru_cache
from typing import Any

from tasks.core.records.facts import Facts, StockFacts
from tasks.core.strategy.borders import (
    LEAST_CONFIDENCE_PCT,
    MOST_CONFIDENCE_PCT,
    NEAR,
    WILD_CONFIDENCE_PCT,
    Turn,
    by_distance,
    confidence_pct,
    in_steps,
    nearest_turn,
    turns,
)
from tasks.core.strategy.deciding import confidence
from tasks.core.strategy.holdings import preferred
from tasks.core.strategy.rules import (
    DECIMALS,
    EXPOSURES,
    MAX_LEVERAGE,
    NUMBERS,
    REDUCE_PCT,
    RULE_OF_REGIME,
    STOP_LOSS_PCT,
    TAKE_PROFIT_PCT,
    THRESHOLDS,
    WEAK_REGIMES,
    WILD_VOLATILITY_PCT,
    allocation_for,
    carries_longs,
    max_leverage_x100,
    rule_of,
    stop_action,
)
from tasks.core.strategy.stated import known_numbers, missing_numbers, usual_sum


def market_working(facts: Facts, claimed: str | None = None) -> str:
    """Returns where each of the market's numbers lies among the rule's limits, and the regime.

    A number that the question does not state is marked, behind the sum that it usually is. With a
    `claimed` regime, the line ends with that one, as a mistaken reader's would. Of a regime that is
    given the line says so.
    """
    if "current_regime" in facts.words:
        return f"given: {claimed or facts.words['current_regime']}; no numbers to check it by"
    numbers = known_numbers(facts)
    missing = missing_numbers(facts)
    steps = []
    for name in NUMBERS:
        if name in missing:
            steps.append(_usual_step(name, numbers[name], facts))
        else:
            steps.append(_step(name, numbers[name]))
    return f"{'; '.join(steps)}; {_conclusion(numbers, claimed)}"


@lru_cache(maxsize=4096)
def _step(name: str, value: float) -> str:
    """Where a number lies among its limits. Remembered: a row is decided three times."""
    return f"{_short(name)} {_printed(name, value)}: {_place(name, value)}"


def _usual_step(name: str, value: float, facts: Facts) -> str:
    """As _step, of a number that is not stated: behind the sum that it usually is."""
    printed = f"{usual_sum(name, facts)} {_short(name)} {_printed(name, value)}".strip()
    return f"{printed} (usual): {_place(name, value)}"


def confidence_working(facts: Facts) -> str:
    """Returns how far each number is from the limit that would change the regime, which is nearest,
    and the confidence that it leaves.
    """
    if "current_regime" in facts.words:
        return f"unchecked: confidence {confidence(facts).value}"
    numbers = known_numbers(facts)
    steps = [_distance_working(**numbers)]
    if numbers["volatility_pct"] > WILD_VOLATILITY_PCT:
        wild = f"volatility above {WILD_VOLATILITY_PCT:g}, at most {WILD_CONFIDENCE_PCT}"
        steps.append(f"{wild}: {confidence_pct(**numbers)}")
    if missing_numbers(facts):
        steps.append(f"half {confidence(facts).value}")
    return "; ".join(steps)


@lru_cache(maxsize=1024)
def _distance_working(**numbers: float) -> str:
    """Every number's turn, the nearest of them, and the confidence that its distance gives."""
    nearest = nearest_turn(numbers)
    if nearest is None:
        return f"no turn; confidence {MOST_CONFIDENCE_PCT}"
    away = ", ".join(_turn_working(turn, numbers) for turn in turns(numbers))
    confident = f"1 or more: {MOST_CONFIDENCE_PCT}"
    if nearest.nearness(numbers) < 1:
        span = MOST_CONFIDENCE_PCT - LEAST_CONFIDENCE_PCT
        nearness = _printed_nearness(nearest, numbers)
        confident = f"{LEAST_CONFIDENCE_PCT}+{span}*{nearness}: {in_steps(by_distance(numbers))}"
    first = f"{_short(nearest.name)} first, to {nearest.regime}"
    return f"turns: {away}; {first}; confidence {confident}"


def _turn_working(turn: Turn, numbers: dict[str, float]) -> str:
    """A turn's limit, and its distance in points, worked out, and in units of NEAR."""
    step = f"{_short(turn.name)} {turn.limit:g}: {_distance_sum(turn, numbers)}"
    nearness, unit = _printed_nearness(turn, numbers), NEAR[turn.name]
    if unit == 1:
        return f"{step}{nearness}"
    return f"{step}{_printed(turn.name, turn.distance(numbers))}/{unit:g}={nearness}"


def _distance_sum(turn: Turn, numbers: dict[str, float]) -> str:
    """The sum that gives the distance, without its result: the larger size less the smaller one,
    as in 1.31-1=, or both together across zero, as in 0.40+1=. Empty for a limit of 0.
    """
    value = numbers[turn.name]
    size, limit = _printed(turn.name, abs(value)), f"{abs(turn.limit):g}"
    if turn.limit == 0:
        return ""
    if value * turn.limit < 0:
        return f"{size}+{limit}="
    if abs(value) < abs(turn.limit):
        return f"{limit}-{size}="
    return f"{size}-{limit}="


def _printed_nearness(turn: Turn, numbers: dict[str, float]) -> str:
    """With the same decimals for all, which say each exactly."""
    return f"{turn.nearness(numbers):.3f}"


def exposure_working(regime: str, facts: Facts) -> str:
    """Returns how the exposures follow from the regime's bands and the breadth, in % of NAV."""
    bands = EXPOSURES[regime]
    numbers = known_numbers(facts)
    breadth, volatility = numbers["breadth_pct"], numbers["volatility_pct"]
    point = allocation_for(regime, breadth, volatility)
    net = f"net {point.long_gross}-{point.index_short}={point.net}"
    if volatility > WILD_VOLATILITY_PCT:
        wild = f"volatility above {WILD_VOLATILITY_PCT:g}"
        return f"{wild}: least long {point.long_gross}; most short {point.index_short}; {net}"
    long = _sum(bands.long_gross, "+", breadth, point.long_gross)
    short = _sum(bands.index_short, "-", breadth, point.index_short)
    return f"long {long}; short {short}; {net}"


def preference_working(facts: Facts, regime: str, count: int) -> str:
    """Returns the first of the stocks as the regime's stance likes them, behind the betas of all
    of them, or their distances from 1, which order them.
    """
    measure, order, base = "betas from 1", "nearest", 1.0
    if regime in WEAK_REGIMES:
        measure, order, base = "betas", "lowest", 0.0
    elif regime == "STRONG_BULL":
        measure, order, base = "betas", "highest", 0.0

    def measured(stocks: Iterable[StockFacts]) -> str:
        sizes = [f"{abs(stock.numbers['beta'] - base):.2f} {stock.ticker}" for stock in stocks]
        return ", ".join(sizes)

    chosen = preferred(facts, regime)[:count]
    return f"{measure} {measured(facts.stocks)}; {order} first: {measured(chosen)}"


def ceiling_working(drawdown_pct: float) -> str:
    """Returns the most leverage that a drawdown allows: 100 / MDD, rounded down to hundredths, and
    the cap for a drawdown that allows no less.
    """
    if drawdown_pct <= 0:
        return f"no MDD: ceiling {MAX_LEVERAGE:.2f}"
    most = max_leverage_x100(drawdown_pct) / 100
    capped_until = 100 / MAX_LEVERAGE
    if drawdown_pct <= capped_until:
        return f"MDD {drawdown_pct:.1f}<={capped_until:g}: ceiling {most:.2f}"
    return f"ceiling 100/{drawdown_pct:.1f}={most:.2f}"


def orders_working(orders: Iterable[dict[str, Any]]) -> str:
    """Returns the weight times the multiple of each fund that is bought: its effective exposure."""
    parts = []
    for order in orders:
        weight, effective = order["weight_pct"], order["effective_pct"]
        parts.append(f"{order['ticker']} {weight}*{effective // weight}={effective}")
    return ", ".join(parts)


def limits_working(regime: str) -> str:
    """Returns the limits of the stop review that count in this regime."""
    if not carries_longs(regime):
        return f"{regime}: no longs; limits {STOP_LOSS_PCT:g}, {TAKE_PROFIT_PCT:g}"
    if regime in WEAK_REGIMES:
        return f"{regime} weak: limits {STOP_LOSS_PCT:g}, {REDUCE_PCT:g}, {TAKE_PROFIT_PCT:g}"
    return f"{regime} not weak: limits {STOP_LOSS_PCT:g}, {TAKE_PROFIT_PCT:g}"


def stop_working(pnl_pct: float, regime: str) -> str:
    """Returns between which limits of the stop review a profit or loss (%) lies, and the action."""
    action = stop_action(pnl_pct, regime)
    step = f"{pnl_pct:+.1f}: {_stop_place(pnl_pct)}"
    if action in ("STOP_LOSS", "TAKE_PROFIT"):
        return f"{step} {action}"
    if not carries_longs(regime):
        return f"{step}, {regime}: {action}"
    if pnl_pct > REDUCE_PCT:
        return f"{step} {action}"
    weak = "weak" if regime in WEAK_REGIMES else "not weak"
    return f"{step}, {weak}: {action}"


def _stop_place(pnl_pct: float) -> str:
    if pnl_pct <= STOP_LOSS_PCT:
        return f"<={STOP_LOSS_PCT:g}"
    if pnl_pct <= REDUCE_PCT:
        return f"{STOP_LOSS_PCT:g} to {REDUCE_PCT:g}"
    if pnl_pct < TAKE_PROFIT_PCT:
        return f"{REDUCE_PCT:g} to {TAKE_PROFIT_PCT:g}"
    return f">={TAKE_PROFIT_PCT:g}"


def _sum(band: tuple[int, int], sign: str, breadth: float, result: int) -> str:
    """A point of a band: its low end plus, or its high end minus, the breadth's share of it."""
    low, high = band
    if low == high:
        return str(low)
    start = low if sign == "+" else high
    return f"{start}{sign}{high - low}*{breadth:.1f}%={result}"


def _short(name: str) -> str:
    return name.removesuffix("_pct")


def _printed(name: str, value: float) -> str:
    return f"{value:.{DECIMALS[name]}f}"


def _place(name: str, value: float) -> str:
    """Where a number lies among its limits: below, above, between two, or at one."""
    limits = _LIMITS[name]
    if value in limits:
        return f"at {value:g}"
    above = bisect(limits, value)
    if not above:
        return f"below {limits[0]:g}"
    if above == len(limits):
        return f"above {limits[-1]:g}"
    return f"{limits[above - 1]:g} to {limits[above]:g}"


_LIMITS = {name: sorted({limit for of, limit in THRESHOLDS if of == name}) for name in NUMBERS}


def _conclusion(numbers: dict[str, float], claimed: str | None) -> str:
    rule, regime = rule_of(**numbers)
    if claimed and claimed != regime:
        rule, regime = RULE_OF_REGIME[claimed], claimed
    return f"rule {rule}: {regime}"
