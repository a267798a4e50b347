"""The questions of rows that were kept from training."""

import logging

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tasks.core.chat.tool_text import ToolCall, write_calls, write_results
from tasks.core.errors import RequestError
from tasks.core.evaluation.held_rows import build_row_questions
from tasks.core.evaluation.questions import read_questions
from tasks.core.evaluation.records import CALL, TEXT, days_of
from tasks.core.settings.evaluation import Evaluation

SYSTEM = {"role": "system", "content": "S"}


def row(asked, *turns):
    roles = ["assistant", "user"] * len(turns)
    later = [{"role": role, "content": text} for role, text in zip(roles, turns, strict=False)]
    return [SYSTEM, {"role": "user", "content": asked}, *later]


def write(file, rows):
    pq.write_table(pa.table({"messages": rows, "source": ["own"] * len(rows)}), file)
    return file


def build(tmp_path, held, trained, questions=200):
    test = write(tmp_path / "test.parquet", held)
    rows = write(tmp_path / "rows.parquet", trained)
    made = build_row_questions(test, rows, Evaluation(questions=questions), tmp_path)
    return made, read_questions(tmp_path / "questions.jsonl")


def test_each_answer_is_asked_for_after_all_before_it(tmp_path):
    call = write_calls("", [ToolCall("run", {})])
    held = [row("해석해줘", call, write_results(["done"]), "끝났습니다."), row("Why?", "Because.")]
    made, questions = build(tmp_path, held, [row("other", "a")])
    assert made["kinds"] == {CALL: 1, TEXT: 2} and made["languages"] == {"ko": 2, "en": 1}
    assert [question.id for question in questions] == ["row-0001-2", "row-0001-4", "row-0002-2"]
    assert questions[0].messages == held[0][:2] and questions[0].reference == call
    assert questions[1].messages == held[0][:4] and questions[1].reference == "끝났습니다."
    assert all(question.of_a_row and question.schema is None for question in questions)
    assert days_of(questions) == ["row-0001", "row-0001", "row-0002"]
    made, questions = build(tmp_path, held, [row("other", "a")], questions=2)
    assert made["questions"] == len(questions) == 2


def test_what_was_trained_is_not_asked(tmp_path, caplog):
    held = [row("seen", "another answer"), row("new", "a")]
    with caplog.at_level(logging.WARNING):
        made, questions = build(tmp_path, held, [row("seen", "a")])
    assert made["asked in training"] == 1 and len(questions) == 1
    assert "1 of the rows kept for the test ask what a trained row asks" in caplog.text
    with pytest.raises(RequestError, match="All 1 rows kept for the test ask what a trained"):
        build(tmp_path, held[:1], [row("seen", "a")])
