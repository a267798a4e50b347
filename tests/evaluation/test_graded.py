"""One graded answer for the terminal: questions from a market part or in the user's words, shown
with their grade.
"""

import io
import json

import pytest
from rich.console import Console

from tasks.core.errors import RequestError
from tasks.core.evaluation.graded import graded_answer, make_question, own_question, show
from tasks.core.kinds import KINDS, kind_named
from tasks.core.records.market_days import read_snapshots


@pytest.fixture
def part(market):
    return market / "holdout"


def printed(answer, width=100):
    console = Console(width=width, record=True, file=io.StringIO())
    console.print(show(answer))
    return console.export_text()


def schema_sent(model_server):
    return model_server.requests[0]["response_format"]["json_schema"]["schema"]


@pytest.mark.parametrize("name", [known.name for known in KINDS])
def test_the_right_answer_is_shown_with_full_marks(model_server, part, name):
    question = make_question(name, part)
    assert question.day == read_snapshots(part)[-1].date
    model_server.reply = lambda body: question.reference
    answer = graded_answer(model_server.endpoint, question)
    assert json.loads(json.dumps(answer)) == answer
    assert answer["reply"] == answer["reference"] == json.loads(question.reference)
    assert answer["grade"]["score"] == 1 and answer["measures"]["schema_valid"] == 1
    assert schema_sent(model_server) == kind_named(name).schema
    text = printed(answer)
    assert "grade 1.00" in text and "✓ schema" in text and "✓ grounded" in text and "✗" not in text
    assert f"{name}, {question.day}" in text
    for key in kind_named(name).schema["required"]:
        assert f'"{key}"' in text


def test_a_wrong_answer_says_what_is_wrong(model_server, part):
    question = make_question("regime_classification", part, language="en")
    right = json.loads(question.reference)
    other = "BEAR" if right["regime"] != "BEAR" else "MILD_BULL"
    model_server.reply = lambda body: json.dumps({**right, "regime": other})
    text = printed(graded_answer(model_server.endpoint, question))
    assert "✗ regime" in text and "failed: regime" in text and "grade 1.00" not in text


def test_a_reply_that_is_no_json_is_shown_as_it_came(model_server, part):
    model_server.reply = lambda body: "I [think] it is a bull market"
    answer = graded_answer(model_server.endpoint, make_question("full_analysis", part))
    assert answer["reply"] is None
    text = printed(answer)
    assert "I [think] it is a bull market" in text and "(no JSON)" in text


def test_a_users_own_question_is_bound_to_the_schema_and_not_graded(model_server):
    model_server.reply = lambda body: '{"regime": "BEAR"}'
    question = own_question("regime_classification", "오늘 코스피가 3% 빠졌다. 국면은?")
    assert question.language == "ko"
    answer = graded_answer(model_server.endpoint, question)
    assert answer["grade"] is None and answer["reference"] is None
    assert "grade" not in printed(answer)
    assert schema_sent(model_server) == kind_named("regime_classification").schema


def test_a_question_about_a_day(part):
    day = read_snapshots(part)[3].date
    asked = make_question("stop_loss_management", part, day, "en", seed=1)
    assert asked.date == day and day in asked.messages[-1]["content"]
    assert asked == make_question("stop_loss_management", part, day, "en", seed=1)
    assert asked != make_question("stop_loss_management", part, day, "en", seed=2)


def test_a_day_without_trading_and_an_unknown_kind_are_named(part):
    with pytest.raises(
        RequestError, match=r"2025-12-25 is no trading day of .*It runs from 2025-10-01 to"
    ):
        make_question("full_analysis", part, "2025-12-25")
    with pytest.raises(RequestError, match="no kind 'horoscope'"):
        make_question("horoscope", part)


def test_a_long_rationale_is_shown_to_its_end():
    words = " ".join(f"word{number}" for number in range(60))
    answer = {
        "question": "?",
        "model": "m",
        "kind": "k",
        "date": None,
        "text": "",
        "reply": {"reasoning": words},
        "grade": None,
        "latency_s": 1.0,
        "completion_tokens": 3,
        "finish_reason": "stop",
    }
    text = printed(answer, width=60)
    assert "word0" in text and "word59" in text
