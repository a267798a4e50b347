"""The strategy's rules, written once: regimes and exposure bands. Prompts, answers, graders, evaluation import them."""

from dataclasses import dataclass

REGIMES = ("STRONG_BULL", "MILD_BULL", "WEAKENING", "SHORT_TERM_STRESS", "BEAR")


NEUTRAL = {"return_pct": 0.0, "breadth_pct": 50.0, "momentum_pct": 0.0, "volatility_pct": 15.0}
"""What a market number counts as where nobody gave it, in %."""

THRESHOLDS = (
    ("return_pct", -2.0), ("return_pct", -1.5), ("return_pct", -1.0), ("return_pct", 0.0), ("return_pct", 1.0),
    ("breadth_pct", 30.0), ("breadth_pct", 35.0), ("breadth_pct", 50.0), ("breadth_pct", 65.0),
    ("momentum_pct", -5.0), ("momentum_pct", 3.0), ("volatility_pct", 25.0),
)  # fmt: skip
"""Every limit of the regime rule, in %."""

STOP_LOSS_PCT, REDUCE_PCT, TAKE_PROFIT_PCT = -8.0, -3.0, 15.0
WEAK_REGIMES = ("WEAKENING", "SHORT_TERM_STRESS", "BEAR")
MAX_LONG_WEIGHT_PCT = 18


def regime_of(return_pct: float, breadth_pct: float, momentum_pct: float, volatility_pct: float) -> str:
    """The regime of a day from its rounded numbers, all in %."""
    return rule_of(return_pct, breadth_pct, momentum_pct, volatility_pct)[1]


def rule_of(return_pct: float, breadth_pct: float, momentum_pct: float, volatility_pct: float) -> tuple[int, str]:
    """The first rule (1 to 6) that holds, and its regime."""
    r, b, m, v = return_pct, breadth_pct, momentum_pct, volatility_pct
    if r < -2 and b < 30 and m < -5:
        return 1, "BEAR"
    if r < -1.5 and v > 25:
        return 2, "SHORT_TERM_STRESS"
    if r > 1 and b > 65 and m > 3:
        return 3, "STRONG_BULL"
    if r < 0 and 35 <= b <= 50:
        return 4, "WEAKENING"
    if r > 0 and b > 50:
        return 5, "MILD_BULL"
    if r < -1:
        return 6, "SHORT_TERM_STRESS"
    return 6, "WEAKENING" if r < 0 else "MILD_BULL"


@dataclass(frozen=True)
class Exposure:
    """What a regime allows, in % of NAV, both ends included."""

    long_gross: tuple[int, int]
    index_short: tuple[int, int]
    net: tuple[int, int]
    stance: str


EXPOSURES = {
    "STRONG_BULL": Exposure((100, 130), (0, 0), (100, 130), "high beta, momentum, no hedge"),
    "MILD_BULL": Exposure((80, 100), (0, 0), (80, 100), "balanced value / momentum / quality"),
    "WEAKENING": Exposure((60, 80), (10, 20), (40, 70), "low beta, defensive, partial hedge"),
    "SHORT_TERM_STRESS": Exposure((60, 85), (30, 50), (10, 55), "keep longs, index hedge, recovery within 5 days"),
    "BEAR": Exposure((0, 0), (50, 80), (-80, -50), "no single-stock longs"),
}


def exposure_for(regime: str, breadth_pct: float) -> tuple[int, int, int]:
    """Long gross, index short and net in % of NAV: the breadth's place in 0..100 % is the place in the bands."""
    band = EXPOSURES[regime]
    place = min(max(breadth_pct, 0.0), 100.0) / 100
    long_gross = band.long_gross[0] + round((band.long_gross[1] - band.long_gross[0]) * place)
    index_short = band.index_short[1] - round((band.index_short[1] - band.index_short[0]) * place)
    return long_gross, index_short, long_gross - index_short


def book_for(regime: str, breadth_pct: float, stocks: int) -> tuple[int, int, int]:
    """exposure_for, with no more long than this many stocks can carry at MAX_LONG_WEIGHT_PCT each."""
    long_gross, index_short, _ = exposure_for(regime, breadth_pct)
    long_gross = min(long_gross, MAX_LONG_WEIGHT_PCT * stocks)
    return long_gross, index_short, long_gross - index_short


def long_weights(long_gross: int) -> list[int]:
    """Even weights in % that sum to the long gross, over as few stocks as MAX_LONG_WEIGHT_PCT allows."""
    count = -(-long_gross // MAX_LONG_WEIGHT_PCT)
    return [long_gross // count + (place < long_gross % count) for place in range(count)]


def stop_action(pnl_pct: float, regime: str) -> str:
    """What to do with a position of this profit or loss, in %."""
    if pnl_pct <= STOP_LOSS_PCT:
        return "STOP_LOSS"
    if pnl_pct >= TAKE_PROFIT_PCT:
        return "TAKE_PROFIT"
    if pnl_pct <= REDUCE_PCT and regime in WEAK_REGIMES:
        return "REDUCE"
    return "HOLD"


def confidence_pct(return_pct: float, breadth_pct: float, momentum_pct: float, volatility_pct: float) -> int:
    """How far from another regime the day is: 50 % plus 5 for each of eight small moves that would not change it."""
    numbers = {"return_pct": return_pct, "breadth_pct": breadth_pct, "momentum_pct": momentum_pct}
    numbers["volatility_pct"] = volatility_pct
    steps = {"return_pct": 0.4, "breadth_pct": 4.0, "momentum_pct": 1.0, "volatility_pct": 3.0}
    moved = [{**numbers, name: numbers[name] + sign * step} for name, step in steps.items() for sign in (-1, 1)]
    return 50 + 5 * sum(regime_of(**other) == regime_of(**numbers) for other in moved)
