"""Numbers that could be: market days of every regime, and what the data does not hold, in keeping
with the regime.

Each is rounded as prompts print it, and values at a rule's own border come up more often than
chance would bring them.
"""

from collections.abc import Mapping
from random import Random

from tasks.core.strategy import rules as strategy
from tasks.core.strategy.rules import EXPOSURES, REGIMES, WEAK_REGIMES, regime_of

# return, breadth, momentum, volatility: ranges in % around each regime's corner of the rule
_MARKET = {
    "BEAR": ((-5.0, -2.01), (8.0, 29.9), (-14.0, -5.01), (18.0, 48.0)),
    "SHORT_TERM_STRESS": ((-3.8, -1.01), (12.0, 34.9), (-7.0, 2.0), (14.0, 42.0)),
    "WEAKENING": ((-0.99, -0.01), (22.0, 50.0), (-4.0, 3.0), (9.0, 24.0)),
    "MILD_BULL": ((0.01, 1.4), (45.0, 70.0), (-3.0, 5.0), (8.0, 22.0)),
    "STRONG_BULL": ((1.01, 3.8), (65.1, 90.0), (3.01, 12.0), (10.0, 30.0)),
}
_PNL_EDGES = (-8.0, -8.1, -7.9, -3.0, -3.1, -2.9, 15.0, 14.9, 15.1)
_WON_EDGES = (-0.5, -0.49, 0.49, 0.5)


def simulate_market(rng: Random) -> dict[str, float]:
    """A day of a regime drawn evenly."""
    regime = rng.choice(REGIMES)
    while True:
        r, b, m, v = (rng.uniform(*span) for span in _MARKET[regime])
        numbers = {
            "return_pct": round(r, 2),
            "breadth_pct": round(b, 1),
            "momentum_pct": round(m, 2),
            "volatility_pct": round(v, 2),
        }
        if regime_of(**numbers) == regime:
            return numbers


def simulate_number(
    name: str, regime: str, numbers: Mapping[str, float], words: Mapping[str, str], rng: Random
) -> float:
    """A number of lexicon.CONTEXT for a day of this regime, given what the scene says already."""
    weak, move = regime in WEAK_REGIMES, numbers["return_pct"]
    if name == "us_return_pct":
        return round(0.4 * move + rng.gauss(0, 0.9), 2) + 0.0
    if name == "vix":
        return round(min(max(0.9 * numbers["volatility_pct"] + rng.gauss(4, 3), 9.5), 80.0), 1)
    if name == "usdkrw":
        return round(rng.uniform(1_290, 1_480) if weak else rng.uniform(1_180, 1_400), 1)
    if name == "usdkrw_change_pct":
        edge = rng.random() < 0.2
        return rng.choice(_WON_EDGES) if edge else round(-0.25 * move + rng.gauss(0, 0.7), 2) + 0.0
    if name == "foreign_net_buy_100m_krw":
        return float(10 * round(250 * move + rng.gauss(0, 150)))
    if name == "sentiment_points":
        return float(round(min(max(50 + 12 * move + rng.gauss(0, 6), 2), 98)))
    if name == "nav_100m_krw":
        return float(rng.choice((100, 300, 500, 800, 1_200, 2_500, 5_000, 10_000, 12_500, 30_000)))
    if name == "drawdown_pct":
        return round(rng.uniform(12, 62) if weak else rng.uniform(4, 48), 1)
    if name == "leverage_x":
        return round(rng.uniform(0.5, 2.4), 2)
    if name == "net_now_pct":
        low, high = EXPOSURES[words.get("previous_regime", regime)].net
        return float(rng.randint(low, high))
    if name == "max_weight_pct":
        return float(rng.choice((10, 12, 14, 15, 16, 18)))
    if name == "shock_pct":
        return round(
            rng.uniform(0.5, 2.0) if words["shock"] == "rate_hike" else rng.uniform(1.0, 9.0), 1
        )
    raise ValueError(f"no such number: {name}")


SIMULATED_STOCK_NUMBERS = ("pnl_pct", "weight_pct", "gap_pct", "volume_x", "f_score")
"""Numbers of lexicon.STOCK that belong to a portfolio or an opening, not to the market's data."""


def simulate_stock_number(name: str, rng: Random) -> float:
    """One of SIMULATED_STOCK_NUMBERS."""
    edge = rng.random() < 0.25
    if name == "pnl_pct":
        return rng.choice(_PNL_EDGES) if edge else round(rng.uniform(-14, 22), 1) + 0.0
    if name == "weight_pct":
        return float(rng.randint(6, 27))
    if name == "gap_pct":
        return rng.choice((2.9, strategy.GAP_PCT, 3.1)) if edge else round(rng.uniform(0.3, 9.0), 1)
    if name == "volume_x":
        return (
            rng.choice((2.9, strategy.VOLUME_RATIO, 3.1))
            if edge
            else round(rng.uniform(0.6, 7.0), 1)
        )
    if name == "f_score":
        return float(rng.randint(2, 9))
    raise ValueError(f"no such number: {name}")
