"""Rows as packs: tokens of several rows in one line, without padding, and who may see whom.

A pair of answers shares its prompt: the pack holds prompt, chosen and rejected once each, and the rejected answer's
queries see the prompt's keys and their own.
"""

import heapq
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from tasks.core.training.rows import IGNORED


@dataclass(frozen=True)
class Pack:
    """A micro-batch of T tokens in S segments with n trained targets, which belong to answers (a row's, a pair's)."""

    ids: Tensor  # (T,)
    positions: Tensor  # (T,) of each token in its own row
    query_lengths: list[int]  # S, their sum is T
    key_lengths: list[int]  # S
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
    return torch.tensor(values, dtype=dtype, pin_memory=device.type == "cuda").to(device, non_blocking=True)


def tokens_of(row: dict[str, Any]) -> int:
    """Tokens that a row takes in a pack."""
    if "input_ids" in row:
        return len(row["input_ids"])
    return len(row["prompt_ids"]) + len(row["chosen_ids"]) + len(row["rejected_ids"])


def trained_of(row: dict[str, Any]) -> int:
    """A row's trained tokens; its first token is predicted from nothing."""
    if "input_ids" in row:
        return sum(label != IGNORED for label in row["labels"][1:])
    return len(row["chosen_ids"]) + len(row["rejected_ids"])


def bins(lengths: list[int], most: int) -> list[list[int]]:
    """Which rows go together so that no bin holds more than `most` tokens (a longer row is alone): few bins, and all
    of nearly the same size, for a small one takes a card longer than its tokens are worth."""
    count = min(math.ceil(sum(lengths) / most), len(lengths))
    while True:  # ends with each row alone at the latest
        filled = spread(lengths, count)
        if all(len(places) == 1 or sum(lengths[place] for place in places) <= most for places in filled):
            return filled
        count += 1


def spread(lengths: list[int], count: int) -> list[list[int]]:
    """The rows in at most `count` bins of nearly the same size: longest first, each into the emptiest bin."""
    emptiest: list[tuple[int, int, list[int]]] = [(0, number, []) for number in range(count)]
    for place in sorted(range(len(lengths)), key=lambda place: (-lengths[place], place)):
        held, number, places = emptiest[0]
        heapq.heapreplace(emptiest, (held + lengths[place], number, [*places, place]))
    return [sorted(places) for _, _, places in sorted(emptiest, key=lambda filled: filled[1]) if places]


def packs(rows: list[dict[str, Any]], most: int, device: torch.device) -> Iterator[tuple[list[int], Pack]]:
    """Packs of at most `most` tokens, each with the places in `rows` of what it holds."""
    for places in bins([tokens_of(row) for row in rows], most):
        yield places, pack_of([rows[place] for place in places], device)


def pack_of(rows: list[dict[str, Any]], device: torch.device) -> Pack:
    """The rows' one pack. A conversation has one answer (all its trained tokens), a pair two: chosen, rejected."""
    line = _Line()
    for row in rows:
        if "input_ids" in row:
            line.add_row(row)
        else:
            line.add_pair(row)
    return line.pack(device)


class _Line:
    """A pack in the making, as lists."""

    def __init__(self):
        self.ids, self.positions, self.queries, self.keys = [], [], [], []
        self.key_places, self.places, self.targets, self.owners, self.answers = [], [], [], [], 0
        self.shared = False

    def add_row(self, row: dict[str, Any]) -> None:
        first, ids = len(self.ids), row["input_ids"]
        trained = [place for place, label in enumerate(row["labels"]) if place and label != IGNORED]
        self._segment(ids, list(range(first, first + len(ids))), 0)
        self._answer([first + place - 1 for place in trained], [row["labels"][place] for place in trained])

    def add_pair(self, row: dict[str, Any]) -> None:
        first, prompt, chosen, rejected = len(self.ids), row["prompt_ids"], row["chosen_ids"], row["rejected_ids"]
        of_prompt, behind = list(range(first, first + len(prompt))), first + len(prompt) + len(chosen)
        of_rejected = list(range(behind, behind + len(rejected)))
        self._segment(prompt + chosen, list(range(first, behind)), 0)
        self._segment(rejected, of_prompt + of_rejected, len(prompt))
        # the prompt's last token predicts the first token of both answers
        self._answer(list(range(of_prompt[-1], behind - 1)), chosen)
        self._answer([of_prompt[-1], *of_rejected[:-1]], rejected)
        self.shared = True

    def _segment(self, ids: list[int], keys: list[int], position: int) -> None:
        self.ids += ids
        self.positions += range(position, position + len(ids))
        self.queries.append(len(ids))
        self.keys.append(len(keys))
        self.key_places += keys

    def _answer(self, places: list[int], targets: list[int]) -> None:
        self.places += places
        self.targets += targets
        self.owners += [self.answers] * len(targets)
        self.answers += 1

    def pack(self, device: torch.device) -> Pack:
        def there(values: list[int], dtype: torch.dtype = torch.long) -> Tensor:
            return sent_to(device, values, dtype)

        def starts(lengths: list[int]) -> Tensor:
            return there([sum(lengths[:end]) for end in range(len(lengths) + 1)], torch.int32)

        return Pack(
            ids=there(self.ids),
            positions=there(self.positions),
            query_lengths=self.queries,
            key_lengths=self.keys,
            query_starts=starts(self.queries),
            key_starts=starts(self.keys),
            key_places=there(self.key_places) if self.shared else None,
            places=there(self.places),
            targets=there(self.targets),
            owners=there(self.owners),
            answers=self.answers,
        )
