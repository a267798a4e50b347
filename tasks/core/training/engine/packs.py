"""Rows as packs: tokens of several sequences in one line, without padding, and who may see whom.

Tokens that several sequences begin with are there once (sequences.py); the queries of what follows
see their keys and their own.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

import torch
from torch import Tensor

from tasks.core.training.rows.selection import IGNORED, answers_of
from tasks.core.training.rows.sequences import bins, in_order, sequences_of


@dataclass(frozen=True)
class Pack:
    """A micro-batch of T tokens in S segments with n trained targets, which belong to answers (a
    row's, a pair's).

    A segment is what a sequence does not share with the one before it: its queries are its own, its
    keys the whole sequence's.
    """

    ids: Tensor  # (T,)
    positions: Tensor  # (T,) of each token in its sequence
    query_lengths: list[int]  # S, their sum is T
    key_lengths: list[int]  # S, of the sequences
    query_starts: Tensor  # (S + 1,) int32
    key_starts: Tensor  # (S + 1,) int32
    key_places: Tensor | None  # tokens that are the keys, where these are not simply all T
    places: Tensor  # (n,) tokens whose hidden state predicts a target
    targets: Tensor  # (n,)
    owners: Tensor  # (n,) number of the answer
    answers: int

    @property
    def longest_query(self) -> int:
        return max(self.query_lengths)

    @property
    def longest_key(self) -> int:
        return max(self.key_lengths)

    def sums(self, log_probs: Tensor) -> Tensor:
        """Each answer's sum of its targets' log-probs, (answers,)."""
        return log_probs.new_zeros(self.answers).index_add(0, self.owners, log_probs)

    def counts(self) -> Tensor:
        """Each answer's targets, (answers,)."""
        return torch.bincount(self.owners, minlength=self.answers)


def sent_to(device: torch.device, values: list, dtype: torch.dtype) -> Tensor:
    """A tensor of these; a GPU fetches it when it gets there, and nobody waits."""
    return torch.tensor(values, dtype=dtype, pin_memory=device.type == "cuda").to(
        device, non_blocking=True
    )


def trained_of(row: dict[str, Any]) -> int:
    """A row's trained tokens; its first token is predicted from nothing."""
    if "input_ids" in row:
        return sum(label != IGNORED for label in row["labels"][1:])
    return len(row["chosen_ids"]) + len(row["rejected_ids"])


def packs(
    rows: list[dict[str, Any]], most: int, device: torch.device
) -> Iterator[tuple[list[int], Pack]]:
    """Packs of at most `most` tokens, each with the places in `rows` of what it holds."""
    for places in bins(sequences_of(rows), most):
        yield places, pack_of([rows[place] for place in places], device)


def pack_of(rows: list[dict[str, Any]], device: torch.device) -> Pack:
    """The rows' one pack. A conversation has one answer (all its trained tokens), a pair two:
    chosen, rejected.
    """
    line, answers, places = _Line(), [answer for row in rows for answer in answers_of(row)], {}
    for number, shared in in_order([ids for ids, _ in answers]):
        places[number] = line.add(answers[number][0], shared)
    for number, (_, labels) in enumerate(answers):
        line.train(places[number], labels)
    return line.pack(device)


class _Line:
    """A pack in the making, as lists."""

    def __init__(self):
        self.ids, self.positions, self.queries, self.keys, self.key_places = [], [], [], [], []
        self.places, self.targets, self.owners, self.answers = [], [], [], 0
        self._before: list[int] = []  # places of the last sequence's tokens

    def add(self, ids: list[int], shared: int) -> list[int]:
        """Where this sequence's tokens are; its first ones are shared with the sequence added
        before.
        """
        first, own = len(self.ids), range(shared, len(ids))
        places = self._before[:shared] + list(range(first, first + len(own)))
        if own:
            self.ids += ids[shared:]
            self.positions += own
            self.queries.append(len(own))
            self.keys.append(len(ids))
            self.key_places += places
        self._before = places
        return places

    def train(self, places: list[int], labels: list[int]) -> None:
        """An answer: the labelled tokens of the sequence at these places, each predicted by the
        token before it.
        """
        for before, label in zip(places, labels[1:], strict=False):
            if label != IGNORED:
                self.places.append(before)
                self.targets.append(label)
                self.owners.append(self.answers)
        self.answers += 1

    def pack(self, device: torch.device) -> Pack:
        def there(values: list[int], dtype: torch.dtype = torch.long) -> Tensor:
            return sent_to(device, values, dtype)

        def starts(lengths: list[int]) -> Tensor:
            return there(list(accumulate(lengths, initial=0)), torch.int32)

        return Pack(
            ids=there(self.ids),
            positions=there(self.positions),
            query_lengths=self.queries,
            key_lengths=self.keys,
            query_starts=starts(self.queries),
            key_starts=starts(self.keys),
            key_places=there(self.key_places) if self.queries != self.keys else None,
            places=there(self.places),
            targets=there(self.targets),
            owners=there(self.owners),
            answers=self.answers,
        )
