"""A step's rows as sequences of tokens; those that begin alike share their beginning.

What a decoder computes for a token depends on that token and those before it, so the tokens that
several sequences of a pack begin with are in it once. Rows of one recipe mostly begin with the same
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
    keys: int  # a token that sequences share counts with each of them
    targets: int  # trained tokens
    squares: int  # about twice the number of keys that all tokens see

    def plus(self, other: "Packed") -> "Packed":
        """Returns what both packs hold together."""
        return Packed(
            self.tokens + other.tokens,
            self.keys + other.keys,
            self.targets + other.targets,
            self.squares + other.squares,
        )

    def or_more(self, other: "Packed") -> "Packed":
        """Returns the larger one of each number."""
        return Packed(
            max(self.tokens, other.tokens),
            max(self.keys, other.keys),
            max(self.targets, other.targets),
            max(self.squares, other.squares),
        )


@dataclass(frozen=True)
class Ordered:
    """A sequence's place among others that are sorted by their tokens."""

    index: int  # its index among the sequences as they were given
    shared: int  # number of tokens that it and the sequence sorted before it begin with


@dataclass(frozen=True)
class Sequences:
    """The sequences of some rows (a pair has two), sorted by their tokens.

    So each one shares most with the one before it.
    """

    rows: list[int]  # the index of each one's row
    lengths: list[int]  # tokens of each one
    shared: list[int]  # tokens of each one that the sequence before begins with too
    targets: list[int]  # trained tokens of each one

    @cached_property
    def alone(self) -> list[int]:
        """The tokens of each row in a pack of its own."""
        return [self.packed([row]).tokens for row in range(len(self._indices))]

    @cached_property
    def own(self) -> list[int]:
        """The weights to deal rows out by, each at least 1.

        A row's weight is the number of its tokens that the row most like it does not share.
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
        """Returns what a pack of these rows holds."""
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
        """Returns the indices of these rows' sequences, in order."""
        indices: list[int] = []
        for row in rows:
            indices += self._indices[row]
        return sorted(indices)

    @cached_property
    def _indices(self) -> list[list[int]]:
        """The indices of each row's sequences."""
        row_count = 1 + max(self.rows, default=-1)
        indices: list[list[int]] = [[] for _ in range(row_count)]
        for index, row in enumerate(self.rows):
            indices[row].append(index)
        return indices


def sequences_of(rows: Sequence[Row]) -> Sequences:
    """Returns the sequences of these rows."""
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
    """Sorts the sequences by their tokens, and says what each shares with the one before."""
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
    """Counts the tokens that both sequences begin with."""
    length = min(len(one), len(other))
    differing = np.flatnonzero(one[:length] != other[:length])
    return int(differing[0]) if len(differing) else length


def sequences_of_lengths(lengths: list[int], trained: float = 1.0) -> Sequences:
    """Returns the sequences of rows of so many tokens, no two of which begin alike.

    trained: share of each row's tokens that is trained.
    """
    targets = [round(trained * length) for length in lengths]
    return Sequences(list(range(len(lengths))), lengths, [0] * len(lengths), targets)


def count_tokens(rows: Sequence[Row]) -> int:
    """Counts the tokens of a pack of these rows."""
    return sequences_of(rows).packed(range(len(rows))).tokens
