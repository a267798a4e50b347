"""A step's rows as sequences of tokens, dealt out to micro-batches in which those that begin alike
share the beginning.

What a decoder computes for a token depends on that token and those before it, so tokens with which
several sequences of a pack begin are there once. Rows of one recipe mostly begin with the same
system prompt, and a pair's two answers stand behind the same question.
"""

import heapq
import math
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Any

from tasks.core.training.rows.selection import IGNORED, answers_of


@dataclass(frozen=True)
class Packed:
    """What a pack of some rows holds."""

    tokens: int
    keys: int  # of all its sequences, a shared token with each of them
    targets: int
    squares: int  # about twice the keys that all tokens see


@dataclass(frozen=True)
class Sequences:
    """The sequences of some rows (a pair has two), sorted by their tokens: each shares most with
    the one before it.
    """

    rows: list[int]  # number of each one's row
    lengths: list[int]  # tokens
    shared: list[int]  # first tokens that are the ones of the sequence before
    targets: list[int]  # trained tokens

    @cached_property
    def alone(self) -> list[int]:
        """Tokens of each row in a pack of its own."""
        return [self.packed([row]).tokens for row in range(len(self._places))]

    @cached_property
    def own(self) -> list[int]:
        """Weights to deal rows out by: tokens of each that it does not share with the one most like
        it, 1 at least.
        """
        with_others = [0] * len(self.alone)
        for pair, shared in zip(pairwise(self.rows), self.shared[1:], strict=True):
            if pair[0] != pair[1]:
                for row in pair:
                    with_others[row] = max(with_others[row], shared)
        return [
            max(1, tokens - shared) for tokens, shared in zip(self.alone, with_others, strict=True)
        ]

    def packed(self, rows: Iterable[int]) -> Packed:
        """A pack of these rows."""
        before, tokens, keys, targets, squares = None, 0, 0, 0, 0
        for place in sorted(place for row in rows for place in self._places[row]):
            length = self.lengths[place]
            shared = 0 if before is None else min(self.shared[before + 1 : place + 1])
            tokens, keys = tokens + length - shared, keys + length
            targets, squares = targets + self.targets[place], squares + length**2 - shared**2
            before = place
        return Packed(tokens, keys, targets, squares)

    @cached_property
    def _places(self) -> list[list[int]]:
        """Of each row's sequences."""
        places = [[] for _ in range(1 + max(self.rows, default=-1))]
        for place, row in enumerate(self.rows):
            places[row].append(place)
        return places


def sequences_of(rows: list[dict[str, Any]]) -> Sequences:
    """Those of encoded rows or pairs."""
    told = [(number, *answer) for number, row in enumerate(rows) for answer in answers_of(row)]
    order = in_order([ids for _, ids, _ in told])
    return Sequences(
        rows=[told[place][0] for place, _ in order],
        lengths=[len(told[place][1]) for place, _ in order],
        shared=[shared for _, shared in order],
        targets=[sum(label != IGNORED for label in told[place][2][1:]) for place, _ in order],
    )


def in_order(sequences: list[list[int]]) -> list[tuple[int, int]]:
    """Their places sorted by their tokens, each with how many first tokens are the ones of the
    sequence before.
    """
    order = sorted(range(len(sequences)), key=sequences.__getitem__)
    before = [[], *(sequences[place] for place in order)]
    return [
        (place, alike(one, sequences[place])) for one, place in zip(before, order, strict=False)
    ]


def apart(lengths: list[int], trained: float = 1.0) -> Sequences:
    """Rows of so many tokens, this share of them trained, no two of which begin alike."""
    targets = [round(trained * length) for length in lengths]
    return Sequences(list(range(len(lengths))), lengths, [0] * len(lengths), targets)


def alike(one: list[int], other: list[int]) -> int:
    """How many tokens both begin with."""
    differing = (place for place, (a, b) in enumerate(zip(one, other, strict=False)) if a != b)
    return next(differing, min(len(one), len(other)))


def tokens_of(rows: list[dict[str, Any]]) -> int:
    """Tokens of a pack of these rows."""
    return sequences_of(rows).packed(range(len(rows))).tokens


def bins(sequences: Sequences, most: int) -> list[list[int]]:
    """Which rows go together so that no bin takes more than `most` tokens (a longer row is alone):
    few bins, and mostly of nearly the same size, for a small one takes a card longer than its
    tokens are worth.
    """
    rows = len(sequences.own)
    count = min(math.ceil(sequences.packed(range(rows)).tokens / most), rows)
    while True:  # ends with each row alone at the latest
        filled = spread(sequences.own, count)
        if all(len(places) == 1 or sequences.packed(places).tokens <= most for places in filled):
            return filled
        count += 1


def spread(weights: list[int], count: int) -> list[list[int]]:
    """The rows in at most `count` bins of nearly the same weight: heaviest first, each into the
    emptiest bin.
    """
    emptiest: list[tuple[int, int, list[int]]] = [(0, number, []) for number in range(count)]
    for place in sorted(range(len(weights)), key=lambda place: (-weights[place], place)):
        held, number, places = emptiest[0]
        heapq.heapreplace(emptiest, (held + weights[place], number, [*places, place]))
    return [
        sorted(places) for _, _, places in sorted(emptiest, key=lambda filled: filled[1]) if places
    ]
