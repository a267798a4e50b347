"""Numbers that could be: market days of every regime, and what the data does not hold, in keeping
with the regime.

Each is rounded as prompts print it, and values at a rule's own border come up more often than
chance would bring them. All chance comes from the generator that the caller gives; the module reads
and writes no file.
"""

from collections.abc import Mapping, Sequence
from random import Random

from tasks.core.strategy.borders import NEAR, confidence_pct, nearest_turn
from tasks.core.strategy.rules import (
    DECIMALS,
    EXPOSURES,
    GAP_PCT,
    MAX_LEVERAGE,
    MAX_LONG_WEIGHT_PCT,
    NUMBERS,
    REDUCE_PCT,
    REGIMES,
    STOP_LOSS_PCT,
    TAKE_PROFIT_PCT,
    VOLUME_RATIO,
    WEAK_REGIMES,
    WON_MOVE_PCT,
    regime_of,
)
from tasks.core.strategy.universe import sector_of

# return, breadth, momentum, volatility: ranges in % around each regime's corner of the rule
_MARKET = {
    "BEAR": ((-5.0, -2.01), (8.0, 29.9), (-14.0, -5.01), (18.0, 48.0)),
    "SHORT_TERM_STRESS": ((-3.8, -1.01), (12.0, 34.9), (-7.0, 2.0), (14.0, 42.0)),
    "WEAKENING": ((-0.99, -0.01), (22.0, 50.0), (-4.0, 3.0), (9.0, 24.0)),
    "MILD_BULL": ((0.01, 1.4), (45.0, 70.0), (-3.0, 5.0), (8.0, 22.0)),
    "STRONG_BULL": ((1.01, 3.8), (65.1, 90.0), (3.01, 12.0), (10.0, 30.0)),
}


def simulate_market(rng: Random, regime: str | None = None) -> dict[str, float]:
    """Returns the four numbers of a day of this regime, or of one that is drawn evenly."""
    regime = regime or rng.choice(REGIMES)
    while True:
        numbers = {}
        for name, span in zip(NUMBERS, _MARKET[regime], strict=True):
            numbers[name] = round(rng.uniform(*span), DECIMALS[name])
        if regime_of(**numbers) == regime:
            return numbers


NEAR_A_LIMIT_PCT = 60
"""A day with no more confidence than this is near a limit of its regime."""


def simulate_near(rng: Random, regime: str | None = None) -> dict[str, float]:
    """Returns the same of a day that is near a limit of its regime."""
    while True:
        numbers = simulate_market(rng, regime)
        turn = nearest_turn(numbers)
        if turn:
            step = rng.uniform(0, 0.2) * NEAR[turn.name] * (1 if turn.falls else -1)
            moved = {**numbers, turn.name: round(turn.limit + step, DECIMALS[turn.name]) + 0.0}
            same_regime = regime is None or regime_of(**moved) == regime
            if same_regime and confidence_pct(**moved) <= NEAR_A_LIMIT_PCT:
                return moved


# Numbers of a question beside the market's. `+ 0.0` makes 0.0 of -0.0, which prints a minus.

_WON_EDGES = (-WON_MOVE_PCT, 0.01 - WON_MOVE_PCT, WON_MOVE_PCT - 0.01, WON_MOVE_PCT)
_NAVS = (
    *(30, 50, 80, 100, 150, 200, 300, 500, 800, 1_200),
    *(2_500, 5_000, 10_000, 12_500, 30_000),
)
"""In hundred millions (억) of won."""
_MAX_WEIGHTS = (10, 12, 14, 15, 16, 18)


def simulate_number(
    name: str, regime: str, numbers: Mapping[str, float], words: Mapping[str, str], rng: Random
) -> float:
    """Returns a number of lexicon.CONTEXT for a day of this regime.

    It depends on the market's `numbers` and on the `words` that the scene has already. Raises
    ValueError if the lexicon has no number of that name.
    """
    market_return = numbers["return_pct"]
    match name:
        case "us_return_pct":
            return round(0.4 * market_return + rng.gauss(0, 0.9), 2) + 0.0
        case "vix":
            vix = 0.9 * numbers["volatility_pct"] + rng.gauss(4, 3)
            return round(_between(9.5, vix, 80.0), 1)
        case "usdkrw":
            return _usdkrw(regime, rng)
        case "usdkrw_change_pct":
            return _usdkrw_change(market_return, rng)
        case "foreign_net_buy_100m_krw":
            return float(10 * round(250 * market_return + rng.gauss(0, 150)))
        case "sentiment_points":
            points = 50 + 12 * market_return + rng.gauss(0, 6)
            return float(round(_between(2, points, 98)))
        case "nav_100m_krw":
            return float(rng.choice(_NAVS))
        case "drawdown_pct":
            return _drawdown(regime, rng)
        case "leverage_x":
            return round(rng.uniform(0.5, 2.4), 2)
        case "net_now_pct":
            low, high = EXPOSURES[words.get("previous_regime", regime)].net
            return float(rng.randint(low, high))
        case "max_weight_pct":
            return float(rng.choice(_MAX_WEIGHTS))
        case "shock_pct":
            return _shock(words["shock"], rng)
    raise ValueError(f"no such number: {name}")


_MOST_OF_A_COMPANY = 0.02
"""A fund's largest position is at most this share of a company, or it could not be traded."""


