"""Makes packs of rows: the tokens that several sequences begin with are in a pack once.

The tokens that follow see the shared tokens' keys and their own.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

import torch
from torch import Tensor

from tasks.core.training.engine.pack import Pack
from tasks.core.training.rows.dealing import micro_batches
from tasks.core.training.rows.records import IGNORED, Conversation, Row
from tasks.core.training.rows.sequences import sequences_of, sort_by_tokens


@dataclass(frozen=True)
class PackedRows:
    """A pack, and the indices of the rows that it holds, in the order of its answers."""

    rows: list[int]
    pack: Pack


def make_packs(rows: Sequence[Row], most: int, device: torch.device) -> Iterator[PackedRows]:
    """Yields the rows as packs of at most `most` tokens; a longer row is alone."""
    for indices in micro_batches(sequences_of(rows), most):
        yield PackedRows(indices, pack_of([rows[index] for index in indices], device))


def pack_of(rows: Sequence[Row], device: torch.device) -> Pack:
    """Makes one pack of these rows; its answers are in the rows' order."""
    answers = [answer for row in rows for answer in row.answers]
    draft = _Draft()
    indices: dict[int, list[int]] = {}
    for ordered in sort_by_tokens([answer.input_ids for answer in answers]):
        indices[ordered.index] = draft.add(answers[ordered.index], ordered.shared)
    for number, answer in enumerate(answers):
        draft.train(answer, indices[number])
    return draft.pack(device)


class _Draft:
    """A pack in the making, as lists."""

    def __init__(self) -> None:
        self._ids: list[int] = []
        self._positions: list[int] = []
        self._query_lengths: list[int] = []
        self._key_lengths: list[int] = []
        self._key_indices: list[int] = []
        self._predicting: list[int] = []
        self._targets: list[int] = []
        self._owners: list[int] = []
        self._answers = 0
        self._last: list[int] = []  # indices of the last sequence's tokens

    def add(self, answer: Conversation, shared: int) -> list[int]:
        """Adds a sequence whose first tokens are shared with the one added before.

        Returns the indices of its tokens in the pack.
        """
        length = len(answer.input_ids)
        first = len(self._ids)
        indices = self._last[:shared] + list(range(first, first + length - shared))
        if length > shared:
            self._ids += answer.input_ids[shared:].tolist()
            self._positions += range(shared, length)
            self._query_lengths.append(length - shared)
            self._key_lengths.append(length)
            self._key_indices += indices
        self._last = indices
        return indices

    def train(self, answer: Conversation, indices: list[int]) -> None:
        """Makes the trained tokens of the sequence at these indices targets of the next answer.

        Each is predicted by the token before it.
        """
        labels = answer.labels[1:].tolist()
        for before, label in zip(indices, labels, strict=False):
            if label != IGNORED:
                self._predicting.append(before)
                self._targets.append(label)
                self._owners.append(self._answers)
        self._answers += 1

    def pack(self, device: torch.device) -> Pack:
        """Returns the finished pack on this device."""
        key_indices = None
        if self._query_lengths != self._key_lengths:
            key_indices = send_to(device, self._key_indices, torch.long)
        return Pack(
            ids=send_to(device, self._ids, torch.long),
            positions=send_to(device, self._positions, torch.long),
            query_lengths=self._query_lengths,
            key_lengths=self._key_lengths,
            query_starts=_starts(device, self._query_lengths),
            key_starts=_starts(device, self._key_lengths),
            key_indices=key_indices,
            predicting=send_to(device, self._predicting, torch.long),
            targets=send_to(device, self._targets, torch.long),
            owners=send_to(device, self._owners, torch.long),
            answers=self._answers,
        )


def _starts(device: torch.device, lengths: list[int]) -> Tensor:
    """Returns where each segment begins, and where the last one ends; int32."""
    return send_to(device, list(accumulate(lengths, initial=0)), torch.int32)


def send_to(device: torch.device, values: list[Any], dtype: torch.dtype) -> Tensor:
    """Makes a tensor of these numbers on the device; nobody waits until a GPU has fetched it."""
    tensor = torch.tensor(values, dtype=dtype, pin_memory=device.type == "cuda")
    return tensor.to(device, non_blocking=True)
