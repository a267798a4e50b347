"""A stage's rows as tokens: conversations for SFT, pairs of answers for DPO.

Tokens are int32 arrays, which take 4 bytes a token; in lists of Python's integers they take 36.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

IGNORED = -100
"""Label of a token that is not trained (the index that PyTorch's cross entropy ignores)."""

Tokens: TypeAlias = NDArray[np.int32]
"""Ids or labels of a sequence's tokens, (tokens,)."""


def as_tokens(values: Sequence[int]) -> Tokens:
    """Returns the array of these ids or labels."""
    return np.asarray(values, dtype=np.int32)


@dataclass(frozen=True, slots=True, eq=False)
class Conversation:
    """A row of SFT, or one answer of a pair behind its prompt."""

    input_ids: Tokens
    labels: Tokens  # of each token: its id if it is trained, else IGNORED
    number: int = 0  # the row's in its file, from 0

    @property
    def positions(self) -> int:
        """The number of positions that the row takes in a batch of its own, without padding."""
        return len(self.input_ids)

    @property
    def longest(self) -> int:
        """The tokens of the row's longest sequence; a conversation has only one."""
        return len(self.input_ids)

    @property
    def targets(self) -> int:
        """The number of trained tokens.

        The first token never is one of them, because nothing stands before it.
        """
        return int(np.count_nonzero(self.labels[1:] != IGNORED))

    @property
    def answers(self) -> "list[Conversation]":
        """The row's sequences, each as a row of its own; here it is the row itself."""
        return [self]


@dataclass(frozen=True, slots=True)
class Reference:
    """Log-probs that DPO's reference gives the two answers of a pair, in nats an answer."""

    chosen: float
    rejected: float


@dataclass(frozen=True, slots=True, eq=False)
class Pair:
    """A row of DPO: two answers behind the very same prompt, one of which is preferred."""

    prompt_ids: Tokens
    chosen_ids: Tokens
    rejected_ids: Tokens
    number: int = 0  # the pair's in its file, from 0
    reference: Reference | None = None  # None until the engine has computed it

    @property
    def positions(self) -> int:
        """The number of positions that the pair takes in a batch of its own, with two prompts."""
        return 2 * len(self.prompt_ids) + self.targets

    @property
    def longest(self) -> int:
        """The tokens of the prompt and the longer answer."""
        return len(self.prompt_ids) + max(len(self.chosen_ids), len(self.rejected_ids))

    @property
    def targets(self) -> int:
        """The number of trained tokens, those of both answers."""
        return len(self.chosen_ids) + len(self.rejected_ids)

    @property
    def answers(self) -> list[Conversation]:
        """The chosen and the rejected answer, each as a row of its own."""
        return [self._behind_prompt(self.chosen_ids), self._behind_prompt(self.rejected_ids)]

    def _behind_prompt(self, answer: Tokens) -> Conversation:
        masked = np.full_like(self.prompt_ids, IGNORED)
        return Conversation(
            input_ids=np.concatenate([self.prompt_ids, answer]),
            labels=np.concatenate([masked, answer]),
            number=self.number,
        )


Row: TypeAlias = Conversation | Pair
"""What a stage trains on."""
