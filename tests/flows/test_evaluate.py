"""kospilot evaluate: any models side by side, what is asked only once, and wrong requests."""

import json

import pytest

from flows.commands import adapters
from tasks.core.evaluation.endpoint import KEY_VARIABLE
from tasks.core.evaluation.path_days import build_path_days
from tasks.core.evaluation.questions import build_questions
from tasks.core.settings.evaluation import Evaluation
from tests.evaluation.conftest import market, model_server  # noqa: F401
from tests.flows.test_cli import kospilot  # noqa: F401
from tests.flows.test_release import here, trained  # noqa: F401
from tests.release.conftest import demo_base, llama, tiny_base  # noqa: F401

KEY = "sk-secret-1234"


@pytest.fixture
def asked(market, tmp_path, monkeypatch):  # noqa: F811
    """A folder to work in, with a few questions."""
    monkeypatch.chdir(tmp_path)
    build_questions(market / "holdout", Evaluation(questions=4), tmp_path)
    return tmp_path


def told(done):
    return " ".join(done.err.split())


def test_two_endpoints_side_by_side(kospilot, model_server, asked, monkeypatch):  # noqa: F811
    monkeypatch.setenv(KEY_VARIABLE, KEY)
    url = model_server.endpoint.url
    arguments = ["evaluate", f"{url}#one", f"{url}#two", "--set", "questions.jsonl"]
    done = kospilot(*arguments, "--parallel", "3", "--to", "shown/page.html")
    assert done.code == 0, done.err
    assert "| grade, 0 to 1 |" in done.out and f"{url}#two" in done.out
    assert set(model_server.keys) == {f"Bearer {KEY}"}
    assert {body["model"] for body in model_server.requests} == {"one", "two"}
    page = (asked / "shown" / "page.html").read_text(encoding="utf-8")
    assert "4 frozen questions" in page and "3 at a time" in page
    written = [file for file in asked.rglob("*") if file.is_file()]
    assert not any(KEY.encode() in file.read_bytes() for file in written)
    assert KEY not in done.out + done.err
    model_server.requests.clear()
    again = json.loads(kospilot(*arguments, "--json").out)
    assert list(again) == [f"{url}#one", f"{url}#two"]
    assert model_server.requests == [], "all replies were kept"


def test_the_days_beside_a_set_are_asked_about_too(
    kospilot,  # noqa: F811
    model_server,  # noqa: F811
    market,  # noqa: F811
    asked,
):
    build_path_days(market / "holdout", Evaluation(path_days=3), asked)
    model_server.reply = lambda body: '{"recommended_net_exposure_pct": 90}'
    url = model_server.endpoint.url
    arguments = ["evaluate", f"{url}#m", "--set", "questions.jsonl", "--json", "--cost-bp"]
    done = kospilot(*arguments, "12.5")
    assert done.code == 0, done.err
    assert len([body for body in model_server.requests if body["max_tokens"] > 1]) == 4 + 3
    figures = json.loads(done.out)[f"{url}#m"]
    assert figures["questions"]["n"] == 4, "the days' own questions are in no other figure"
    assert figures["path"]["exposure_pct"][-3:] == [90, 90, 90]
    table = (asked / "evaluation" / "table.md").read_text(encoding="utf-8")
    assert "costs 12.5 basis points" in table
    for cost in ("-1", "nan", "1001"):
        refused = kospilot(*arguments, cost)
        assert refused.code == 2 and "--cost-bp" in refused.err


def test_a_failure_says_what_is_kept_and_the_same_command_goes_on(
    kospilot,  # noqa: F811
    model_server,  # noqa: F811
    asked,
):
    model_server.reply = lambda body: (
        "fine" if len(model_server.requests) < 4 else model_server.server.no_such_thing
    )
    url = model_server.endpoint.url
    failed = kospilot("evaluate", f"{url}#m", "--set", "questions.jsonl")
    assert failed.code == 1
    assert f"{url}#m: 2 of 4 replies are kept in evaluation/replies-http-" in told(failed)
    assert "does not answer" in told(failed) and "Traceback" not in failed.err
    model_server.reply = lambda body: "fine"
    model_server.requests.clear()
    assert kospilot("evaluate", f"{url}#m", "--set", "questions.jsonl").code == 0
    assert len([body for body in model_server.requests if body["max_tokens"] > 1]) == 2


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["http://localhost:1"], "is no endpoint. Give the address"),
        (["https://a:b@host#m"], "holds a user, a password or a query"),
        (["m", "m"], "A model is named twice"),
        (["."], "adapter"),
        (["stage2"], "No stage2 was trained here yet"),
    ],
)
def test_a_model_that_cannot_be_asked_is_refused_first(kospilot, asked, arguments, words):  # noqa: F811
    done = kospilot("evaluate", *arguments, "--set", "questions.jsonl")
    assert done.code == 2
    assert words in told(done) and "Traceback" not in done.err
    assert not (asked / "evaluation").exists()


def test_questions_are_needed(kospilot):  # noqa: F811
    done = kospilot("evaluate", "http://localhost:1#m")
    assert done.code == 2 and "Name a question file with --set FILE" in told(done)


@pytest.mark.slow
def test_an_adapter_is_served_until_it_was_asked_and_made_only_once(
    kospilot,  # noqa: F811
    trained,  # noqa: F811
    tiny_base,  # noqa: F811
    here,  # noqa: F811
    asked,
    market,  # noqa: F811
    monkeypatch,
):
    # Random weights never end an answer.
    build_questions(market / "holdout", Evaluation(questions=2, max_tokens=12), asked)
    arguments = ["evaluate", str(trained), "--base", str(tiny_base), "--set", "questions.jsonl"]
    done = kospilot(*arguments, "--json")
    assert done.code == 0, done.err
    found = json.loads(done.out)[str(trained)]
    assert found["questions"]["n"] == 2 and found["speed"]["cut_replies"] == 2
    assert not list(asked.rglob("*.gguf")), "what was served is gone"
    monkeypatch.setattr(adapters, "make_model", lambda *given: pytest.fail("made again"))
    again = json.loads(kospilot(*arguments, "--json").out)[str(trained)]
    assert again["measures"] == found["measures"]
