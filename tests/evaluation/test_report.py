"""The report of several models, and whether a new one may take an old one's place."""

import json

import pytest

from tasks.core.errors import RequestError
from tasks.core.evaluation.report import compare, read_scores, write_report
from tests.evaluation.replies import scores_of


def test_the_report_sets_the_models_side_by_side(questions, tmp_path):
    base, released = scores_of(questions, 12), scores_of(questions, 3)
    write_report({"base": base, "released": released}, tmp_path, toy=True)
    table = (tmp_path / "table.md").read_text(encoding="utf-8")
    assert "toy" in table and "not that the model has the skill" in table
    assert "| share of replies, % | base | released | difference, pp | n |" in table
    assert "| valid JSON | 50.0 [" in table and "| 87.5 [" in table and "| +37.5 | 24 |" in table
    assert "latency, median, s | 2 | 2 |" in table
    assert (tmp_path / "chart.png").read_bytes().startswith(b"\x89PNG")
    kept = read_scores(tmp_path)
    assert kept["released"]["measures"] == released["measures"]
    assert "speed" not in kept["released"]  # differs from run to run, so it is beside the content
    assert json.loads((tmp_path / "speed.json").read_text())["base"] == base["speed"]


def test_a_measure_that_applies_nowhere_is_a_dash(questions, tmp_path):
    english = [question for question in questions if question.language == "en"]
    right = scores_of(english, 0)
    write_report({"base": right, "released": right}, tmp_path, toy=False)
    table = (tmp_path / "table.md").read_text(encoding="utf-8")
    assert "| Korean rationale, no Hanja | – | – | – | 0 |" in table
    assert "toy" not in table


def test_a_model_alone_has_no_difference_to_another(questions, tmp_path):
    write_report({"alone": scores_of(questions, 0)}, tmp_path, toy=False)
    table = (tmp_path / "table.md").read_text(encoding="utf-8")
    assert "| share of replies, % | alone | n |" in table


def test_scores_that_are_not_there_are_named(tmp_path):
    with pytest.raises(RequestError, match="scores.json is no evaluation's scores"):
        read_scores(tmp_path)


def test_a_model_is_promoted_unless_it_regresses(questions):
    best, worst = scores_of(questions, 0), scores_of(questions, 20)
    assert compare(None, worst).promote
    assert compare(worst, best).promote
    assert compare(best, best).promote
    refused = compare(best, worst)
    assert not refused.promote
    assert any(
        reason.startswith("obeys the schema: fell, 1.000 → 0.167") for reason in refused.reasons
    )


def test_a_fall_within_the_interval_may_be_chance(questions):
    assert compare(scores_of(questions, 0), scores_of(questions, 1)).promote
    assert not compare(scores_of(questions, 0), scores_of(questions, 8)).promote


def test_only_answers_to_the_same_questions_are_compared(questions):
    with pytest.raises(RequestError, match="not asked the same questions"):
        compare(scores_of(questions, 0), scores_of(questions[1:], 0))
