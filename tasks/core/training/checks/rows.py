"""Checks of the encoded rows, before anything is trained on them.

Each function looks at one thing and returns it as report.Check; report.Report stops the stage if
one does not hold.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from os.path import commonprefix
from typing import Any
from unicodedata import normalize

import numpy as np
from transformers import PreTrainedTokenizerFast

from tasks.core.training.checks.report import Check
from tasks.core.training.rows.records import IGNORED, Conversation, Pair, Row, Tokens
from tasks.core.training.rows.rendering import render_chat
from tasks.core.training.rows.selection import Rows

_DECODED = 1_000  # rows; to decode all of 200,000 takes longer than it is worth


def pick_evenly(encoded: Sequence[Row]) -> list[Row]:
    """Returns about _DECODED of these rows, from the first to the last, for `check_template`.

    Rows without tokens are those that the template does not render.
    """
    rendered = [row for row in encoded if row.positions]
    every = -(-len(rendered) // _DECODED)
    return rendered[::every]


def pick_first(rows: Rows) -> list[Row]:
    """Returns the _DECODED rows that `check_masks` decodes."""
    return (rows.train + rows.evaluation)[:_DECODED]


def check_template(
    tokenizer: PreTrainedTokenizerFast, rows: list[Row], texts: Mapping[int, dict[str, Any]]
) -> Check:
    """Checks that a conversation's tokens, decoded, are what the template renders.

    `texts` are the rows as they are in their file, by their number.
    """
    wrong = []
    for row in rows:
        differing = _differing(tokenizer, texts[row.number], row)
        if differing:
            wrong.append(differing)
    problem = ""
    if wrong:
        problem = (
            f"{len(wrong)} of {len(rows)} conversations do not come back from their tokens:"
            f" they say {wrong[0].decoded!r}, but the template renders {wrong[0].rendered!r}. The"
            " tokenizer and the chat template do not belong together."
        )
    return Check("template_round_trips", len(rows) - len(wrong), "rows", f"{len(rows):,}", problem)


@dataclass(frozen=True)
class _Differing:
    """What the template renders and what the tokens say, around their first difference."""

    rendered: str
    decoded: str


def _differing(
    tokenizer: PreTrainedTokenizerFast, text: dict[str, Any], row: Row
) -> _Differing | None:
    for messages, answer in zip(_chats(text), row.answers, strict=True):
        rendered = _render(tokenizer, messages)
        decoded = _decode(tokenizer, answer.input_ids)
        if isinstance(row, Pair):  # its tokens end with the answer
            rendered = rendered[: len(decoded)]
        if rendered != decoded:
            return _around_first_difference(rendered, decoded)
    return None


def _around_first_difference(rendered: str, decoded: str) -> _Differing:
    index = len(commonprefix([rendered, decoded]))
    around = slice(max(0, index - 20), index + 20)
    return _Differing(rendered[around], decoded[around])


def _chats(text: dict[str, Any]) -> list[list[dict[str, str]]]:
    """Returns the chats of a row in its file, in the order of the encoded row's answers."""
    if "messages" in text:
        return [text["messages"]]
    return [[*text["prompt"], *text["chosen"]], [*text["prompt"], *text["rejected"]]]


def _render(tokenizer: PreTrainedTokenizerFast, messages: list[dict[str, str]]) -> str:
    return _composed(render_chat(tokenizer, messages))


def _decode(tokenizer: PreTrainedTokenizerFast, ids: Tokens) -> str:
    text = tokenizer.decode(ids.tolist(), clean_up_tokenization_spaces=False)
    assert isinstance(text, str)
    return _composed(text)


def _composed(text: str) -> str:
    return normalize("NFC", text)  # Qwen's tokenizer composes Unicode before it splits


def check_lengths(rows: Rows, max_length: int) -> list[Check]:
    """Checks that no row that is trained is longer than max_length.

    Also reports how many rows are trained, and how many were left out and why.
    """
    kept = rows.train + rows.evaluation
    lengths = [row.longest for row in kept]
    over = sum(length > max_length for length in lengths)
    problem = ""
    if over:
        problem = (
            f"{over} of {len(kept)} rows are longer than training.max_length={max_length} tokens."
        )
    total = len(kept) + sum(rows.left_out.values())
    unit = f"of {total}, {len(rows.evaluation)} more kept for the eval loss"
    checks = [
        Check("rows_trained", len(rows.train), unit),
        Check("longest_row", max(lengths), "tokens", f"<= {max_length}", problem),
    ]
    for why, count in rows.left_out.items():
        checks.append(Check(f"rows_{why}", count, "rows", "left out whole, never cut"))
    return checks


