"""Rows as tokens: which of them are trained. Made once for a stage, in OUT/tokens/DIGEST/, and read
by who resumes it.

The text is what the base's own chat template renders; the trained span of an assistant turn is its
content and the EOS behind it.
"""

import logging
from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from itertools import islice, pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow
import pyarrow.parquet as parquet
import tokenizers
import transformers
from transformers import PreTrainedTokenizerFast

from tasks.core.errors import WorkError
from tasks.core.files.digests import digest_value
from tasks.core.training.hardware import ranks
from tasks.core.training.rows.selection import IGNORED
from tasks.core.training.spec import STAGE_VERSION
from tasks.core.training.watch.checkpoints import problem_of, published

log = logging.getLogger(__name__)

# work for all cores; the tokenizer takes 300 bytes for a token, which is a byte at worst
_CHARACTERS_AT_ONCE = 500_000
_CHATS_AT_ONCE = 1_000
_SCHEMA = pyarrow.schema({name: pyarrow.list_(pyarrow.int32()) for name in ("ids", "labels")})
_FILE = "tokens.parquet"


def encode_once(
    out: Path,
    read: dict[str, Any],
    tokenizer: PreTrainedTokenizerFast,
    rows: list[dict[str, Any]],
    method: str,
    whole_text: bool,
) -> list[dict[str, Any]]:
    """`encode_rows`, of which all processes of a stage, now and later, read what one made.

    read: digests of the files that the tokens are made of; tokens of other files are not taken.
    """
    made_by = [STAGE_VERSION, transformers.__version__, tokenizers.__version__]
    folder = out / "tokens" / digest_value([read, made_by])[:16]
    chats = _chats(rows, method)
    ranks.from_first(lambda: _write(folder, tokenizer, chats))
    return _rows(rows, _read(folder / _FILE, tokenizer), method, whole_text)


def _write(
    folder: Path, tokenizer: PreTrainedTokenizerFast, chats: list[list[dict[str, str]]]
) -> None:
    """Unless they are there, and intact."""
    if not (problem := problem_of(folder)):
        return
    if folder.exists():
        log.warning("the tokens kept for this stage are not used: %s", problem)
    log.info("tokenizing %s conversations", f"{len(chats):,}")
    encoded = encode_chats(tokenizer, chats)
    with published(folder.parent) as part:
        (part / folder.name).mkdir()
        with parquet.ParquetWriter(
            part / folder.name / _FILE, _SCHEMA, compression="zstd"
        ) as writer:
            while some := list(islice(encoded, _CHATS_AT_ONCE)):
                writer.write_table(
                    pyarrow.table(list(map(list, zip(*some, strict=True))), schema=_SCHEMA)
                )


def _read(file: Path, tokenizer: PreTrainedTokenizerFast) -> Iterator[tuple[list[int], list[int]]]:
    """As `encode_chats`. A token is the same int wherever it stands: 8 bytes instead of 36, in 100
    million places.
    """
    ints = np.arange(IGNORED, max(tokenizer.get_vocab().values()) + 1).astype(object)
    with parquet.ParquetFile(file) as kept:
        for batch in kept.iter_batches(_CHATS_AT_ONCE):
            yield from zip(*(_lists(column, ints) for column in batch.columns), strict=True)


def _lists(column: pyarrow.ListArray, ints: np.ndarray) -> Iterator[list[int]]:
    tokens, ends = ints[column.flatten().to_numpy() - IGNORED], column.offsets.to_numpy()
    return (tokens[start:end].tolist() for start, end in pairwise(ends - ends[0]))


def encode_rows(
    tokenizer: PreTrainedTokenizerFast, rows: list[dict[str, Any]], method: str, whole_text: bool
) -> list[dict[str, Any]]:
    """The rows as tokens.

    SFT's become {"input_ids", "labels", "positions", "answers"}; answers are the assistant's texts.
    DPO's, two answers behind the very same prompt, become {"prompt_ids", "chosen_ids",
    "rejected_ids", "positions", "answers"}. whole_text: SFT trains the prompts too.
    """
    return _rows(rows, encode_chats(tokenizer, _chats(rows, method)), method, whole_text)


def _chats(rows: list[dict[str, Any]], method: str) -> list[list[dict[str, str]]]:
    """The rows' conversations; a pair has two."""
    if method == "dpo":
        return [[*row["prompt"], *row[side]] for row in rows for side in ("chosen", "rejected")]
    return [row["messages"] for row in rows]


