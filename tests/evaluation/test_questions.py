"""The frozen questions: the same bytes each time, held-out days and templates, every kind."""

import pytest

from tasks.core.errors import RequestError
from tasks.core.evaluation.questions import build_questions, read_questions
from tasks.core.kinds import KINDS, kind_named
from tasks.core.kinds.scenes import HELD_TEMPLATES
from tasks.core.records.market_days import read_snapshots
from tasks.core.settings.evaluation import Evaluation
from tasks.core.strategy.rules import NUMBERS


def test_the_set_is_frozen_and_spread(market, tmp_path):
    made = []
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        counts = build_questions(market / "holdout", Evaluation(questions=40), tmp_path / name)
        made.append((tmp_path / name / "questions.jsonl").read_bytes())
    assert made[0] == made[1]
    assert counts["questions"] == 40
    assert set(counts["kinds"]) == {known.name for known in KINDS}
    assert abs(counts["languages"]["ko"] - counts["languages"]["en"]) <= len(KINDS)
    (tmp_path / "c").mkdir()
    build_questions(market / "holdout", Evaluation(questions=40, seed=7), tmp_path / "c")
    assert (tmp_path / "c" / "questions.jsonl").read_bytes() != made[0]


def test_questions_are_of_held_out_days_and_templates(questions, market):
    last_training_day = read_snapshots(market / "train")[-1].date
    for question in questions:
        assert question.date > last_training_day
        templates = len(kind_named(question.kind).templates(question.language))
        assert question.scene["template"] >= templates - HELD_TEMPLATES
        assert not set(NUMBERS) & set(question.scene["simulated"])
    prompts = [question.messages[-1]["content"] for question in questions]
    assert len(set(prompts)) == len(prompts)


@pytest.mark.parametrize("count", [1, 2, len(KINDS), 50])
def test_every_kind_is_asked_if_the_number_allows(market, tmp_path, count):
    counts = build_questions(market / "holdout", Evaluation(questions=count), tmp_path)
    assert sum(counts["kinds"].values()) == count
    assert len(counts["kinds"]) == min(count, len(KINDS))


def test_a_file_that_holds_no_questions_is_named(tmp_path):
    file = tmp_path / "questions.jsonl"
    with pytest.raises(RequestError, match="questions.jsonl cannot be read"):
        read_questions(file)
    file.write_text("")
    with pytest.raises(RequestError, match="is empty"):
        read_questions(file)
    for line, fault in (('{"id": "x"}', "a question"), ("[1, 2]", "a question"), ('{"', "JSON")):
        file.write_text(f"\n{line}\n")
        with pytest.raises(RequestError, match=f"line 2 is not {fault}.*Use the questions.jsonl"):
            read_questions(file)


def test_a_reply_may_be_longer_than_the_right_answer_but_not_endless(questions):
    for question in questions:
        assert len(question.reference) <= question.max_tokens <= 4 * len(question.reference) + 256
