"""Deals rows out: to the micro-batches of a step, and to the processes that train it together."""

import heapq
import math

from tasks.core.training.hardware import ranks
from tasks.core.training.rows.sequences import Sequences


def spread(weights: list[int], count: int) -> list[list[int]]:
    """Returns the indices of the weights in at most `count` bins of nearly the same sum.

    The heaviest weight is dealt out first, and each one goes into the bin that holds least.
    """
    heaviest_first = sorted(range(len(weights)), key=lambda index: (-weights[index], index))
    bins: list[list[int]] = [[] for _ in range(count)]
    least = [(0, number) for number in range(count)]
    for index in heaviest_first:
        held, number = least[0]
        bins[number].append(index)
        heapq.heapreplace(least, (held + weights[index], number))
    return [sorted(indices) for indices in bins if indices]


def micro_batches(sequences: Sequences, most: int) -> list[list[int]]:
    """Returns the indices of the rows of each micro-batch, none of more than `most` tokens.

    A longer row is alone. There are few micro-batches, mostly of nearly the same size, because a
    card takes longer over a small one than its tokens are worth.
    """
    rows = len(sequences.own)
    count = min(math.ceil(sequences.packed(range(rows)).tokens / most), rows)
    while True:  # at the latest it ends with each row alone
        dealt = spread(sequences.own, count)
        if all(_fits(sequences, indices, most) for indices in dealt):
            return dealt
        count += 1


def _fits(sequences: Sequences, rows: list[int], most: int) -> bool:
    return len(rows) == 1 or sequences.packed(rows).tokens <= most


def take_share(weights: list[int]) -> list[int]:
    """Returns the indices of the rows that this process trains.

    weights: those of all rows of the step.
    """
    shares = spread(weights, ranks.count())
    if ranks.number() < len(shares):
        return shares[ranks.number()]
    return []
