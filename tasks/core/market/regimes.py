"""How often each regime held: the table of `kospilot market regimes`. Reads a market folder."""

from collections import Counter
from dataclasses import asdict
from pathlib import Path
from typing import Any

from tasks.core.market.folder import marks_of
from tasks.core.market.snapshots import measure_days
from tasks.core.records.market import Snapshot
from tasks.core.settings.tree import Weights
from tasks.core.strategy.rules import REGIMES, regime_of


def regimes_report(
    folder: Path,
    start: str | None,
    end: str | None,
    with_days: bool,
    weights: Weights = "previous_day",
) -> dict[str, Any]:
    """Returns how many days of each regime there are, and the folder's marks.

    The keys are "days", "first", "last", "weights", "counts" ({regime: n}), "beyond_limit",
    "left_out" and "odd". with_days adds "snapshots": each has its date, its four numbers in % and
    its regime. beyond_limit counts the stocks' returns that KRX's daily limit forbids: splits in
    raw prices, which distort those days. odd says which gaps, changed units and days without a
    market there are. Raises RequestError as `snapshots` does.
    """
    measured = measure_days(folder, start, end, weights)
    days = measured.snapshots
    report = {
        "days": len(days),
        "first": days[0].date,
        "last": days[-1].date,
        "weights": weights,
        "counts": count_regimes(days),
        "beyond_limit": measured.beyond_limit,
        "left_out": measured.left_out,
        "odd": measured.odd,
        **marks_of(folder),
    }
    if with_days:
        report["snapshots"] = [{**asdict(day), "regime": regime_of_day(day)} for day in days]
    return report


def count_regimes(days: list[Snapshot]) -> dict[str, int]:
    """Returns how many days each regime has, in the order of strategy.REGIMES."""
    counts = Counter(regime_of_day(day) for day in days)
    return {regime: counts[regime] for regime in REGIMES}


def regime_of_day(day: Snapshot) -> str:
    """Returns the regime of a day, which its four numbers decide."""
    return regime_of(day.return_pct, day.breadth_pct, day.momentum_pct, day.volatility_pct)
