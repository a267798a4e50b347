"""Which of a stage's encoded rows are trained, in which order, and which are kept for eval loss."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from random import Random

import numpy as np

from tasks.core.errors import RequestError
from tasks.core.training.rows.records import IGNORED, Row

# 1 % of the rows, at most 500, are kept for eval loss, but none if there are only few
_EVAL_FROM_ROWS = 20
_EVAL_MOST = 500
_PROVEN_TOKENS = 32  # least number of trained tokens in each answer of a row that proves something


@dataclass(frozen=True)
class Rows:
    """Encoded rows in training order, and how many were left out, by reason."""

    train: list[Row]
    evaluation: list[Row]
    left_out: dict[str, int] = field(default_factory=dict)

    @property
    def positions(self) -> int:
        """The positions of one epoch."""
        return sum(row.positions for row in self.train)


def select_rows(
    encoded: Sequence[Row], max_length: int, budget: float, seed: int, held_out: float = 0
) -> Rows:
    """Returns the rows that fit, in seeded order.

    The first ones are kept for eval loss; the others are trained as far as the budget reaches.
    max_length: tokens of one sequence; budget: positions in one epoch, 0 for no limit; held_out:
    training.validation_share. No row is ever cut. Rows without tokens are those that the base's
    chat template refuses. Raises RequestError if no row can be trained.
    """
    rendered = [row for row in encoded if row.positions]
    if encoded and not rendered:
        raise RequestError(
            f"The base's chat template refuses every one of {len(encoded)} rows: mend their turns,"
            " or take a base whose template renders them: model.base=FOLDER."
        )
    fitting = _fitting(rendered, max_length, seed)
    evaluation_count = count_held_out(len(fitting), held_out)
    evaluation = fitting[:evaluation_count]
    candidates = fitting[evaluation_count:]
    train = _within_budget(candidates, budget)
    left_out = {
        "longer than max_length": len(rendered) - len(fitting),
        "beyond the token budget": len(candidates) - len(train),
    }
    if len(rendered) < len(encoded):
        left_out["refused by the chat template"] = len(encoded) - len(rendered)
    return Rows(train, evaluation, left_out)


def _fitting(encoded: Sequence[Row], max_length: int, seed: int) -> list[Row]:
    """Returns the rows whose sequences are all short enough, shuffled."""
    order = list(range(len(encoded)))
    Random(seed).shuffle(order)
    fitting = [encoded[index] for index in order if encoded[index].longest <= max_length]
    if not fitting:
        shortest = min((row.longest for row in encoded), default=0)
        raise RequestError(
            f"No row fits training.max_length={max_length}: the shortest of {len(encoded)} has"
            f" {shortest} tokens."
        )
    return fitting


def _within_budget(candidates: list[Row], budget: float) -> list[Row]:
    """Returns the rows that an epoch has positions for.

    A row that takes more positions than are left is passed over.
    """
    chosen = []
    used = 0
    for row in candidates:
        if not budget or used + row.positions <= budget:
            chosen.append(row)
            used += row.positions
    if not chosen:
        raise RequestError(
            f"No row fits the stage's token_budget of {budget:.0f} positions an epoch; raise it."
        )
    return chosen


def count_held_out(count: int, share: float = 0) -> int:
    """Returns how many of so many fitting rows are kept for eval loss.

    share: training.validation_share, of which one row is kept at least and one trained.
    """
    if share:
        return max(0, min(max(1, round(share * count)), count - 1))
    if count < _EVAL_FROM_ROWS:
        return 0
    return max(1, min(_EVAL_MOST, count // 100))


def rows_for_proof(rows: Sequence[Row], most: int) -> list[Row]:
    """Returns the `most` shortest rows with enough trained tokens to prove something.

    Each of a row's answers has to have so many. If there is no such row, those with the most
    trained tokens are taken.
    """
    trained = [_fewest_trained(row) for row in rows]
    enough = [row for row, count in zip(rows, trained, strict=True) if count >= _PROVEN_TOKENS]
    if enough:
        return sorted(enough, key=lambda row: row.positions)[:most]
    indices = sorted(range(len(rows)), key=lambda index: trained[index], reverse=True)
    return [rows[index] for index in indices[:most]]


def _fewest_trained(row: Row) -> int:
    """Returns the trained tokens of the row's answer that has the fewest."""
    return min(int(np.count_nonzero(answer.labels != IGNORED)) for answer in row.answers)
