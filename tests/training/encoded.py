"""Encoded rows, made from plain lists and shown as plain lists."""

import torch

from tasks.core.training.rows.records import IGNORED, Conversation, Pair, Row, as_tokens

VOCABULARY = 300


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


def sft_rows(lengths=(17, 5, 30, 9)) -> list[Conversation]:
    """Two turns are trained in each row."""
    generator = torch.Generator().manual_seed(5)
    rows = []
    for length in lengths:
        ids = torch.randint(0, VOCABULARY, (length,), generator=generator).tolist()
        labels = [token if place % 5 > 1 else IGNORED for place, token in enumerate(ids)]
        rows.append(conversation(ids, labels))
    return rows


def pair_rows() -> list[Pair]:
    generator = torch.Generator().manual_seed(6)
    pairs = []
    for sizes in ((11, 6, 8), (4, 9, 2), (7, 1, 5)):  # of prompt, chosen and rejected
        ids = [torch.randint(0, VOCABULARY, (size,), generator=generator) for size in sizes]
        pairs.append(pair(*(each.tolist() for each in ids)))
    return pairs


def alike_rows() -> list[Row]:
    """Conversations and a pair that begin alike: up to an untrained token, up to a trained one, as
    far as one goes, and one that is there twice.
    """
    first, other, third, fourth = sft_rows()
    rows = [first]
    for shared, row in ((9, other), (13, third), (17, fourth)):
        ids = [*first.input_ids[:shared], *row.input_ids]
        rows.append(conversation(ids, [*first.labels[:shared], *row.labels]))
    one = pair_rows()[0]
    longer = pair([*first.input_ids[:9], *one.prompt_ids], one.chosen_ids, one.rejected_ids)
    return [*rows, one, fourth, longer, rows[2]]
