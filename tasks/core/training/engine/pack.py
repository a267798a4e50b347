"""A pack: tokens of several sequences in one line, without padding, and who may see whom."""

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Pack:
    """A micro-batch of T tokens in S segments, with n targets, each of which belongs to an answer.

    A segment is what a sequence does not share with the one before it: its queries are its own, its
    keys are the whole sequence's. A conversation is one answer, a pair has two.
    """

    ids: Tensor  # (T,)
    positions: Tensor  # (T,) of each token in its sequence
    query_lengths: list[int]  # S of them, whose sum is T
    key_lengths: list[int]  # S of them: the tokens of each sequence
    query_starts: Tensor  # (S + 1,) int32
    key_starts: Tensor  # (S + 1,) int32
    key_indices: Tensor | None  # indices of the tokens that are the keys; None: all T, once
    predicting: Tensor  # (n,) indices of the tokens whose hidden state predicts a target
    targets: Tensor  # (n,)
    owners: Tensor  # (n,) number of the answer
    answers: int

    @property
    def longest_query(self) -> int:
        """The queries of the segment that has the most."""
        return max(self.query_lengths)

    @property
    def longest_key(self) -> int:
        """The keys of the segment that has the most."""
        return max(self.key_lengths)

    def sums(self, log_probs: Tensor) -> Tensor:
        """Returns each answer's sum of its targets' log-probs, (answers,) from (n,)."""
        return log_probs.new_zeros(self.answers).index_add(0, self.owners, log_probs)

    def counts(self) -> Tensor:
        """Returns each answer's number of targets, (answers,)."""
        return torch.bincount(self.owners, minlength=self.answers)
