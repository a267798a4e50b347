"""Replies of public bug reports are graded, and what odd servers answer is shown, each without a
traceback.

The servers lie outside the repository; where that folder is absent, they are skipped. The kinds of
fault are tested with answers of our own in test_score.py and test_completions.py.
"""

import io
import json
import subprocess
import sys
import time
from pathlib import Path

import pytest
from rich.console import Console

from flows.encoding import replace_unencodable
from tasks.core.errors import WorkError
from tasks.core.evaluation.answer import Endpoint
from tasks.core.evaluation.graded import graded_answer, show
from tasks.core.evaluation.score import judge, judge_all, score
from tasks.core.processes.server import free_port
from tasks.core.serving.ollama_api import answers
from tasks.core.serving.servers import open_holder
from tests.evaluation.replies import reply

FAKE_SERVER = Path(__file__).parents[3] / "shared/cases/reports/f02-fake-server/server.py"
MODEL = "kospilot-demo-s3:latest"  # the one that the fake server has

NO_JSON = {
    "trailing text": lambda right, _: f"{right}\n설명: 위와 같습니다.",
    "two objects": lambda right, _: f"{right}\n{right}",
    "nan": lambda _, values: json.dumps(values | {"confidence_pct": float("nan")}),
    "infinity": lambda _, values: json.dumps(values | {"confidence_pct": float("inf")}),
    "1e999": lambda _, values: json.dumps(values | {"confidence_pct": 7e77}).replace("77", "999"),
    "lone surrogate": lambda _, values: json.dumps(values | {"reasoning": "\ud83d 하락"}),
    "brackets": lambda *_: "[" * 100_000,
    "deep": lambda *_: '{"a":' * 5_000 + "1" + "}" * 5_000,
    "huge": lambda _, values: json.dumps(values | {"confidence_pct": 10**4_000}),
    "empty": lambda *_: "",
    "byte order mark": lambda right, _: f"\ufeff{right}",
    "nul": lambda right, _: right.replace(" ", "\0", 1),
}
NOT_THE_SCHEMA = {
    "text for a number": lambda _, values: json.dumps(values | {"confidence_pct": "90"}),
    "list": lambda *_: "[]",
    "list for a ticker": lambda _, values: json.dumps(values | {"ticker": ["005930"]}),
    "number for a ticker": lambda *_: '{"ticker": 5930}',
    "no ticker": lambda *_: '{"positions": [{"ticker": null, "name": 1}]}',
    "object for a ticker": lambda *_: '{"ticker": {"a": 1}, "name": [1]}',
}


def marks_of(questions, spoil):
    """The marks of all questions' right answers, each spoilt, and no figure fails on them."""
    replies = []
    for question in questions:
        replies.append(reply(spoil(question.reference, json.loads(question.reference))))
    marks = judge_all(questions, replies)
    figures = score(questions, replies, marks)
    json.dumps(figures, ensure_ascii=False, allow_nan=False).encode()
    return marks


@pytest.mark.parametrize("name", NO_JSON)
def test_what_is_no_json_is_worth_nothing(questions, name):
    for mark in marks_of(questions, NO_JSON[name]):
        assert (mark["valid_json"], mark["schema_valid"], mark["grade"]) == (0, 0, 0)


@pytest.mark.parametrize("name", NOT_THE_SCHEMA)
def test_what_is_not_the_schema_is_judged(questions, name):
    for mark in marks_of(questions, NOT_THE_SCHEMA[name]):
        assert (mark["valid_json"], mark["schema_valid"]) == (1, 0)


def test_the_right_answer_stays_right(questions):
    for question in questions:
        assert judge(question, question.reference)["grade"] == 1


@pytest.fixture
def fake_server(monkeypatch):
    """Starts the reported server for a case, as the user's Ollama."""
    if not FAKE_SERVER.exists():
        pytest.skip("needs ../shared/cases/reports")
    started = []

    def start(case):
        port = free_port()
        started.append(subprocess.Popen([sys.executable, "-I", FAKE_SERVER, str(port), case]))
        while not answers(f"http://127.0.0.1:{port}"):
            time.sleep(0.02)
        monkeypatch.setenv("OLLAMA_HOST", f"127.0.0.1:{port}")

    yield start
    for process in started:
        process.kill()
        process.wait()


def asked(question, home):
    with open_holder(home, MODEL) as server:
        return graded_answer(Endpoint.of(server, MODEL), question)


def shown(answer, encoding, monkeypatch):
    """What a terminal of this encoding shows."""
    written = io.BytesIO()
    stream = io.TextIOWrapper(written, encoding=encoding, write_through=True)
    monkeypatch.setattr(sys, "stdout", stream)
    replace_unencodable()
    Console(file=stream, width=200).print(show(answer))
    return written.getvalue().decode(encoding)


@pytest.mark.parametrize(
    ("case", "told"),
    [
        ("surrogate-escape", "no JSON"),
        ("surrogate-raw", "no JSON"),
        ("deep", "no JSON"),
        ("think", "no JSON"),
        ("null-content", "no JSON"),
        ("no-usage", "0 tokens written"),
        ("usage-null", "0 tokens written"),
    ],
)
def test_an_odd_answer_is_shown(fake_server, questions, tmp_path, monkeypatch, case, told):
    fake_server(case)
    answer = asked(questions[0], tmp_path)
    for encoding in ("utf-8", "euc-kr", "ascii"):
        assert told in shown(answer, encoding, monkeypatch)


@pytest.mark.parametrize("case", ["error-200", "sse", "list-content"])
def test_what_is_no_answer_is_told(fake_server, questions, tmp_path, case):
    fake_server(case)
    with pytest.raises(WorkError, match="127.0.0.1"):
        asked(questions[0], tmp_path)
