"""The frozen questions: the same bytes each time, held-out days and templates, every kind."""

import pytest

from tasks.core.errors import RequestError
from tasks.core.evaluation.questions import (
    NEAR_EVERY,
    briefed,
    build_questions,
    read_questions,
)
from tasks.core.evaluation.records import days_of
from tasks.core.evaluation.verdicts import constant_answers, regime_of_question
from tasks.core.kinds import KINDS, kind_named
from tasks.core.kinds.base import scene_from_dict
from tasks.core.kinds.scenes import HELD_TEMPLATES
from tasks.core.kinds.simulate import NEAR_A_LIMIT_PCT
from tasks.core.records.market_days import read_snapshots
from tasks.core.settings.evaluation import Evaluation
from tasks.core.strategy.borders import confidence_pct
from tasks.core.strategy.rules import NUMBERS, REGIMES
from tasks.core.strategy.stated import known_numbers


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
        assert question.day is None or question.day > last_training_day
        templates = len(kind_named(question.kind).templates(question.language))
        assert question.scene["template"] >= templates - HELD_TEMPLATES
        assert bool(set(NUMBERS) & set(question.scene["simulated"])) == (question.day is None)
    prompts = [question.messages[-1]["content"] for question in questions]
    assert len(set(prompts)) == len(prompts)


@pytest.mark.parametrize("count", [1, 2, len(KINDS), 50])
def test_every_kind_is_asked_if_the_number_allows(market, tmp_path, count):
    counts = build_questions(market / "holdout", Evaluation(questions=count), tmp_path)
    assert sum(counts["kinds"].values()) == count
    assert len(counts["kinds"]) >= min(count - counts["twins"], len(KINDS))


def test_regimes_come_in_equal_shares_and_rare_ones_are_simulated(market, tmp_path):
    counts = build_questions(market / "holdout", Evaluation(questions=200), tmp_path)
    assert set(counts["regimes"]) == set(REGIMES)
    assert max(counts["regimes"].values()) <= 1.4 * min(counts["regimes"].values())
    questions = read_questions(tmp_path / "questions.jsonl")
    assert any(question.day is None for question in questions)
    near = [
        question
        for question in questions
        if confidence_pct(**known_numbers(scene_from_dict(question.scene).facts))
        <= NEAR_A_LIMIT_PCT
    ]
    assert len(near) >= len(questions) / NEAR_EVERY * 0.8


def test_twins_change_one_thing_and_the_right_answer_follows(market, tmp_path):
    build_questions(market / "holdout", Evaluation(questions=120), tmp_path)
    questions = read_questions(tmp_path / "questions.jsonl")
    by_id = {question.id: question for question in questions}
    twins = [question for question in questions if question.twin_of]
    assert {question.change for question in twins} == {"limit", "names"}
    for twin in twins:
        original = by_id[twin.twin_of]
        regimes = regime_of_question(twin), regime_of_question(original)
        assert (regimes[0] != regimes[1]) == (twin.change == "limit")
        assert twin.messages[-1] != original.messages[-1]


def test_no_constant_answer_earns_anything(market, tmp_path):
    build_questions(market / "holdout", Evaluation(questions=120), tmp_path)
    questions = read_questions(tmp_path / "questions.jsonl")
    constants = constant_answers(questions, days_of(questions))
    assert set(constants) == set(REGIMES)
    assert max(share["value"] for share in constants.values()) <= 0.05


def test_a_briefed_question_has_the_kinds_rule_card(questions):
    asked = briefed(questions[0])
    assert asked.messages[0]["content"].endswith(kind_named(asked.kind).card)
    assert asked.messages[1] == questions[0].messages[1]


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
