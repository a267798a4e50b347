"""Encoded rows, made from plain lists and shown as plain lists."""

from tasks.core.training.rows.records import Conversation, Pair, Row, as_tokens


def conversation(ids: list[int], labels: list[int] | None = None) -> Conversation:
    """All of its tokens are trained unless there are labels."""
    return Conversation(as_tokens(ids), as_tokens(ids if labels is None else labels))


def pair(prompt: list[int], chosen: list[int], rejected: list[int]) -> Pair:
    return Pair(as_tokens(prompt), as_tokens(chosen), as_tokens(rejected))


def plain(row: Row) -> dict[str, list[int]]:
    """The row's tokens, to be compared."""
    if isinstance(row, Conversation):
        return {"input_ids": row.input_ids.tolist(), "labels": row.labels.tolist()}
    return {
        "prompt_ids": row.prompt_ids.tolist(),
        "chosen_ids": row.chosen_ids.tolist(),
        "rejected_ids": row.rejected_ids.tolist(),
    }