def simulate_nav(rng: Random, smallest_cap: float) -> float:
    """Returns a NAV in hundred millions (억) of won that can hold the largest allowed position of a
    company with this market cap in won.
    """
    most = smallest_cap * _MOST_OF_A_COMPANY / (MAX_LONG_WEIGHT_PCT / 100) / 1e8
    fitting = [nav for nav in _NAVS if nav <= most] or [_NAVS[0]]
    return float(rng.choice(fitting))


def _between(low: float, value: float, high: float) -> float:
    return min(max(value, low), high)


def _usdkrw(regime: str, rng: Random) -> float:
    if regime in WEAK_REGIMES:
        return round(rng.uniform(1_290, 1_480), 1)
    return round(rng.uniform(1_180, 1_400), 1)


def _usdkrw_change(market_return: float, rng: Random) -> float:
    at_an_edge = rng.random() < 0.2
    if at_an_edge:
        return rng.choice(_WON_EDGES)
    return round(-0.25 * market_return + rng.gauss(0, 1.0), 2) + 0.0


_BINDING_SHARE = 0.25
"""Share of drawdowns that allow less than the cap on leverage, or the division would be rare."""


def _drawdown(regime: str, rng: Random) -> float:
    if rng.random() < _BINDING_SHARE:
        return round(rng.uniform(100 / MAX_LEVERAGE + 0.1, 70), 1)
    if regime in WEAK_REGIMES:
        return round(rng.uniform(12, 62), 1)
    return round(rng.uniform(4, 48), 1)


_ODD_SHARE = 0.15
"""Share of shocks that are given to a tenth; people mostly say halves."""


def _shock(shock: str, rng: Random) -> float:
    least, most = (0.5, 2.0) if shock == "rate_hike" else (1.0, 9.0)
    if rng.random() < _ODD_SHARE:
        return round(rng.uniform(least, most), 1)
    return rng.randint(round(2 * least), round(2 * most)) / 2


# Numbers of one stock.

SIMULATED_STOCK_NUMBERS = ("pnl_pct", "weight_pct", "gap_pct", "volume_x", "f_score")
"""Numbers of lexicon.STOCK that belong to a portfolio or an opening, not to the market's data."""

OF_THE_WORLD = (
    *("us_return_pct", "vix", "usdkrw", "usdkrw_change_pct"),
    *("foreign_net_buy_100m_krw", "sentiment_points"),
    *("gap_pct", "volume_x", "f_score"),
    "previous_regime",
)
"""What a real day had, whether or not our data holds them. Others are a book's own, or a
supposition. A question that names a day invents none of these.
"""

_EDGES = {
    "pnl_pct": (
        *(STOP_LOSS_PCT, STOP_LOSS_PCT - 0.1, STOP_LOSS_PCT + 0.1),
        *(REDUCE_PCT, REDUCE_PCT - 0.1, REDUCE_PCT + 0.1),
        *(TAKE_PROFIT_PCT, TAKE_PROFIT_PCT - 0.1, TAKE_PROFIT_PCT + 0.1),
    ),
    "gap_pct": (GAP_PCT - 0.1, GAP_PCT, GAP_PCT + 0.1),
    "volume_x": (VOLUME_RATIO - 0.1, VOLUME_RATIO, VOLUME_RATIO + 0.1),
}
"""Values on and beside the rules' limits."""


def simulate_stock_number(name: str, rng: Random) -> float:
    """Returns one of SIMULATED_STOCK_NUMBERS. Raises ValueError for another name."""
    at_an_edge = rng.random() < 0.25
    if at_an_edge and name in _EDGES:
        return rng.choice(_EDGES[name])
    match name:
        case "pnl_pct":
            return round(_between(-25.0, rng.gauss(2.5, 8.0), 40.0), 1) + 0.0
        case "weight_pct":
            return float(rng.randint(6, 27))
        case "gap_pct":
            return round(rng.uniform(0.3, 9.0), 1)
        case "volume_x":
            return round(rng.uniform(0.6, 7.0), 1)
        case "f_score":
            return float(rng.randint(2, 9))
    raise ValueError(f"no such number: {name}")


# Valuations.

_CHEAP_SHARE, _DEAR_SHARE = 0.25, 0.2
"""Shares of simulated ratios that lie below and above their sector's usual range."""
_DECIMALS_OF_RATIOS = {"per": 1, "pbr": 2, "ev_ebitda": 1, "roe_pct": 1}


def simulate_ratios(
    ticker: str, wanted: Sequence[str], known: Mapping[str, float], rng: Random
) -> dict[str, float]:
    """Returns the wanted numbers of a company's valuation and quality, in keeping with its sector.

    The return on equity is what PER and PBR say: profit on book value is PBR / PER.
    """
    sector = sector_of(ticker)
    ratios = dict(known)
    for name in wanted:
        if name == "f_score":
            ratios[name] = simulate_stock_number(name, rng)
        elif name == "roe_pct" and {"per", "pbr"} <= ratios.keys():
            ratios[name] = round(100 * ratios["pbr"] / ratios["per"], 1)
        else:
            low, high = sector.usual(name)
            ratios[name] = round(_around(low, high, rng), _DECIMALS_OF_RATIOS[name])
    return {name: ratios[name] for name in wanted}


def _around(low: float, high: float, rng: Random) -> float:
    chance = rng.random()
    if chance < _CHEAP_SHARE:
        return rng.uniform(0.6 * low, low)
    if chance < _CHEAP_SHARE + _DEAR_SHARE:
        return rng.uniform(high, 1.4 * high)
    return rng.uniform(low, high)
