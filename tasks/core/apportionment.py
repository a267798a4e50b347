"""Whole numbers in given proportions that sum to a total, and items of each sort in turn."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TypeVar

Name = TypeVar("Name")
Item = TypeVar("Item")

_ROUNDING = 1e-9  # in floating point, 0.05 * 120 is 5.999…, and it counts as 6


def largest_remainder(total: int, shares: Mapping[Name, float]) -> dict[Name, int]:
    """Integers that sum to `total`, in proportion to shares that sum to 1 (Hamilton's method)."""
    return round_quotas(total, {name: total * share for name, share in shares.items()})


def round_quotas(total: int, quotas: Mapping[Name, float]) -> dict[Name, int]:
    """Integers that sum to `total`, as near as possible to quotas that sum to it.

    Each quota is rounded down; the largest remainders get what is left, the first of equal ones
    first.
    """
    seats = {name: int(quota + _ROUNDING) for name, quota in quotas.items()}
    by_remainder = sorted(quotas, key=lambda name: seats[name] - quotas[name])
    for name in by_remainder[: total - sum(seats.values())]:
        seats[name] += 1
    return seats


def in_turn(items: Iterable[Item], sort_of: Callable[[Item], str]) -> Iterator[Item]:
    """Yields an item of each sort, then the next of each sort, as long as there are any."""
    waiting: dict[str, list[Item]] = {}
    for item in items:
        waiting.setdefault(sort_of(item), []).append(item)
    longest = max(map(len, waiting.values()), default=0)
    for number in range(longest):
        for sort in sorted(waiting):
            if number < len(waiting[sort]):
                yield waiting[sort][number]
