"""Turns rows into tokens, and says which of the tokens are trained.

The tokens are made once for a stage, in OUT/tokens/DIGEST/, and read by every process of the stage
and by whichever resumes it. The text is what the base's own chat template renders; the trained span
of an assistant turn is its content and the EOS behind it.
"""

import logging
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice, pairwise
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import pyarrow
import pyarrow.parquet as parquet
import tokenizers
import transformers
from transformers import PreTrainedTokenizerFast

from tasks.core.errors import RequestError, WorkError
from tasks.core.files.digests import digest_value
from tasks.core.files.sealed import problem_of, published
from tasks.core.training.hardware import ranks
from tasks.core.training.rows.files import RowFile
from tasks.core.training.rows.records import (
    IGNORED,
    Conversation,
    Pair,
    Row,
    Tokens,
    as_tokens,
)
from tasks.core.training.rows.rendering import render_chat
from tasks.core.training.spec import STAGE_VERSION

log = logging.getLogger(__name__)

# enough work for all cores; the tokenizer takes 300 bytes for a token, and in the worst case a
# token is a byte
_CHARACTERS_AT_ONCE = 500_000
_CHATS_AT_ONCE = 1_000
_TOKENS = pyarrow.list_(pyarrow.int32())
_SCHEMA = pyarrow.schema({"ids": _TOKENS, "labels": _TOKENS})
_FILE = "tokens.parquet"

Messages: TypeAlias = list[dict[str, str]]
"""A chat: the role and the content of each turn."""


@dataclass(frozen=True)
class _Span:
    """Characters of a rendered chat."""

    start: int
    end: int  # behind the last one


def encode_once(
    out: Path,
    read: dict[str, Any],
    tokenizer: PreTrainedTokenizerFast,
    rows: RowFile,
    whole_text: bool,
) -> list[Row]:
    """Returns what `encode_rows` makes of the file's rows; the first process that asks makes it.

    read: digests of the files that the tokens are made of; tokens of other files are not taken.
    """
    made_by = [STAGE_VERSION, transformers.__version__, tokenizers.__version__]
    folder = out / "tokens" / digest_value([read, made_by])[:16]
    ranks.from_first(lambda: _write_once(folder, tokenizer, rows))
    return _rows_of(_read(folder / _FILE), rows.method, whole_text)


def _write_once(folder: Path, tokenizer: PreTrainedTokenizerFast, rows: RowFile) -> None:
    """Writes the tokens unless they are there, and intact."""
    problem = problem_of(folder)
    if problem is None:
        return
    if folder.exists():
        log.warning("the tokens kept for this stage are not used: %s", problem)
    chats_of_row = 2 if rows.method == "dpo" else 1
    log.info("tokenizing %s conversations", f"{rows.count() * chats_of_row:,}")
    encoded = encode_chats(tokenizer, _chats(rows.read(), rows.method))
    with published(folder.parent) as part:
        (part / folder.name).mkdir()
        _write(part / folder.name / _FILE, encoded)


def _write(file: Path, encoded: Iterator[Conversation]) -> None:
    with parquet.ParquetWriter(file, _SCHEMA, compression="zstd") as writer:
        for chats in _batches(encoded):
            ids = pyarrow.array([chat.input_ids for chat in chats], _TOKENS)
            labels = pyarrow.array([chat.labels for chat in chats], _TOKENS)
            writer.write_table(pyarrow.table([ids, labels], schema=_SCHEMA))


def _batches(encoded: Iterator[Conversation]) -> Iterator[list[Conversation]]:
    while True:
        chats = list(islice(encoded, _CHATS_AT_ONCE))
        if not chats:
            return
        yield chats


def _read(file: Path) -> Iterator[Conversation]:
    """Yields what `encode_chats` made, as slices of the batches' arrays."""
    with parquet.ParquetFile(file) as kept:
        for batch in kept.iter_batches(_CHATS_AT_ONCE):
            ids, labels = map(_slices, batch.columns)
            for chat_ids, chat_labels in zip(ids, labels, strict=True):
                yield Conversation(chat_ids, chat_labels)


def _slices(column: pyarrow.ListArray) -> list[Tokens]:
    # a copy, because Arrow's own buffers are half as large again as what they hold (measured)
    tokens = column.flatten().to_numpy().copy()
    ends = column.offsets.to_numpy()
    return [tokens[start:end] for start, end in pairwise(ends - ends[0])]


def encode_rows(
    tokenizer: PreTrainedTokenizerFast,
    rows: Iterable[dict[str, Any]],
    method: str,
    whole_text: bool,
) -> list[Row]:
    """Returns the rows as tokens: conversations for SFT, pairs for DPO, numbered from 0.

    whole_text: SFT trains the prompts too. Raises WorkError if the template merges tokens across
    the border of a pair's prompt, and what `encode_chats` raises.
    """
    return _rows_of(encode_chats(tokenizer, _chats(rows, method)), method, whole_text)


def _chats(rows: Iterable[dict[str, Any]], method: str) -> Iterator[Messages]:
    """Yields the rows' chats; a pair has two, one for each answer."""
    for row in rows:
        if method == "dpo":
            yield [*row["prompt"], *row["chosen"]]
            yield [*row["prompt"], *row["rejected"]]
        else:
            yield row["messages"]


