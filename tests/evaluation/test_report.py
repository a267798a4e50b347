"""The report of several models as files."""

import json

import pytest

from tasks.core.errors import RequestError
from tasks.core.evaluation.evaluated import read_marks
from tasks.core.evaluation.path_report import NO_PATH
from tasks.core.evaluation.records import days_of
from tasks.core.evaluation.report import write_report
from tests.evaluation.replies import evaluated


def test_the_report_sets_the_models_side_by_side(questions, tmp_path):
    both = evaluated(questions, base=12, released=3)
    write_report(both, tmp_path, toy=True)
    table = (tmp_path / "table.md").read_text(encoding="utf-8")
    assert "toy" in table and "not that the model has the skill" in table
    assert "| share of replies, % | base | released | difference, pp | n |" in table
    assert "| valid JSON | 50.0 [" in table and "| 87.5 [" in table and "| +37.5 | 24 |" in table
    assert "the grade of released is +0.375 [+0." in table and " against base.\n" in table
    assert "latency, median, s | 2 | 2 |" in table
    assert (tmp_path / "chart.png").read_bytes().startswith(b"\x89PNG")
    kept = json.loads((tmp_path / "scores.json").read_text())
    assert kept["released"]["measures"] == both.scores["released"]["measures"]
    assert "speed" not in kept["released"]  # differs from run to run, so it is beside the content
    speed = json.loads((tmp_path / "speed.json").read_text())
    assert speed["base"] == both.scores["base"]["speed"]
    marks = read_marks(tmp_path)
    assert marks.of == both.marks
    assert marks.days == days_of(questions)
    assert "Fully right: released 87.5 [" in table and "best constant answer (always " in table
    assert "| right regime; released told |" in table
    assert "| confidence of released, % | stated, mean % | regime right, % | n |" in table


def test_a_measure_that_applies_nowhere_is_a_dash(questions, tmp_path):
    english = [question for question in questions if question.language == "en"]
    write_report(evaluated(english, base=0, released=0), tmp_path, toy=False)
    table = (tmp_path / "table.md").read_text(encoding="utf-8")
    assert "| Korean rationale, no Hanja | – | – | – | 0 |" in table
    assert "toy" not in table


def test_a_model_alone_has_no_difference_to_another(questions, tmp_path):
    write_report(evaluated(questions, alone=0), tmp_path, toy=False)
    table = (tmp_path / "table.md").read_text(encoding="utf-8")
    assert "| share of replies, % | alone | n |" in table
    assert NO_PATH in table, "the set came without days"
    assert not (tmp_path / "path.json").exists() and not (tmp_path / "path.png").exists()


def test_marks_that_are_not_there_are_named(tmp_path):
    with pytest.raises(RequestError, match="marks.jsonl holds no evaluation's marks"):
        read_marks(tmp_path)
    for text in ("", "[]\n", "{}\n", "{"):
        (tmp_path / "marks.jsonl").write_text(text)
        with pytest.raises(RequestError, match="Run the evaluation again"):
            read_marks(tmp_path)
