"""The days of the path: held-out ones in order, each with the rule's target and its question."""

import json

import pytest

from tasks.core.errors import RequestError
from tasks.core.evaluation.path_days import build_path_days, read_path_days
from tasks.core.evaluation.questions import build_questions
from tasks.core.kinds import kind_named
from tasks.core.kinds.base import scene_from_dict
from tasks.core.kinds.scenes import HELD_TEMPLATES
from tasks.core.records.market_days import read_snapshots
from tasks.core.settings.evaluation import Evaluation
from tasks.core.strategy.rules import NUMBERS
from tasks.core.synthesis.guard import Held


def built(market, out, **settings):
    build_path_days(market / "holdout", Evaluation(**settings), out)
    return read_path_days(out)


def test_each_of_the_last_days_is_asked_about_once(market, tmp_path):
    snapshots = read_snapshots(market / "holdout")
    days = built(market, tmp_path, path_days=12, max_tokens=500)
    assert [day.date for day in days] == [day.date for day in snapshots[-12:]]
    assert [day.return_pct for day in days] == [day.return_pct for day in snapshots[-12:]]
    assert {day.question.language for day in days} == {"ko", "en"}
    for day, snapshot in zip(days, snapshots[-12:], strict=True):
        asked = day.question
        scene = scene_from_dict(asked.scene)
        assert (asked.day, asked.twin_of, asked.max_tokens <= 500) == (day.date, None, True)
        assert {name: getattr(snapshot, name) for name in NUMBERS}.items() <= (
            scene.facts.numbers.items()
        )
        templates = kind_named(asked.kind).templates(scene.language)
        assert scene.template >= len(templates) - HELD_TEMPLATES, "training asks with the others"
        right = json.loads(asked.reference)
        assert right["recommended_net_exposure_pct"] == day.rule_net_pct
        assert day.band_pct[0] <= day.rule_net_pct <= day.band_pct[1]


def test_the_guard_finds_every_such_question_in_training_rows(market, tmp_path):
    held = Held.of(market / "holdout", [])
    for day in built(market, tmp_path):
        assert "held_out_numbers" in held.broken_by(day.question.messages[-1]["content"])


def test_the_same_settings_give_the_same_bytes(market, tmp_path):
    made = []
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        built(market, tmp_path / name, path_days=5)
        made.append((tmp_path / name / "days.jsonl").read_bytes())
    assert made[0] == made[1]


def test_more_days_than_there_are_is_all_of_them(market, tmp_path):
    snapshots = read_snapshots(market / "holdout")
    assert len(built(market, tmp_path, path_days=10_000)) == len(snapshots)


def test_zero_asks_nothing_and_keeps_all_days(market, tmp_path):
    days = built(market, tmp_path, path_days=0)
    assert len(days) == len(read_snapshots(market / "holdout"))
    assert not any(day.question for day in days)


def test_the_frozen_questions_do_not_change_with_the_path(market, tmp_path):
    made = []
    for days in (0, 50):
        folder = tmp_path / str(days)
        folder.mkdir()
        build_questions(market / "holdout", Evaluation(questions=13, path_days=days), folder)
        made.append((folder / "questions.jsonl").read_bytes())
    assert made[0] == made[1]


def test_a_set_without_days_has_none(tmp_path):
    assert read_path_days(tmp_path) == []


@pytest.mark.parametrize(
    "line",
    [
        "{",
        "[]",
        "7",
        '{"date": "2025-12-01"}',
        "extra",
        "band",
        "question",
        "date",
        "nan",
        "text",
        "twice",
    ],
)
def test_a_line_that_is_no_day_is_named(market, tmp_path, line):
    built(market, tmp_path, path_days=2)
    file = tmp_path / "days.jsonl"
    right = json.loads(file.read_text(encoding="utf-8").splitlines()[0])
    wrong = {
        "extra": right | {"other": 1},
        "band": right | {"band_pct": [1]},
        "question": right | {"question": {"id": "x"}},
        "twice": right,
        "date": right | {"date": "yesterday"},
        "nan": right | {"return_pct": float("nan")},
        "text": right | {"rule_net_pct": "90"},
    }
    spoilt = json.dumps(wrong[line]) if line in wrong else line
    file.write_text(json.dumps(right) + "\n" + spoilt + "\n", encoding="utf-8")
    with pytest.raises(RequestError, match=r"days.jsonl, line 2.*take the file away"):
        read_path_days(tmp_path)