def _rows_of(encoded: Iterator[Conversation], method: str, whole_text: bool) -> list[Row]:
    """Puts the rows together again that `_chats` took apart."""
    if method == "dpo":
        # twice the same iterator, so that zip takes two chats at a time
        both_answers = zip(encoded, encoded, strict=True)
        return [_pair(number, *answers) for number, answers in enumerate(both_answers)]
    return [_conversation(number, chat, whole_text) for number, chat in enumerate(encoded)]


def _conversation(number: int, chat: Conversation, whole_text: bool) -> Conversation:
    labels = chat.input_ids if whole_text else chat.labels
    return Conversation(chat.input_ids, labels, number)


def _pair(number: int, chosen: Conversation, rejected: Conversation) -> Pair:
    if not chosen.positions or not rejected.positions:  # the template refused one of them
        nothing = as_tokens([])
        return Pair(nothing, nothing, nothing, number)
    of_chosen = _split(chosen)
    of_rejected = _split(rejected)
    if not np.array_equal(of_chosen.prompt, of_rejected.prompt):
        raise WorkError(
            "A pair's two answers change the tokens of their prompt: the template merges across"
            " its border."
        )
    # copies, because slices would keep the memory of what is not used here
    return Pair(
        prompt_ids=of_chosen.prompt.copy(),
        chosen_ids=of_chosen.answer.copy(),
        rejected_ids=of_rejected.answer.copy(),
        number=number,
    )


@dataclass(frozen=True)
class _Parts:
    """A chat of one answer: the tokens before its first trained one, and from there to its last."""

    prompt: Tokens
    answer: Tokens


def _split(chat: Conversation) -> _Parts:
    trained = np.flatnonzero(chat.labels != IGNORED)
    if not len(trained):
        return _Parts(prompt=chat.input_ids, answer=chat.input_ids[:0])
    first = trained[0]
    behind = trained[-1] + 1
    return _Parts(prompt=chat.input_ids[:first], answer=chat.input_ids[first:behind])


def encode_chats(
    tokenizer: PreTrainedTokenizerFast, chats: Iterable[Messages]
) -> Iterator[Conversation]:
    """Yields each chat's tokens: the content and EOS of assistant turns are trained, nothing else.

    A chat that the template refuses has no tokens, and the first one is logged. Raises WorkError if
    the template is not what training and serving can agree on: a turn that does not extend the text
    before it, content that it rewrites, or no EOS behind it.
    """
    texts: list[str] = []
    spans: list[list[_Span]] = []
    characters = 0
    refused = False
    for messages in chats:
        try:
            text = render_chat(tokenizer, messages)
            trained = _trained_spans(tokenizer, messages, text)
        except RequestError as error:
            if not refused:
                log.warning("%s It is left out, and others like it.", error)
            refused = True
            text, trained = "", []
        texts.append(text)
        spans.append(trained)
        characters += len(text)
        if characters >= _CHARACTERS_AT_ONCE:
            yield from _encode(tokenizer, texts, spans)
            texts, spans, characters = [], [], 0
    if texts:
        yield from _encode(tokenizer, texts, spans)


def _encode(
    tokenizer: PreTrainedTokenizerFast, texts: list[str], spans: list[list[_Span]]
) -> Iterator[Conversation]:
    encoded = tokenizer(
        texts, add_special_tokens=False, return_offsets_mapping=True, return_attention_mask=False
    )
    for index, trained in enumerate(spans):
        ids = as_tokens(encoded["input_ids"][index])
        yield Conversation(ids, _labels(ids, encoded["offset_mapping"][index], trained))


def _labels(ids: Tokens, offsets: list[tuple[int, int]], spans: list[_Span]) -> Tokens:
    """Returns the ids of the tokens that lie within a span, and IGNORED for the others.

    offsets: each token's first character, and the one behind its last; neither ever falls. They
    were seen to fall with one tokenizer only: it puts a space first, and the check of the template
    refuses it.
    """
    labels = np.full_like(ids, IGNORED)
    for span in spans:
        first = bisect_left(offsets, span.start, key=lambda token: token[0])
        behind = bisect_right(offsets, span.end, key=lambda token: token[1])
        labels[first:behind] = ids[first:behind]
    return labels


def _trained_spans(
    tokenizer: PreTrainedTokenizerFast, messages: Messages, text: str
) -> list[_Span]:
    spans = []
    for turn, message in enumerate(messages):
        if message["role"] == "assistant":
            spans.append(_trained_span(tokenizer, messages, turn, text))
    return spans


def _trained_span(
    tokenizer: PreTrainedTokenizerFast, messages: Messages, turn: int, text: str
) -> _Span:
    """Returns the characters of an assistant turn's content and of the EOS behind it."""
    before = render_chat(tokenizer, messages[:turn], add_generation_prompt=True)
    if not text.startswith(before):
        raise WorkError(
            "The chat template does not extend the prompt it renders: training and serving would"
            " differ."
        )
    content, eos = messages[turn]["content"], tokenizer.eos_token
    span = _Span(len(before), len(before) + len(content) + len(eos))
    rendered = text[span.start : span.end]
    if rendered != content + eos:
        raise WorkError(
            f"The chat template renders the answer {content[:40]!r} as {rendered[:60]!r}, without"
            f" EOS {eos!r}."
        )
    return span
