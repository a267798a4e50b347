"""The strategy's rules, written once: which regime a day belongs to, and what each regime allows.

Prompts, answers, graders and the evaluation all import them from here. The module reads no file:
everything is a constant or a pure function. Percentages are plain numbers, so 5.0 means 5 %.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

REGIMES = ("STRONG_BULL", "MILD_BULL", "WEAKENING", "SHORT_TERM_STRESS", "BEAR")
WEAK_REGIMES = ("WEAKENING", "SHORT_TERM_STRESS", "BEAR")


# How much each regime allows.


@dataclass(frozen=True)
class Exposure:
    """What a regime allows: bands in % of NAV, both ends included."""

    long_gross: tuple[int, int]
    index_short: tuple[int, int]
    net: tuple[int, int]


EXPOSURES = {
    # high beta, momentum, no hedge
    "STRONG_BULL": Exposure(long_gross=(100, 130), index_short=(0, 0), net=(100, 130)),
    # balanced value / momentum / quality
    "MILD_BULL": Exposure(long_gross=(80, 100), index_short=(0, 0), net=(80, 100)),
    # low beta, defensive, partial hedge
    "WEAKENING": Exposure(long_gross=(60, 80), index_short=(10, 20), net=(40, 70)),
    # keep longs, index hedge, recovery within 5 days
    "SHORT_TERM_STRESS": Exposure(long_gross=(60, 85), index_short=(30, 50), net=(10, 55)),
    # no single-stock longs
    "BEAR": Exposure(long_gross=(0, 0), index_short=(50, 80), net=(-80, -50)),
}
"""What each regime allows, with its stance above it."""


def carries_longs(regime: str) -> bool:
    """Whether a regime carries single-stock longs: what it forbids is forbidden in every kind."""
    return EXPOSURES[regime].long_gross[1] > 0


@dataclass(frozen=True)
class Allocation:
    """One point inside a regime's bands, in % of NAV."""

    long_gross: int
    index_short: int

    @property
    def net(self) -> int:
        """The net exposure: what is held long, less the index short."""
        return self.long_gross - self.index_short


WILD_VOLATILITY_PCT = 40.0
"""Above this volatility exposures are at the careful end of their bands, and no confidence is
high.
"""


@lru_cache(maxsize=1024)
def allocation_for(regime: str, breadth_pct: float, volatility_pct: float) -> Allocation:
    """Returns the point in the regime's bands that corresponds to the breadth.

    At a breadth of 0 % the longs are at the low end of their band and the index short at the high
    end of its own, at 100 % the other way round, and in between in proportion. While the volatility
    is above WILD_VOLATILITY_PCT, it is that of a breadth of 0 %.
    """
    bands = EXPOSURES[regime]
    position = min(max(breadth_pct, 0.0), 100.0) / 100
    if volatility_pct > WILD_VOLATILITY_PCT:
        position = 0.0
    fewest_long, most_long = bands.long_gross
    least_short, most_short = bands.index_short
    return Allocation(
        long_gross=fewest_long + round((most_long - fewest_long) * position),
        index_short=most_short - round((most_short - least_short) * position),
    )


# Which regime a day belongs to.

NUMBERS = ("return_pct", "breadth_pct", "momentum_pct", "volatility_pct")
"""The market's numbers of a day, all in % (records.market.Snapshot)."""

DECIMALS = {"return_pct": 2, "breadth_pct": 1, "momentum_pct": 2, "volatility_pct": 2}
"""How many decimals of each number are printed; snapshots.sql rounds them so."""

THRESHOLDS = (
    ("return_pct", -2.0),
    ("return_pct", -1.5),
    ("return_pct", -1.0),
    ("return_pct", 0.0),
    ("return_pct", 1.0),
    ("breadth_pct", 30.0),
    ("breadth_pct", 35.0),
    ("breadth_pct", 50.0),
    ("breadth_pct", 65.0),
    ("momentum_pct", -5.0),
    ("momentum_pct", 3.0),
    ("volatility_pct", 25.0),
)
"""Every limit in rule_of, in %."""


RULE_OF_REGIME = {
    "BEAR": 1,
    "SHORT_TERM_STRESS": 2,
    "STRONG_BULL": 3,
    "WEAKENING": 4,
    "MILD_BULL": 5,
}
"""The number of the rule that names each regime first."""


def regime_of(
    return_pct: float, breadth_pct: float, momentum_pct: float, volatility_pct: float
) -> str:
    """Returns the regime of a day from its rounded numbers, all in %."""
    return rule_of(return_pct, breadth_pct, momentum_pct, volatility_pct)[1]


def rule_of(
    return_pct: float, breadth_pct: float, momentum_pct: float, volatility_pct: float
) -> tuple[int, str]:
    """Returns the number (1 to 6) of the first rule that holds, and the regime it gives."""
    if return_pct < -2 and breadth_pct < 30 and momentum_pct < -5:
        return 1, "BEAR"
    if return_pct < -1.5 and volatility_pct > 25:
        return 2, "SHORT_TERM_STRESS"
    if return_pct > 1 and breadth_pct > 65 and momentum_pct > 3:
        return 3, "STRONG_BULL"
    if return_pct < 0 and 35 <= breadth_pct <= 50:
        return 4, "WEAKENING"
    if return_pct > 0 and breadth_pct > 50:
        return 5, "MILD_BULL"
    if return_pct < -1:
        return 6, "SHORT_TERM_STRESS"
    if return_pct < 0:
        return 6, "WEAKENING"
    return 6, "MILD_BULL"


