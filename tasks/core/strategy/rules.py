"""The strategy's rules, written once: regimes and exposure bands. Prompts, answers, graders,
evaluation import them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

REGIMES = ("STRONG_BULL", "MILD_BULL", "WEAKENING", "SHORT_TERM_STRESS", "BEAR")
NUMBERS = ("return_pct", "breadth_pct", "momentum_pct", "volatility_pct")
"""The market's numbers of a day, in % (records.Snapshot)."""

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


def regime_of(
    return_pct: float, breadth_pct: float, momentum_pct: float, volatility_pct: float
) -> str:
    """The regime of a day from its rounded numbers, all in %."""
    return rule_of(return_pct, breadth_pct, momentum_pct, volatility_pct)[1]


def rule_of(
    return_pct: float, breadth_pct: float, momentum_pct: float, volatility_pct: float
) -> tuple[int, str]:
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
    "SHORT_TERM_STRESS": Exposure(
        (60, 85), (30, 50), (10, 55), "keep longs, index hedge, recovery within 5 days"
    ),
    "BEAR": Exposure((0, 0), (50, 80), (-80, -50), "no single-stock longs"),
}


def exposure_for(regime: str, breadth_pct: float) -> tuple[int, int, int]:
    """Long gross, index short and net in % of NAV: the breadth's place in 0..100 % is the place in
    the bands.
    """
    band = EXPOSURES[regime]
    place = min(max(breadth_pct, 0.0), 100.0) / 100
    long_gross = band.long_gross[0] + round((band.long_gross[1] - band.long_gross[0]) * place)
    index_short = band.index_short[1] - round((band.index_short[1] - band.index_short[0]) * place)
    return long_gross, index_short, long_gross - index_short


def long_weights(long_gross: int) -> list[int]:
    """Even weights in % that sum to the long gross, over as few stocks as MAX_LONG_WEIGHT_PCT
    allows.
    """
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


def confidence_pct(
    return_pct: float, breadth_pct: float, momentum_pct: float, volatility_pct: float
) -> int:
    """How far from another regime the day is: 50 % plus 5 for each of eight small moves that would
    not change it.
    """
    numbers = {"return_pct": return_pct, "breadth_pct": breadth_pct, "momentum_pct": momentum_pct}
    numbers["volatility_pct"] = volatility_pct
    steps = {"return_pct": 0.4, "breadth_pct": 4.0, "momentum_pct": 1.0, "volatility_pct": 3.0}
    moved = [
        {**numbers, name: numbers[name] + sign * step}
        for name, step in steps.items()
        for sign in (-1, 1)
    ]
    regime = regime_of(**numbers)
    return 50 + 5 * sum(regime_of(**other) == regime for other in moved)


@dataclass(frozen=True)
class Turn:
    """A limit whose crossing by one number changes the regime."""

    name: str
    limit: float
    falls: bool  # the number crosses it downwards
    regime: str  # the regime beyond


_NEAR = {
    "return_pct": 1.0,
    "breadth_pct": 10.0,
    "momentum_pct": 2.0,
    "volatility_pct": 5.0,
}  # what counts as near


def nearest_turn(numbers: Mapping[str, float]) -> Turn | None:
    """The turn of the number nearest to its limit. A number on its limit can cross it either way."""
    regime = regime_of(**numbers)
    for name, limit in sorted(
        THRESHOLDS, key=lambda found: abs(numbers[found[0]] - found[1]) / _NEAR[found[0]]
    ):
        away = numbers[name] - limit
        for falls in (True, False) if away == 0 else (away > 0,):
            beyond = regime_of(**{**numbers, name: limit - 0.1 if falls else limit + 0.1})
            if beyond != regime:
                return Turn(name, limit, falls, beyond)
    return None


MAX_LEVERAGE = 2.0
RISK_LEVELS = ((10.0, "LOW"), (20.0, "ELEVATED"), (35.0, "HIGH"), (float("inf"), "CRITICAL"))
"""Drawdown in % below which a level holds."""


def max_leverage_x100(drawdown_pct: float) -> int:
    """Most leverage in hundredths, rounded down: min(2.0, 100 / MDD %)."""
    return (
        int(100 * MAX_LEVERAGE)
        if drawdown_pct <= 0
        else min(int(100 * MAX_LEVERAGE), int(10_000 / drawdown_pct))
    )


def risk_level(drawdown_pct: float) -> str:
    return next(level for limit, level in RISK_LEVELS if drawdown_pct < limit)


OVERNIGHT_PCT, OVERNIGHT_STEP_PCT = (10, 20), 5
LARGE_US_MOVE_PCT, HIGH_VIX = 1.0, 25.0


def overnight_pct(us_return_pct: float, vix: float) -> int:
    """Overnight overlay in % of NAV: 10, and 5 more for each of a large US move and a high VIX."""
    return OVERNIGHT_PCT[0] + OVERNIGHT_STEP_PCT * (
        (abs(us_return_pct) >= LARGE_US_MOVE_PCT) + (vix >= HIGH_VIX)
    )


