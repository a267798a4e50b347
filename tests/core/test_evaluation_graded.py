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
from tasks.core.market.artifact import build_market
from tasks.core.market.demo import generate_demo_market
from tasks.core.records.market_days import read_snapshots
from tasks.core.settings.tree import Market
from tests.core.test_evaluation_answer import endpoint  # noqa: F401  the fixture


@pytest.fixture(scope="module")
def part(tmp_path_factory):
    folder = tmp_path_factory.mktemp("market")
    generate_demo_market(folder / "days")
    (folder / "out").mkdir()
    build_market(folder / "days", Market(), folder / "out")
    return folder / "out" / "holdout"


def printed(answer):
    console = Console(width=100, record=True, file=io.StringIO())
    console.print(show(answer))
    return console.export_text()


@pytest.mark.parametrize("name", [known.name for known in KINDS])
def test_the_right_answer_is_shown_with_full_marks(endpoint, part, name):  # noqa: F811
    question = make_question(name, part)
    assert question.date == read_snapshots(part)[-1].date
    endpoint.reply = lambda body: question.reference
    answer = graded_answer(endpoint.url, "m", question)
    assert json.loads(json.dumps(answer)) == answer
    assert answer["reply"] == answer["reference"] == json.loads(question.reference)
    assert answer["grade"]["score"] == 1 and answer["measures"]["schema_valid"] == 1
    assert endpoint.asked[0]["response_format"]["json_schema"]["schema"] == kind_named(name).schema
    text = printed(answer)
    assert "grade 1.00" in text and "✓ schema" in text and "✓ grounded" in text and "✗" not in text
    assert f"{name}, {question.date}" in text and all(
        f'"{key}"' in text for key in kind_named(name).schema["required"]
    )


def test_a_wrong_answer_says_what_is_wrong(endpoint, part):  # noqa: F811
    question = make_question("regime_classification", part, language="en")
    right = json.loads(question.reference)
    other = "BEAR" if right["regime"] != "BEAR" else "MILD_BULL"
    endpoint.reply = lambda body: json.dumps({**right, "regime": other})
    text = printed(graded_answer(endpoint.url, "m", question))
    assert "✗ regime" in text and "failed: regime" in text and "grade 1.00" not in text


def test_a_reply_that_is_no_json_is_shown_as_it_came(endpoint, part):  # noqa: F811
    endpoint.reply = lambda body: "I [think] it is a bull market"
    answer = graded_answer(endpoint.url, "m", make_question("full_analysis", part))
    text = printed(answer)
    assert (
        answer["reply"] is None and "I [think] it is a bull market" in text and "(no JSON)" in text
    )


def test_a_users_own_question_is_bound_to_the_schema_and_not_graded(endpoint):  # noqa: F811
    endpoint.reply = lambda body: '{"regime": "BEAR"}'
    question = own_question("regime_classification", "오늘 코스피가 3% 빠졌다. 국면은?")
    assert question.language == "ko"
    answer = graded_answer(endpoint.url, "m", question)
    assert answer["grade"] is None and answer["reference"] is None
    assert "grade" not in printed(answer)
    assert (
        endpoint.asked[0]["response_format"]["json_schema"]["schema"]
        == kind_named("regime_classification").schema
    )


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
    told = {
        "question": "?",
        "model": "m",
        "kind": "k",
        "date": None,
        "reply": {"reasoning": words},
        "grade": None,
    }
    console = Console(width=60, record=True, file=io.StringIO())
    console.print(
        show(
            {**told, "text": "", "latency_s": 1.0, "completion_tokens": 3, "finish_reason": "stop"}
        )
    )
    shown = console.export_text()
    assert "word0" in shown and "word59" in shown