# What happens to single positions.

STOP_LOSS_PCT = -8.0
REDUCE_PCT = -3.0
TAKE_PROFIT_PCT = 15.0
MAX_LONG_WEIGHT_PCT = 18


def long_weights(long_gross: int) -> list[int]:
    """Returns even weights in % that sum to the long gross.

    They are as few as MAX_LONG_WEIGHT_PCT allows; the first ones carry the remainder.
    """
    count = -(-long_gross // MAX_LONG_WEIGHT_PCT)  # rounded up
    if count == 0:
        return []
    weight, remainder = divmod(long_gross, count)
    return [weight + 1] * remainder + [weight] * (count - remainder)


def stop_action(pnl_pct: float, regime: str) -> str:
    """Returns what to do with a position of this profit or loss, in %.

    Where no single-stock long is carried, whatever is not stopped or taken goes too.
    """
    if pnl_pct <= STOP_LOSS_PCT:
        return "STOP_LOSS"
    if pnl_pct >= TAKE_PROFIT_PCT:
        return "TAKE_PROFIT"
    if not carries_longs(regime):
        return "EXIT"
    if pnl_pct <= REDUCE_PCT and regime in WEAK_REGIMES:
        return "REDUCE"
    return "HOLD"


# How much risk a drawdown allows.

MAX_LEVERAGE = 2.0
RISK_LEVELS = ((10.0, "LOW"), (20.0, "ELEVATED"), (35.0, "HIGH"), (float("inf"), "CRITICAL"))
"""Each level holds for a drawdown in % below its number."""


def max_leverage_x100(drawdown_pct: float) -> int:
    """Returns the most leverage in hundredths: min(2.0, 100 / MDD %)."""
    most = int(100 * MAX_LEVERAGE)
    if drawdown_pct <= 0:
        return most
    return min(most, int(10_000 / drawdown_pct))


def risk_level(drawdown_pct: float) -> str:
    """Returns the level of risk that a drawdown of this size means."""
    return next(level for limit, level in RISK_LEVELS if drawdown_pct < limit)


# Overnight positions.

OVERNIGHT_PCT = (10, 20)
"""The smallest and the largest overnight overlay, in % of NAV."""
OVERNIGHT_STEP_PCT = 5
LARGE_US_MOVE_PCT = 1.0
HIGH_VIX = 25.0


# Opening gaps.

GAP_PCT = 3.0
VOLUME_RATIO = 3.0
F_SCORE = 7
STRONG_SCORE = 3
MODERATE_SCORE = 2
OPENING_WEIGHTS = {0: 0, 1: 0, 2: 3, 3: 5, 4: 7, 5: 8}
"""Weight in % of NAV by opening score: nothing for a WEAK signal, 3 to 8 for the others."""


# The won.

WON_MOVE_PCT = 0.5
"""Change of USD/KRW in % from which the won counts as weak (up) or strong (down)."""


def won_direction(usdkrw_change_pct: float) -> str:
    """Returns what a change of USD/KRW means for the won: a dollar that rises is a weak won."""
    if usdkrw_change_pct >= WON_MOVE_PCT:
        return "WON_WEAK"
    if usdkrw_change_pct <= -WON_MOVE_PCT:
        return "WON_STRONG"
    return "NEUTRAL"


# The way from one regime to another.

URGENT_REGIMES = ("SHORT_TERM_STRESS", "BEAR")
"""The regimes that a book moves into fast."""

SMALL_STEP_PCT = 10
"""A change of net exposure up to this many points of NAV is made in one day."""

FAST_FIRST_DAY_PCT, CALM_FIRST_DAY_PCT = 70, 50
"""The share of a larger change that the first day makes, in %: into URGENT_REGIMES, and into
others.
"""


# Shocks.

SHOCKS = {  # what one point (%) of the shock does to return, breadth, momentum and volatility
    "index_drop": (-1.0, -6.0, -1.0, 2.0),
    "index_rally": (1.0, 6.0, 1.0, 0.0),
    "us_selloff": (-0.6, -5.0, -0.6, 1.5),
    "won_slump": (-0.4, -4.0, -0.5, 1.0),
    "oil_spike": (-0.1, -2.0, -0.2, 0.5),
    "rate_hike": (-1.5, -12.0, -1.0, 4.0),
    "foreign_exodus": (-0.5, -7.0, -1.2, 2.0),
}


def shocked(numbers: Mapping[str, float], shock: str, size_pct: float) -> dict[str, float]:
    """Returns the market's four numbers after a shock of this size, rounded as they are printed.

    The breadth stays in 0..100 %.
    """
    after = {}
    for name, effect in zip(NUMBERS, SHOCKS[shock], strict=True):
        value = numbers[name] + effect * size_pct
        if name == "breadth_pct":
            value = min(max(value, 0.0), 100.0)
        after[name] = round(value, DECIMALS[name])
    return after
