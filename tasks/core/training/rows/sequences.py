"""A step's rows as sequences of tokens, of which those that begin alike share the beginning.

What a decoder computes for a token depends on that token and those before it, so the tokens that
several sequences of a pack begin with are there once. Rows of one recipe mostly begin with the same
system prompt, and a pair's two answers stand behind the same question.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from tasks.core.training.rows.records import Row, Tokens


@dataclass(frozen=True)
class Packed:
    """What a pack of some rows holds."""

    tokens: int
    keys: int  # of all its sequences: a shared token counts with each of them
    targets: int
    squares: int  # about twice the keys that all tokens see

    def plus(self, other: "Packed") -> "Packed":
        """What both packs hold together."""
        return Packed(
            self.tokens + other.tokens,
            self.keys + other.keys,
            self.targets + other.targets,
            self.squares + other.squares,
        )

    def or_more(self, other: "Packed") -> "Packed":
        """The larger number of each."""
        return Packed(
            max(self.tokens, other.tokens),
            max(self.keys, other.keys),
            max(self.targets, other.targets),
            max(self.squares, other.squares),
        )


@dataclass(frozen=True)
class Ordered:
    """A sequence's place among others that are sorted by their tokens."""

    index: int  # of the sequence as it was given
    shared: int  # tokens that it and the sequence sorted before it begin with


@dataclass(frozen=True)
class Sequences:
    """The sequences of some rows (a pair has two), sorted by their tokens: each shares most with
    the one before it.
    """

    rows: list[int]  # index of each one's row
    lengths: list[int]  # tokens
    shared: list[int]  # first tokens that are those of the sequence before
    targets: list[int]  # trained tokens

    @cached_property
    def alone(self) -> list[int]:
        """Tokens of each row in a pack of its own."""
        return [self.packed([row]).tokens for row in range(len(self._indices))]

    @cached_property
    def own(self) -> list[int]:
        """Weights to deal rows out by: tokens that a row does not share with the row most like it.

        Each is at least 1.
        """
        with_others = [0] * len(self.alone)
        for index in range(1, len(self.rows)):
            neighbours = self.rows[index - 1], self.rows[index]
            if neighbours[0] != neighbours[1]:
                for row in neighbours:
                    with_others[row] = max(with_others[row], self.shared[index])
        return [
            max(1, alone - shared) for alone, shared in zip(self.alone, with_others, strict=True)
        ]

    def packed(self, rows: Iterable[int]) -> Packed:
        """What a pack of these rows holds."""
        tokens = keys = targets = squares = 0
        before: int | None = None
        for index in self._indices_of(rows):
            length = self.lengths[index]
            shared = 0
            if before is not None:
                shared = min(self.shared[before + 1 : index + 1])
            tokens += length - shared
            keys += length
            targets += self.targets[index]
            squares += length**2 - shared**2
            before = index
        return Packed(tokens, keys, targets, squares)

    def _indices_of(self, rows: Iterable[int]) -> list[int]:
        """Indices of these rows' sequences, in order."""
        indices: list[int] = []
        for row in rows:
            indices += self._indices[row]
        return sorted(indices)

    @cached_property
    def _indices(self) -> list[list[int]]:
        """Indices of each row's sequences."""
        row_count = 1 + max(self.rows, default=-1)
        indices: list[list[int]] = [[] for _ in range(row_count)]
        for index, row in enumerate(self.rows):
            indices[row].append(index)
        return indices


def sequences_of(rows: Sequence[Row]) -> Sequences:
    """The sequences of these rows."""
    owners = []
    answers = []
    for number, row in enumerate(rows):
        for answer in row.answers:
            owners.append(number)
            answers.append(answer)
    order = sort_by_tokens([answer.input_ids for answer in answers])
    return Sequences(
        rows=[owners[ordered.index] for ordered in order],
        lengths=[answers[ordered.index].positions for ordered in order],
        shared=[ordered.shared for ordered in order],
        targets=[answers[ordered.index].targets for ordered in order],
    )


def sort_by_tokens(sequences: Sequence[Tokens]) -> list[Ordered]:
    """The sequences sorted by their tokens, each with what it shares with the one before."""
    keys = [sequence.tolist() for sequence in sequences]
    order = []
    before = None
    for index in sorted(range(len(keys)), key=keys.__getitem__):
        shared = 0
        if before is not None:
            shared = count_shared(sequences[before], sequences[index])
        order.append(Ordered(index, shared))
        before = index
    return order


def count_shared(one: Tokens, other: Tokens) -> int:
    """How many tokens both begin with."""
    length = min(len(one), len(other))
    differing = np.flatnonzero(one[:length] != other[:length])
    return int(differing[0]) if len(differing) else length


def sequences_of_lengths(lengths: list[int], trained: float = 1.0) -> Sequences:
    """Rows of so many tokens, this share of them trained, no two of which begin alike."""
    targets = [round(trained * length) for length in lengths]
    return Sequences(list(range(len(lengths))), lengths, [0] * len(lengths), targets)


def count_tokens(rows: Sequence[Row]) -> int:
    """Tokens of a pack of these rows."""
    return sequences_of(rows).packed(range(len(rows))).tokens