def check_masks(
    tokenizer: PreTrainedTokenizerFast,
    rows: Rows,
    texts: Mapping[int, dict[str, Any]],
    whole_text: bool,
) -> list[Check]:
    """Checks which tokens are trained.

    Every row has some. Every answer is trained from its first character on and ends in a trained
    EOS. `texts` are the rows that `pick_first` returns as they are in their file, by their number;
    the trained ids have to say what they say. If the prompts are trained too (`whole_text`), only
    the EOS can be checked.
    """
    kept = rows.train + rows.evaluation
    counts = _count(tokenizer, kept, whole_text)
    checks = [
        _check_trained(counts, len(kept)),
        _check_eos(counts, tokenizer),
        Check("trained_share", round(counts.trained / counts.positions, 4), "of the positions"),
    ]
    if not whole_text:
        checks.append(_check_decoded(tokenizer, pick_first(rows), texts))
    return checks


@dataclass
class _Counts:
    """What is trained in some rows."""

    empty: int = 0  # rows without a trained token
    answers: int = 0
    ends: int = 0  # answers that end in a trained EOS
    trained: int = 0  # trained tokens
    positions: int = 0  # trained or not


def _count(tokenizer: PreTrainedTokenizerFast, rows: list[Row], whole_text: bool) -> _Counts:
    counts = _Counts()
    for row in rows:
        runs = _trained_runs(row)
        counts.empty += not runs
        counts.answers += len(runs)
        counts.positions += row.positions
        for run in runs:
            counts.trained += len(run)
            counts.ends += tokenizer.eos_token_id in (run if whole_text else run[-1:])
    return counts


def _check_trained(counts: _Counts, rows: int) -> Check:
    problem = ""
    if counts.empty:
        problem = (
            f"{counts.empty} of {rows} rows have no trained token; their assistant turn is empty."
        )
    return Check("rows_without_trained_token", counts.empty, f"of {rows:,}", "0", problem)


def _check_eos(counts: _Counts, tokenizer: PreTrainedTokenizerFast) -> Check:
    without = counts.answers - counts.ends
    problem = ""
    if without:
        problem = (
            f"{without} answers do not end in a trained {tokenizer.eos_token}: the model would"
            " never stop."
        )
    unit = f"of {counts.answers:,}"
    return Check("answers_with_trained_eos", counts.ends, unit, "all", problem)


def _check_decoded(
    tokenizer: PreTrainedTokenizerFast, rows: list[Row], texts: Mapping[int, dict[str, Any]]
) -> Check:
    wrong = []
    for row in rows:
        differing = _decoded_problem(tokenizer, row, _answer_texts(texts[row.number]))
        if differing:
            wrong.append(differing)
    problem = ""
    if wrong:
        problem = f"{len(wrong)} of {len(rows)} rows: {wrong[0]}"
    right = len(rows) - len(wrong)
    return Check("masks_decode_to_the_answers", right, "rows", f"{len(rows)}", problem)


def _decoded_problem(tokenizer: PreTrainedTokenizerFast, row: Row, texts: list[str]) -> str:
    trained = [_decode(tokenizer, run) for run in _trained_runs(row)]
    wanted = [_composed(text + tokenizer.eos_token) for text in texts]
    for got, want in zip_longest(trained, wanted, fillvalue=""):
        if got != want:
            return (
                f"The trained tokens say {got[:60]!r}, but the answer is {want[:60]!r}: the mask is"
                " wrong."
            )
    return ""


def _answer_texts(text: dict[str, Any]) -> list[str]:
    """Returns the assistant's turns of a conversation, or a pair's two answers."""
    if "messages" not in text:
        return [text[side][-1]["content"] for side in ("chosen", "rejected")]
    return [turn["content"] for turn in text["messages"] if turn["role"] == "assistant"]


def _trained_runs(row: Row) -> list[Tokens]:
    """Returns the runs of trained tokens of a row."""
    runs = []
    for answer in row.answers:
        runs += _runs(answer)
    return runs


def _runs(answer: Conversation) -> list[Tokens]:
    trained = answer.labels != IGNORED
    borders = np.flatnonzero(np.diff(trained, prepend=False, append=False))
    return [answer.labels[start:end] for start, end in borders.reshape(-1, 2)]
