"""A sample's figures with their 95 % bootstrap intervals; the draws are seeded, so that equal
replies give equal figures.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

DRAWS = 2_000
"""Resamples of a sample."""
SEED = 42


def estimate(values: Sequence[float | None]) -> dict[str, Any]:
    """Returns the mean of the values that apply, as {"value", "low", "high", "n"}; value, low and
    high are None if n is 0.

    low and high are the 2.5th and 97.5th percentile of the means of resamples (percentile
    bootstrap, Efron 1979). On a handful of equal values they say less than they seem to: that is
    why n stands beside them.
    """
    sample = np.array([value for value in values if value is not None], dtype=float)
    if not sample.size:
        return {"value": None, "low": None, "high": None, "n": 0}
    picks = np.random.default_rng(SEED).integers(0, sample.size, size=(DRAWS, sample.size))
    low, high = np.percentile(sample[picks].mean(axis=1), (2.5, 97.5))
    return {
        "value": round(float(sample.mean()), 4),
        "low": round(float(low), 4),
        "high": round(float(high), 4),
        "n": int(sample.size),
    }


def percentile(values: Sequence[float], share: float) -> float | None:
    """Returns the percentile (0..100) of the values, linear between neighbours.

    It is None if there are no values.
    """
    if not len(values):
        return None
    return round(float(np.percentile(values, share)), 3)
