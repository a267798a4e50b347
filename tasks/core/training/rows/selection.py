"""A stage's rows: read from their file; once they are tokens, which fit and in which order.

Reads rows.parquet or rows.jsonl (`messages`) for SFT, pairs.jsonl (`prompt`, `chosen`, `rejected`)
for DPO.
"""

import json
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

import pyarrow.parquet as parquet
from pyarrow import ArrowInvalid

from tasks.core.errors import RequestError, WorkError

IGNORED = -100
"""Label of a token that is not trained (the index that PyTorch's cross entropy ignores)."""

_COLUMNS = {"sft": ("messages",), "dpo": ("prompt", "chosen", "rejected")}
_EVAL_FROM_ROWS, _EVAL_MOST = (
    20,
    500,
)  # 1 % of the rows, at most 500, is kept for eval loss; few rows keep one
_PROVEN_TOKENS = 32  # trained tokens that a row which a proof takes has at least


@dataclass(frozen=True)
class Rows:
    """Encoded rows in training order, and what was left out by reason."""

    train: list[dict[str, Any]]
    evaluation: list[dict[str, Any]]
    left_out: dict[str, int] = field(default_factory=dict)

    @property
    def positions(self) -> int:
        return sum(row["positions"] for row in self.train)


def read_rows(file: Path, method: str) -> list[dict[str, Any]]:
    """The file's rows. Raises WorkError naming the line that is not JSON, or the row that lacks
    what it must have.
    """
    rows = _read_parquet(file) if file.suffix == ".parquet" else _read_jsonl(file)
    if not rows:
        raise WorkError(f"{file} has no rows. Make the file again.")
    for number, row in enumerate(rows, 1):
        for name in _COLUMNS[method]:
            if not isinstance(row, dict) or not row.get(name):
                raise WorkError(f"{file}, row {number} has no {name}. Make the file again.")
    return rows


def _read_parquet(file: Path) -> list[dict[str, Any]]:
    try:
        return parquet.read_table(file).to_pylist()
    except (OSError, ArrowInvalid) as error:
        raise WorkError(f"{file} cannot be read: {error}. Make the file again.") from error


def _read_jsonl(file: Path) -> list[dict[str, Any]]:
    rows = []
    with file.open(encoding="utf-8") as lines:
        for number, line in enumerate(lines, 1):
            try:
                rows.append(json.loads(line))
            except ValueError as error:
                raise WorkError(
                    f"{file}, line {number} is not JSON: {error}. Make the file again."
                ) from error
    return rows


def select(encoded: list[dict[str, Any]], max_length: int, budget: float, seed: int) -> Rows:
    """Rows that fit, in seeded order, the first ones kept for eval loss, the rest as far as the
    budget reaches.

    max_length: tokens of one sequence; budget: positions in one epoch, 0 for no limit. Nothing is
    ever cut.
    """
    order = list(range(len(encoded)))
    Random(seed).shuffle(order)
    fitting = [encoded[place] for place in order if longest(encoded[place]) <= max_length]
    left_out = {"longer than max_length": len(encoded) - len(fitting)}
    if not fitting:
        shortest = min((longest(row) for row in encoded), default=0)
        raise RequestError(
            f"No row fits training.max_length={max_length}: the shortest of {len(encoded)} has {shortest} tokens."
        )
    kept = held_out(len(fitting))
    evaluation, candidates, chosen, used = fitting[:kept], fitting[kept:], [], 0
    for row in candidates:
        if not budget or used + row["positions"] <= budget:
            chosen.append(row)
            used += row["positions"]
    left_out["beyond the token budget"] = len(candidates) - len(chosen)
    if not chosen:
        raise RequestError(
            f"No row fits the stage's token_budget of {budget:.0f} positions an epoch; raise it."
        )
    return Rows(chosen, evaluation, left_out)


def held_out(count: int) -> int:
    """Rows kept for eval loss, of so many that fit."""
    return 0 if count < _EVAL_FROM_ROWS else max(1, min(_EVAL_MOST, count // 100))


def longest(row: dict[str, Any]) -> int:
    """Tokens of a row's longest sequence."""
    if "input_ids" in row:
        return len(row["input_ids"])
    return len(row["prompt_ids"]) + max(len(row["chosen_ids"]), len(row["rejected_ids"]))


def telling(rows: list[dict[str, Any]], most: int) -> list[dict[str, Any]]:
    """The `most` shortest rows whose answers have enough tokens to tell something; else those with
    the most tokens.
    """
    trained = {
        place: min(sum(x != IGNORED for x in labels) for _, labels in answers_of(row))
        for place, row in enumerate(rows)
    }
    telling = [place for place, count in trained.items() if count >= _PROVEN_TOKENS]
    if not telling:
        return [rows[place] for place in sorted(trained, key=trained.get, reverse=True)[:most]]
    return [
        rows[place] for place in sorted(telling, key=lambda place: rows[place]["positions"])[:most]
    ]


def answers_of(row: dict[str, Any]) -> list[tuple[list[int], list[int]]]:
    """Ids and labels of a row, or of a pair's two answers, each alone."""
    if "input_ids" in row:
        return [(row["input_ids"], row["labels"])]
    masked = [IGNORED] * len(row["prompt_ids"])
    return [
        (row["prompt_ids"] + row[side], masked + row[side])
        for side in ("chosen_ids", "rejected_ids")
    ]