GAP_PCT, VOLUME_RATIO, F_SCORE = 3.0, 3.0, 7
STRONG_SCORE, MODERATE_SCORE = 3, 2
OPENING_WEIGHTS = {0: 0, 1: 0, 2: 3, 3: 5, 4: 7, 5: 8}
"""Weight in % of NAV by opening score: nothing for WEAK, 3 to 8 for the others."""


def opening_score(
    gap_pct: float, volume_ratio: float, f_score: float, us_correlation: str, tier: str
) -> int:
    """One point each: gap > 3 %, volume > 3 times, F-Score of 7 or more, high US correlation, mid
    cap.
    """
    return sum(
        (
            gap_pct > GAP_PCT,
            volume_ratio > VOLUME_RATIO,
            f_score >= F_SCORE,
            us_correlation == "high",
            tier == "mid",
        )
    )


def opening_signal(score: int) -> str:
    return "STRONG" if score >= STRONG_SCORE else "MODERATE" if score >= MODERATE_SCORE else "WEAK"


WON_MOVE_PCT = 0.5
"""Change of USD/KRW in % from which the won counts as weak (up) or strong (down)."""


def won_direction(usdkrw_change_pct: float) -> str:
    if usdkrw_change_pct >= WON_MOVE_PCT:
        return "WON_WEAK"
    return "WON_STRONG" if usdkrw_change_pct <= -WON_MOVE_PCT else "NEUTRAL"


SMALL_STEP_PCT = 10
"""A change of net exposure up to this many points of NAV is made in one day."""


def first_day_net(net_now: int, target: int, regime: str) -> int:
    """Net exposure after day 1 of a transition: all of a small step, 70 % into stress or a bear
    market, else half.
    """
    if abs(target - net_now) <= SMALL_STEP_PCT:
        return target
    return net_now + round(
        (target - net_now) * (0.7 if regime in ("SHORT_TERM_STRESS", "BEAR") else 0.5)
    )


SHOCKS = {  # what one point (%) of the shock does to return, breadth, momentum and volatility
    "index_drop": (-1.0, -6.0, -1.0, 2.0),
    "index_rally": (1.0, 6.0, 1.0, 0.0),
    "us_selloff": (-0.6, -5.0, -0.6, 1.5),
    "won_slump": (-0.4, -4.0, -0.5, 1.0),
    "oil_spike": (-0.1, -1.5, -0.2, 0.5),
    "rate_hike": (-1.5, -12.0, -1.0, 4.0),
    "foreign_exodus": (-0.5, -7.0, -1.2, 2.0),
}


def shocked(numbers: Mapping[str, float], shock: str, size_pct: float) -> dict[str, float]:
    """The market's four numbers after a shock of this size, rounded as printed; breadth stays in
    0..100 %.
    """
    after = {
        name: numbers[name] + effect * size_pct
        for name, effect in zip(NUMBERS, SHOCKS[shock], strict=True)
    }
    breadth = min(max(after["breadth_pct"], 0.0), 100.0)
    return {name: round(value, 2) for name, value in after.items()} | {
        "breadth_pct": round(breadth, 1)
    }


def rebalanced(
    weights: Sequence[int], pnls: Sequence[float], regime: str, limit_pct: int
) -> list[int]:
    """Target weights in %: a stopped position goes, none stays above the limit, the sum comes down
    to the band.
    """
    kept = [
        0 if pnl <= STOP_LOSS_PCT else min(weight, limit_pct)
        for weight, pnl in zip(weights, pnls, strict=True)
    ]
    most, gross = EXPOSURES[regime].long_gross[1], sum(kept)
    return [weight * most // gross for weight in kept] if gross > most else kept


RULE_NUMBERS = frozenset(
    abs(number)
    for numbers in (
        (limit for _, limit in THRESHOLDS),
        (
            STOP_LOSS_PCT,
            REDUCE_PCT,
            TAKE_PROFIT_PCT,
            MAX_LONG_WEIGHT_PCT,
            MAX_LEVERAGE,
            SMALL_STEP_PCT,
            WON_MOVE_PCT,
        ),
        (*OVERNIGHT_PCT, OVERNIGHT_STEP_PCT, LARGE_US_MOVE_PCT, HIGH_VIX),
        (GAP_PCT, VOLUME_RATIO, F_SCORE, STRONG_SCORE, MODERATE_SCORE),
        (limit for limit, _ in RISK_LEVELS[:-1]),
        (100,),  # leverage is at most 100 / MDD %
    )
    for number in numbers
)
"""Every limit of the rules, without its sign: what a rationale may quote of them."""

BAND_NUMBERS = frozenset(
    abs(end)
    for band in EXPOSURES.values()
    for span in (band.long_gross, band.index_short, band.net)
    for end in span
)
"""The ends of all exposure bands, without their sign."""
