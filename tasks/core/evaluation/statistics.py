"""A sample's figures with their 95 % intervals, by a bootstrap over days; the draws are seeded, so
that equal replies give equal figures.

A day is drawn with all its questions. They share the day's market, so they are right or wrong
together, and drawn one by one they would make the intervals too narrow.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

DRAWS = 10_000
"""Resamples of the days: the ends of an interval then vary by about a hundredth of its width."""
SEED = 42


def estimate(values: Sequence[float | None], days: Sequence[str]) -> dict[str, Any]:
    """Returns the mean of the values that apply, as {"value", "low", "high", "n", "days"}; value,
    low and high are None if n is 0.

    `days` holds each value's day. low and high are the 2.5th and 97.5th percentile of the means of
    resamples (percentile bootstrap, Efron 1979; whole clusters are drawn, as Davison and Hinkley
    1997, section 3.8). On a handful of equal values they say less than they seem to: that is why n
    stands beside them.
    """
    sums: dict[str, float] = {}
    counts: dict[str, int] = {}
    for value, day in zip(values, days, strict=True):
        if value is not None:
            sums[day] = sums.get(day, 0.0) + value
            counts[day] = counts.get(day, 0) + 1
    n = sum(counts.values())
    if not n:
        return {"value": None, "low": None, "high": None, "n": 0, "days": 0}
    low, high = np.percentile(_resampled_means(sums, counts), (2.5, 97.5))
    return {
        "value": round(sum(sums.values()) / n, 4),
        "low": round(float(low), 4),
        "high": round(float(high), 4),
        "n": n,
        "days": len(counts),
    }


def difference(
    old: Sequence[float | None], new: Sequence[float | None], days: Sequence[str]
) -> dict[str, Any]:
    """Returns the estimate of new − old, pair by pair: both are of the same questions, and what is
    hard about a question falls out.
    """
    gains: list[float | None] = []
    for before, after in zip(old, new, strict=True):
        if before is None or after is None:
            gains.append(None)
        else:
            gains.append(after - before)
    return estimate(gains, days)


def percentile(values: Sequence[float], share: float) -> float | None:
    """Returns the percentile (0..100) of the values, linear between neighbours.

    It is None if there are no values.
    """
    if not len(values):
        return None
    return round(float(np.percentile(values, share)), 3)


def _resampled_means(sums: dict[str, float], counts: dict[str, int]) -> np.ndarray:
    """Returns the mean of each resample: as many days as there are, drawn with replacement."""
    # In order of the days, so that the order of the questions does not show in the figures.
    ordered = sorted(sums)
    day_sums = np.array([sums[day] for day in ordered])
    day_counts = np.array([counts[day] for day in ordered])
    picks = np.random.default_rng(SEED).integers(0, len(ordered), size=(DRAWS, len(ordered)))
    means: np.ndarray = day_sums[picks].sum(axis=1) / day_counts[picks].sum(axis=1)
    return means
