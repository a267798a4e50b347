"""The questions of rows that were kept from training: each answer of a row is asked for, after all
that the row says before it.

Reads test.parquet and rows.parquet of normalize; writes questions.jsonl.
"""

import logging
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict
from itertools import islice, takewhile
from pathlib import Path
from typing import Any

import pyarrow.parquet as parquet

from tasks.core.chat.tool_text import read_calls
from tasks.core.errors import RequestError
from tasks.core.evaluation.records import CALL, TEXT, Question
from tasks.core.files.json_files import write_lines
from tasks.core.scripts import HANGUL
from tasks.core.settings.evaluation import Evaluation

log = logging.getLogger(__name__)

Messages = list[dict[str, str]]


def build_row_questions(
    test: Path, trained: Path, evaluation: Evaluation, out: Path
) -> dict[str, Any]:
    """Writes out/questions.jsonl, of the first rows, evaluation.questions at most.

    A row that asks what a trained row asks, with the same system text, is left out, and logged: a
    model may know its answer by heart. Raises RequestError if no row is left.
    """
    known = {_asked(row) for row in _rows(trained)}
    fresh = []
    repeated = 0
    for row in _rows(test):
        if _asked(row) in known:
            repeated += 1
        else:
            fresh.append(row)
    if repeated:
        log.warning(
            "%s of the rows kept for the test ask what a trained row asks; they are not asked.",
            repeated,
        )
    questions = list(islice(_questions(fresh, evaluation), evaluation.questions))
    if not questions:
        raise RequestError(
            f"All {repeated} rows kept for the test ask what a trained row asks, so nothing can be"
            " measured. Give other rows, or another data.seed."
        )
    write_lines(out / "questions.jsonl", [asdict(question) for question in questions])
    return {
        "questions": len(questions),
        "kinds": dict(Counter(question.kind for question in questions)),
        "languages": dict(Counter(question.language for question in questions)),
        "asked in training": repeated,
    }


def _rows(file: Path) -> Iterator[Messages]:
    for batch in parquet.ParquetFile(file).iter_batches(1_000, columns=["messages"]):
        for row in batch.to_pylist():
            yield row["messages"]


def _asked(row: Messages) -> tuple[str, ...]:
    """All that a row says before its first answer."""
    before = takewhile(lambda message: message["role"] != "assistant", row)
    return tuple(message["content"] for message in before)


def _questions(rows: list[Messages], evaluation: Evaluation) -> Iterator[Question]:
    for number, row in enumerate(rows, 1):
        for turn, message in enumerate(row):
            if message["role"] == "assistant":
                yield _question(
                    f"row-{number:04}-{turn}", row[:turn], message["content"], evaluation
                )


def _question(name: str, before: Messages, answer: str, evaluation: Evaluation) -> Question:
    called = bool(read_calls(answer).calls)
    spoken = before[-1]["content"] if called else answer
    return Question(
        id=name,
        kind=CALL if called else TEXT,
        language="ko" if HANGUL.search(spoken) else "en",
        date=None,
        messages=before,
        schema=None,
        reference=answer,
        scene={},
        most_tokens=evaluation.max_tokens,
    )
