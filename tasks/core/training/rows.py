"""Rows as token ids: which tokens are trained, which rows fit, in which order.

Reads rows.parquet or rows.jsonl (`messages`) for SFT, pairs.jsonl (`prompt`, `chosen`, `rejected`) for DPO. The text is
what the base's own chat template renders; the trained span of an assistant turn is its content and the EOS behind it.
"""

import json
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

import pyarrow.parquet as parquet
from pyarrow import ArrowInvalid
from transformers import PreTrainedTokenizerFast

from tasks.core.errors import RequestError, WorkError

IGNORED = -100
"""Label of a token that is not trained (the index that PyTorch's cross entropy ignores)."""

_EVAL_FROM_ROWS, _EVAL_MOST = 20, 500  # 1 % of the rows, at most 500, is kept for eval loss; few rows keep one
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


def read_rows(file: Path, columns: tuple[str, ...]) -> list[dict[str, Any]]:
    """The file's rows. Raises WorkError naming the line that is not JSON, or the row that lacks what it must have."""
    rows = _read_parquet(file) if file.suffix == ".parquet" else _read_jsonl(file)
    if not rows:
        raise WorkError(f"{file} has no rows. Make the file again.")
    for number, row in enumerate(rows, 1):
        for name in columns:
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
                raise WorkError(f"{file}, line {number} is not JSON: {error}. Make the file again.") from error
    return rows


def encode_turns(tokenizer: PreTrainedTokenizerFast, messages: list[dict[str, str]]) -> tuple[list[int], list[int]]:
    """Token ids and labels of a conversation: every assistant turn's content and EOS is trained, nothing else is.

    Raises WorkError if the template is not what training and serving can agree on: a turn that does not extend the text
    before it, content that it rewrites, or no EOS behind it.
    """
    text = tokenizer.apply_chat_template(messages, tokenize=False)
    spans = [_span(tokenizer, messages, turn, text) for turn, m in enumerate(messages) if m["role"] == "assistant"]
    encoded = tokenizer(text, add_special_tokens=False, return_offsets_mapping=True)
    labels = [
        token if any(start <= first and last <= end for start, end in spans) else IGNORED
        for token, (first, last) in zip(encoded["input_ids"], encoded["offset_mapping"], strict=True)
    ]
    return encoded["input_ids"], labels


def _span(tokenizer, messages: list[dict[str, str]], turn: int, text: str) -> tuple[int, int]:
    """First and past-last character of an assistant turn's trained text."""
    before = tokenizer.apply_chat_template(messages[:turn], tokenize=False, add_generation_prompt=True)
    content, eos = messages[turn]["content"], tokenizer.eos_token
    if not text.startswith(before):
        raise WorkError("The chat template does not extend the prompt it renders: training and serving would differ.")
    if not text.startswith(content + eos, len(before)):
        found = text[len(before) : len(before) + len(content) + len(eos)]
        raise WorkError(
            f"The chat template renders the answer {content[:40]!r} as {found[:60]!r}, without EOS {eos!r}."
        )
    return len(before), len(before) + len(content) + len(eos)


def encode_sft(tokenizer: PreTrainedTokenizerFast, row: dict[str, Any], whole_text: bool) -> dict[str, Any]:
    """{"input_ids", "labels", "positions", "answers"} of one conversation; answers are its assistant texts."""
    ids, labels = encode_turns(tokenizer, row["messages"])
    answers = [message["content"] for message in row["messages"] if message["role"] == "assistant"]
    labels = list(ids) if whole_text else labels
    return {"input_ids": ids, "labels": labels, "positions": len(ids), "answers": answers}


def encode_pair(tokenizer: PreTrainedTokenizerFast, row: dict[str, Any]) -> dict[str, Any]:
    """{"prompt_ids", "chosen_ids", "rejected_ids", …} as for `encode_sft`: two answers behind the very same prompt."""
    sides = {}
    for side in ("chosen", "rejected"):
        ids, labels = encode_turns(tokenizer, [*row["prompt"], *row[side]])
        first = next((place for place, label in enumerate(labels) if label != IGNORED), len(ids))
        last = max((place for place, label in enumerate(labels) if label != IGNORED), default=first - 1)
        sides[side] = (ids[:first], ids[first : last + 1])
    prompts = [prompt for prompt, _ in sides.values()]
    if prompts[0] != prompts[1]:
        raise WorkError(
            "A pair's two answers change the tokens of their prompt: the template merges across its border."
        )
    ids = {f"{side}_ids": answer for side, (_, answer) in sides.items()}
    positions = sum(len(prompt) + len(answer) for prompt, answer in sides.values())
    answers = [row[side][-1]["content"] for side in sides]
    return {"prompt_ids": prompts[0], **ids, "positions": positions, "answers": answers}


def select(encoded: list[dict[str, Any]], max_length: int, budget: float, seed: int) -> Rows:
    """Rows that fit, in seeded order, the first ones kept for eval loss, the rest as far as the budget reaches.

    max_length: tokens of one sequence; budget: positions in one epoch, 0 for no limit. Nothing is ever cut.
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
        raise RequestError(f"No row fits the stage's token_budget of {budget:.0f} positions an epoch; raise it.")
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
    """The `most` shortest rows whose answers have enough tokens to tell something; else those with the most tokens."""
    trained = {
        place: min(sum(x != IGNORED for x in labels) for _, labels in answers_of(row)) for place, row in enumerate(rows)
    }
    telling = [place for place, count in trained.items() if count >= _PROVEN_TOKENS]
    if not telling:
        return [rows[place] for place in sorted(trained, key=trained.get, reverse=True)[:most]]
    return [rows[place] for place in sorted(telling, key=lambda place: rows[place]["positions"])[:most]]


def answers_of(row: dict[str, Any]) -> list[tuple[list[int], list[int]]]:
    """Ids and labels of a row, or of a pair's two answers, each alone."""
    if "input_ids" in row:
        return [(row["input_ids"], row["labels"])]
    masked = [IGNORED] * len(row["prompt_ids"])
    return [(row["prompt_ids"] + row[side], masked + row[side]) for side in ("chosen_ids", "rejected_ids")]
