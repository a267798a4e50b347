"""The strategy's rules, written once: regimes and exposure bands. Prompts, answers, graders, evaluation import them."""

from dataclasses import dataclass

REGIMES = ("STRONG_BULL", "MILD_BULL", "WEAKENING", "SHORT_TERM_STRESS", "BEAR")


def regime_of(return_pct: float, breadth_pct: float, momentum_pct: float, volatility_pct: float) -> str:
    """The regime of a day: the first rule that holds on its rounded numbers, all in %."""
    r, b, m, v = return_pct, breadth_pct, momentum_pct, volatility_pct
    if r < -2 and b < 30 and m < -5:
        return "BEAR"
    if r < -1.5 and v > 25:
        return "SHORT_TERM_STRESS"
    if r > 1 and b > 65 and m > 3:
        return "STRONG_BULL"
    if r < 0 and 35 <= b <= 50:
        return "WEAKENING"
    if r > 0 and b > 50:
        return "MILD_BULL"
    if r < -1:
        return "SHORT_TERM_STRESS"
    return "WEAKENING" if r < 0 else "MILD_BULL"


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
