"""Every check of the rows has a fault that it finds: planted where it would happen, the stage
refuses and says by how much.
"""

import logging
import re
from dataclasses import replace
from pathlib import Path

import pytest

from tasks.core.training import stage
from tasks.core.training.policy.base_model import load_tokenizer
from tasks.core.training.rows import encoding
from tasks.core.training.rows.files import RowFile
from tasks.core.training.rows.records import IGNORED, Conversation, as_tokens
from tasks.core.training.rows.selection import select_rows
from tasks.core.training.stage import train
from tests.training.conftest import changed, checked, refused


def with_labels(change):
    """A fault of encode_chats that changes the labels."""

    def changed_labels(chat: Conversation) -> Conversation:
        labels = change(chat.input_ids.tolist(), chat.labels.tolist())
        return replace(chat, labels=as_tokens(labels))

    return lambda encoded, *given: map(changed_labels, encoded)


def shifted(by: int):
    def shift(ids, labels):
        on = [label != IGNORED for label in labels]
        return [
            token if trained else IGNORED
            for token, trained in zip(ids, on[-by:] + on[:-by], strict=True)
        ]

    return shift


def first_token_off(ids, labels):
    first = next(place for place, label in enumerate(labels) if label != IGNORED)
    return [IGNORED if place == first else label for place, label in enumerate(labels)]


MASKS = {
    "one too late": (shifted(1), r"do not end in a trained <\|im_end\|>"),
    "one too early": (shifted(-1), r"do not end in a trained <\|im_end\|>"),
    "EOS masked": (
        lambda ids, labels: [x if x != 2 else IGNORED for x in labels],
        "the model would never stop",
    ),
    "first token masked": (
        first_token_off,
        r"29 of 29 rows: The trained tokens say .*, but the answer is",
    ),
    "all masked": (lambda ids, labels: [IGNORED] * len(ids), "29 of 29 rows have no trained token"),
    "prompts trained": (lambda ids, labels: list(ids), "do not end in a trained"),
}


@pytest.mark.parametrize("fault", MASKS)
def test_a_wrong_mask(sft, plant, fault):
    change, problem = MASKS[fault]
    plant(encoding, "encode_chats", with_labels(change))
    refused(sft, problem)


def test_a_wrong_mask_of_a_pair(dpo, plant):
    plant(
        encoding,
        "encode_chats",
        with_labels(lambda ids, labels: [x if x != 2 else IGNORED for x in labels]),
    )
    refused(dpo, "40 answers do not end in a trained")


def without_its_first_tokens(chat: Conversation) -> Conversation:
    return Conversation(chat.input_ids[2:], chat.labels[2:])


@pytest.mark.parametrize("method", ["sft", "dpo"])
def test_tokens_that_do_not_say_what_the_template_rendered(method, request, plant):
    """As if the tokens of each row's first word got lost."""
    plant(
        encoding,
        "encode_chats",
        lambda encoded, *given: map(without_its_first_tokens, encoded),
    )
    refused(
        request.getfixturevalue(method),
        r"(29 of 29|20 of 20) conversations do not come back .*'<\|im_start\|>",
    )


def test_rows_cut_in_silence_and_rows_too_long(sft, plant, monkeypatch):
    """Once they lose their ends, once they stay longer than asked for."""

    def cut(found, *given):
        train = [Conversation(x.input_ids[:-8], x.labels[:-8], x.number) for x in found.train]
        return replace(found, train=train)

    def select_any_length(encoded, max_length, *rest):
        return select_rows(encoded, 999, *rest)

    with monkeypatch.context() as patch:
        patch.setattr(stage, "select_rows", select_any_length)
        refused(
            changed(sft, max_length=60),
            r"\d+ of 29 rows are longer than training.max_length=60 tokens",
        )
    plant(stage, "select_rows", cut)
    refused(sft, "do not end in a trained")


@pytest.mark.slow
def test_rows_left_out_are_counted_in_the_table(sft, caplog):
    caplog.set_level(logging.INFO)
    lengths = sorted(row.longest for row in rows_of(sft))
    train(changed(sft, max_length=lengths[-5]))
    left = sum(length > lengths[-5] for length in lengths)
    assert checked(sft.out)["rows_longer than max_length"] == left > 0
    assert re.search(
        rf"yes +rows longer than max length +{left} rows +left out whole, never cut", caplog.text
    )
    assert caplog.text.index("packed against alone") < caplog.text.index(
        "checked after the last step"
    )


def rows_of(spec):
    tokenizer = load_tokenizer(Path(spec.base))
    rows = RowFile(Path(spec.rows), "sft").read()
    return encoding.encode_rows(tokenizer, rows, "sft", whole_text=False)
