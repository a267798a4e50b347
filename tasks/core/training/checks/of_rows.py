"""What has to be true of the encoded rows before anything is trained on them, and by how much it is
not.

Each function tells what it found as report.Check; report.Report stops the stage where one does not
hold.
"""

from collections.abc import Iterable
from itertools import zip_longest
from typing import Any
from unicodedata import normalize

from transformers import PreTrainedTokenizerFast

from tasks.core.training.checks.report import Check
from tasks.core.training.rows.selection import IGNORED, Rows, longest

_DECODED = 1_000  # rows; decoding all of 200,000 takes longer than it tells


def check_template(
    tokenizer: PreTrainedTokenizerFast, raw: list[dict[str, Any]], encoded: list[dict[str, Any]]
) -> Check:
    """Rendered, split into tokens and decoded, a conversation is what the template rendered. Some
    _DECODED rows.
    """
    every = -(-len(raw) // _DECODED)
    looked = list(zip(raw, encoded, strict=True))[::every]
    wrong = [differing for row, ids in looked if (differing := _differing(tokenizer, row, ids))]
    problem = ""
    if wrong:
        problem = (
            f"{len(wrong)} of {len(looked)} conversations do not come back from their tokens: {wrong[0][1]!r} where the"
            f" template renders {wrong[0][0]!r}. The tokenizer and the chat template do not belong together."
        )
    return Check(
        "template_round_trips", len(looked) - len(wrong), "rows", f"{len(looked):,}", problem
    )


def _differing(tokenizer, row: dict[str, Any], encoded: dict[str, Any]) -> tuple[str, str] | None:
    """What the template renders and what the tokens say, around the first place where they differ."""
    for messages, tokens in _conversations(row, encoded):
        text = _composed(tokenizer.apply_chat_template(messages, tokenize=False))
        decoded = _composed(tokenizer.decode(tokens, clean_up_tokenization_spaces=False))
        if "prompt_ids" in encoded:  # it ends where the answer does
            text = text[: len(decoded)]
        if text != decoded:
            place = next(
                number for number, (a, b) in enumerate(zip_longest(text, decoded)) if a != b
            )
            return tuple(side[max(0, place - 20) : place + 20] for side in (text, decoded))
    return None


def _conversations(
    row: dict[str, Any], encoded: dict[str, Any]
) -> Iterable[tuple[list[dict[str, str]], list[int]]]:
    if "input_ids" in encoded:
        return [(row["messages"], encoded["input_ids"])]
    sides = ("chosen", "rejected")
    return [
        ([*row["prompt"], *row[side]], encoded["prompt_ids"] + encoded[f"{side}_ids"])
        for side in sides
    ]


def _composed(text: str) -> str:
    return normalize("NFC", text)  # Qwen's tokenizer composes Unicode before it splits


def check_lengths(rows: Rows, max_length: int) -> list[Check]:
    """How many rows are trained, and that no longer one is; what was left out, and why."""
    kept = rows.train + rows.evaluation
    over = sum(longest(row) > max_length for row in kept)
    problem = (
        f"{over} of {len(kept)} rows are longer than training.max_length={max_length} tokens."
        if over
        else ""
    )
    total = len(kept) + sum(rows.left_out.values())
    return [
        Check(
            "rows_trained",
            len(rows.train),
            f"of {total}, {len(rows.evaluation)} more kept for the eval loss",
        ),
        Check("longest_row", max(map(longest, kept)), "tokens", f"<= {max_length}", problem),
        *(
            Check(f"rows_{why}", count, "rows", "left out whole, never cut")
            for why, count in rows.left_out.items()
        ),
    ]


def check_masks(
    tokenizer: PreTrainedTokenizerFast, rows: list[dict[str, Any]], whole_text: bool
) -> list[Check]:
    """Something is trained in every row; every answer ends in a trained EOS and is trained from its
    first character on.

    The rows' `answers` are the texts; those of the first _DECODED rows are compared with what the
    trained ids say. whole_text: the prompts are trained too, so only the EOS can be looked for.
    """
    answers, eos = [_answers(row) for row in rows], tokenizer.eos_token
    empty = sum(not row for row in answers)
    all_answers = [answer for row in answers for answer in row]
    ends = sum(
        tokenizer.eos_token_id in (answer if whole_text else answer[-1:]) for answer in all_answers
    )
    share = sum(map(len, all_answers)) / sum(row["positions"] for row in rows)
    without = len(all_answers) - ends
    told = [
        Check(
            "rows_without_trained_token",
            empty,
            f"of {len(rows):,}",
            "0",
            f"{empty} of {len(rows)} rows have no trained token; their assistant turn is empty."
            if empty
            else "",
        ),
        Check(
            "answers_with_trained_eos",
            ends,
            f"of {len(all_answers):,}",
            "all",
            f"{without} answers do not end in a trained {eos}: the model would never stop."
            if without
            else "",
        ),
        Check("trained_share", round(share, 4), "of the positions"),
    ]
    if whole_text:
        return told
    decoded = list(zip(rows, answers, strict=True))[:_DECODED]
    wrong = [
        problem
        for row, ids in decoded
        if (problem := _decoded_problem(tokenizer, ids, row["answers"]))
    ]
    problem = f"{len(wrong)} of {len(decoded)} rows: {wrong[0]}" if wrong else ""
    return [
        *told,
        Check(
            "masks_decode_to_the_answers",
            len(decoded) - len(wrong),
            "rows",
            f"{len(decoded)}",
            problem,
        ),
    ]


def _decoded_problem(
    tokenizer: PreTrainedTokenizerFast, ids: list[list[int]], texts: list[str]
) -> str:
    trained = [
        _composed(tokenizer.decode(answer, clean_up_tokenization_spaces=False)) for answer in ids
    ]
    wanted = [_composed(text + tokenizer.eos_token) for text in texts]
    if trained == wanted:
        return ""
    got, want = next((g, w) for g, w in zip_longest(trained, wanted, fillvalue="") if g != w)
    return (
        f"The trained tokens say {got[:60]!r} where the answer is {want[:60]!r}: the mask is wrong."
    )


def _answers(row: dict[str, Any]) -> list[list[int]]:
    """The runs of trained tokens of a row."""
    if "chosen_ids" in row:
        return [answer for answer in (row["chosen_ids"], row["rejected_ids"]) if answer]
    runs: list[list[int]] = [[]]
    for label in row["labels"]:
        if label == IGNORED:
            runs.append([])
        else:
            runs[-1].append(label)
    return [run for run in runs if run]