def _rows(
    rows: list[dict[str, Any]], encoded: Iterator, method: str, whole_text: bool
) -> list[dict[str, Any]]:
    """Undoes `_chats`."""
    if method == "dpo":
        return [
            _pair(row, *two)
            for row, two in zip(rows, zip(encoded, encoded, strict=True), strict=True)
        ]
    return [
        _chat(row["messages"], *one, whole_text) for row, one in zip(rows, encoded, strict=True)
    ]


def _chat(
    messages: list[dict[str, str]], ids: list[int], labels: list[int], whole_text: bool
) -> dict[str, Any]:
    answers = [message["content"] for message in messages if message["role"] == "assistant"]
    labels = list(ids) if whole_text else labels
    return {"input_ids": ids, "labels": labels, "positions": len(ids), "answers": answers}


def _pair(row: dict[str, Any], *encoded: tuple[list[int], list[int]]) -> dict[str, Any]:
    (prompt, chosen), (other_prompt, rejected) = (_split(*side) for side in encoded)
    if prompt != other_prompt:
        raise WorkError(
            "A pair's two answers change the tokens of their prompt: the template merges across its border."
        )
    ids = {"prompt_ids": prompt, "chosen_ids": chosen, "rejected_ids": rejected}
    answers = [row[side][-1]["content"] for side in ("chosen", "rejected")]
    return ids | {"positions": 2 * len(prompt) + len(chosen) + len(rejected), "answers": answers}


def _split(ids: list[int], labels: list[int]) -> tuple[list[int], list[int]]:
    """What stands before the first trained token, and from there to the last one."""
    trained = [place for place, label in enumerate(labels) if label != IGNORED]
    first, end = (trained[0], trained[-1] + 1) if trained else (len(ids), len(ids))
    return ids[:first], ids[first:end]


def encode_chats(
    tokenizer: PreTrainedTokenizerFast, chats: list[list[dict[str, str]]]
) -> Iterator[tuple[list[int], list[int]]]:
    """Each conversation's token ids and labels: every assistant turn's content and EOS is trained,
    nothing else is.

    Raises WorkError if the template is not what training and serving can agree on: a turn that does
    not extend the text before it, content that it rewrites, or no EOS behind it.
    """
    texts, spans, characters = [], [], 0
    for number, messages in enumerate(chats, 1):
        texts.append(tokenizer.apply_chat_template(messages, tokenize=False))
        spans.append(_spans(tokenizer, messages, texts[-1]))
        characters += len(texts[-1])
        if characters >= _CHARACTERS_AT_ONCE or number == len(chats):
            yield from _encode(tokenizer, texts, spans)
            texts, spans, characters = [], [], 0


def _encode(
    tokenizer: PreTrainedTokenizerFast, texts: list[str], spans: list[list[tuple[int, int]]]
) -> Iterator[tuple[list[int], list[int]]]:
    encoded = tokenizer(
        texts, add_special_tokens=False, return_offsets_mapping=True, return_attention_mask=False
    )
    for ids, offsets, trained in zip(
        encoded["input_ids"], encoded["offset_mapping"], spans, strict=True
    ):
        yield ids, _labels(ids, offsets, trained)


def _labels(
    ids: list[int], offsets: list[tuple[int, int]], spans: list[tuple[int, int]]
) -> list[int]:
    """The ids of the tokens that lie within a span, IGNORED elsewhere.

    offsets: each token's first and past-last character; neither ever falls. Where one was seen to,
    the tokenizer put a space first, and the check of the template refuses such.
    """
    labels = [IGNORED] * len(ids)
    for start, end in spans:
        first = bisect_left(offsets, start, key=lambda token: token[0])
        behind = bisect_right(offsets, end, key=lambda token: token[1])
        labels[first:behind] = ids[first:behind]
    return labels


def _spans(tokenizer, messages: list[dict[str, str]], text: str) -> list[tuple[int, int]]:
    return [
        _span(tokenizer, messages, turn, text)
        for turn, m in enumerate(messages)
        if m["role"] == "assistant"
    ]


def _span(tokenizer, messages: list[dict[str, str]], turn: int, text: str) -> tuple[int, int]:
    """First and past-last character of an assistant turn's trained text."""
    before = tokenizer.apply_chat_template(
        messages[:turn], tokenize=False, add_generation_prompt=True
    )
    content, eos = messages[turn]["content"], tokenizer.eos_token
    if not text.startswith(before):
        raise WorkError(
            "The chat template does not extend the prompt it renders: training and serving would differ."
        )
    if not text.startswith(content + eos, len(before)):
        found = text[len(before) : len(before) + len(content) + len(eos)]
        raise WorkError(
            f"The chat template renders the answer {content[:40]!r} as {found[:60]!r}, without EOS {eos!r}."
        )
    return len(before), len(before) + len(content) + len(eos)
