"""Endpoints of anybody's: how they are named and paid for, and what bad ones do."""

import gzip
import logging
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from tasks.core.errors import RequestError, WorkError
from tasks.core.evaluation import completions
from tasks.core.evaluation.answer import Options, ask
from tasks.core.evaluation.endpoint import KEY_VARIABLE, Endpoint

CHAT = [{"role": "user", "content": "Which regime?"}]
KEY = "sk-secret-1234"


@pytest.fixture
def foreign(model_server):
    """The test's server as a user names it."""
    return Endpoint.at(f"{model_server.endpoint.url}#m")


@pytest.fixture
def waited(monkeypatch):
    """The seconds that were waited for, which nobody waits here."""
    seconds = []
    monkeypatch.setattr(completions.time, "sleep", seconds.append)
    return seconds


def test_an_endpoint_is_named_by_address_and_model():
    endpoint = Endpoint.at("https://api.example.com/v1/#vendor/model:7b")
    assert endpoint.model == "vendor/model:7b"
    assert endpoint.path("chat/completions") == "https://api.example.com/v1/chat/completions"
    assert Endpoint.at("http://localhost:1#m").path("models") == "http://localhost:1/v1/models"
    elsewhere = Endpoint.at("https://api.example.org/v1/#vendor/model:7b")
    assert endpoint.digest != elsewhere.digest, "replies of two servers are not mixed up"


@pytest.mark.parametrize(
    "address", ["http://host/v1", "http://host/v1#", "ftp://host#m", "http://#m"]
)
def test_an_address_without_a_model_is_refused(address):
    with pytest.raises(RequestError, match="is no endpoint. Give .* as URL#MODEL"):
        Endpoint.at(address)


@pytest.mark.parametrize("address", ["https://me:pass@host/v1#m", "https://host/v1?key=pass#m"])
def test_secrets_in_an_address_are_refused_and_not_repeated(address):
    with pytest.raises(RequestError, match="would be written into reports") as refused:
        Endpoint.at(address)
    assert "pass" not in str(refused.value).replace("password", "")


def test_the_key_travels_in_the_header_and_is_nowhere_else(
    model_server, foreign, monkeypatch, caplog
):
    monkeypatch.setenv(KEY_VARIABLE, KEY)
    ask(foreign, CHAT)
    assert model_server.keys == [f"Bearer {KEY}"]
    assert KEY not in repr(foreign)
    model_server.refusal = (401, {"error": {"message": f"Incorrect API key: {KEY}"}})
    caplog.set_level(logging.DEBUG)
    with pytest.raises(RequestError, match=f"not accept the key in {KEY_VARIABLE}") as refused:
        ask(foreign, CHAT)
    assert KEY not in str(refused.value) and KEY not in caplog.text


def test_a_missing_key_is_named_by_its_variable(model_server, foreign, monkeypatch):
    monkeypatch.delenv(KEY_VARIABLE, raising=False)
    model_server.refusal = (401, {"error": {"message": "no key"}})
    with pytest.raises(RequestError, match=f"{KEY_VARIABLE} is not set. Set it, or name .*--key-"):
        ask(foreign, CHAT)
    assert model_server.keys == [None]


def test_no_key_goes_over_plain_http_to_another_machine(monkeypatch):
    monkeypatch.setenv(KEY_VARIABLE, KEY)
    assert Endpoint.at("http://192.0.2.1/v1#m").headers == {}
    for address in ("https://192.0.2.1/v1#m", "http://127.0.0.1:8000#m", "http://localhost#m"):
        assert Endpoint.at(address).headers == {"Authorization": f"Bearer {KEY}"}


def test_our_own_servers_get_no_key(model_server, monkeypatch):
    monkeypatch.setenv(KEY_VARIABLE, KEY)
    ask(model_server.endpoint, CHAT)
    assert model_server.keys == [None]


def test_a_busy_server_is_asked_again_when_it_says(model_server, foreign, waited):
    then = datetime.now(UTC) + timedelta(seconds=50)
    model_server.busy = ["7", None, format_datetime(then, usegmt=True)]
    assert ask(foreign, CHAT).completion_tokens == 5
    assert waited[:2] == [7.0, completions.WAITS_S[1]]
    assert 40 < waited[2] <= 50


def test_a_server_that_stays_busy_is_given_up(model_server, foreign, waited):
    model_server.busy = ["1"] * 99
    with pytest.raises(WorkError, match="stays busy .HTTP 429: rate limit.*goes on from here"):
        ask(foreign, CHAT)
    assert len(waited) == len(completions.WAITS_S)


def test_a_server_that_wants_an_hour_is_not_waited_for(model_server, foreign, waited):
    model_server.busy = ["3600"]
    with pytest.raises(WorkError, match="wants to be left alone for 3600 s. The same command"):
        ask(foreign, CHAT)
    assert waited == []


def test_a_web_page_is_told_from_an_api(model_server, foreign):
    for status in (200, 404, 502):
        model_server.page = (status, {"Content-Type": "text/html"}, b"<!DOCTYPE html><h1>Hi</h1>")
        with pytest.raises((RequestError, WorkError), match="sent a web page. Check the address"):
            ask(foreign, CHAT)


def test_another_address_is_named(model_server, foreign):
    model_server.page = (301, {"Location": "https://other.example/v1"}, b"")
    with pytest.raises(RequestError, match="sends to https://other.example/v1. Give that address"):
        ask(foreign, CHAT)


def test_a_reply_that_trickles_or_never_ends_is_given_up(model_server, foreign, monkeypatch):
    def trickle(body):
        time.sleep(0.3)
        return "late"

    model_server.reply = trickle
    with pytest.raises(WorkError, match="took more than 0 s for one reply"):
        ask(foreign, CHAT, options=Options(timeout_s=0.1))
    monkeypatch.setattr(completions, "MOST_BYTES", 1 << 20)
    model_server.reply = lambda body: "x" * (2 << 20)
    with pytest.raises(WorkError, match="sent more than 1 MiB for one reply"):
        ask(foreign, CHAT)


def test_a_packed_or_deep_reply_is_no_reply(model_server, foreign):
    bomb = gzip.compress(gzip.compress(bytes(8 << 20)))
    model_server.page = (200, {"Content-Encoding": "gzip, gzip"}, bomb)
    with pytest.raises(WorkError, match="packed its answer .gzip, gzip. unasked"):
        ask(foreign, CHAT)
    model_server.page = (200, {}, b"[" * 100_000)
    with pytest.raises(WorkError, match="sent no JSON"):
        ask(foreign, CHAT)


def test_a_model_that_is_not_there_is_guessed(model_server, foreign):
    model_server.models = ["mistral-7b", "qwen2.5-7b"]
    model_server.refusal = (404, {"error": {"message": "unknown model"}})
    with pytest.raises(RequestError, match="no model 'qwen2-7b' .*Did you mean qwen2.5-7b. There"):
        ask(replace(foreign, model="qwen2-7b"), CHAT)


def test_a_server_that_is_not_there_is_named_with_the_remedy(monkeypatch, waited):
    with pytest.raises(WorkError, match="http://127.0.0.1:1 does not answer .*Check the address"):
        ask(Endpoint.at("http://127.0.0.1:1#m"), CHAT)


@pytest.mark.parametrize(
    "answer",
    [
        {},
        [],
        None,
        {"choices": []},
        {"choices": [{"message": None}]},
        {"choices": [{"message": {"content": ["text"]}}]},
        {"choices": [{"message": {"content": "x"}}], "usage": {"prompt_tokens": "many"}},
        {"choices": [{"message": {"content": "x"}}], "usage": {"prompt_tokens": float("inf")}},
        {"choices": [{"message": {"content": "x"}}], "usage": 5},
        {"choices": {"message": {"content": "x"}}},
        {"error": "model runner has unexpectedly stopped"},
    ],
)
def test_an_answer_of_another_form_is_shown(model_server, foreign, answer):
    model_server.refusal = (200, answer)
    with pytest.raises(WorkError, match="did not answer as an OpenAI-style endpoint"):
        ask(foreign, CHAT)


def test_a_lean_answer_is_enough(model_server, foreign):
    """No usage, no finish_reason, and half a character, which no file could hold."""
    usage = {"prompt_tokens": None, "completion_tokens": None}
    answer = {"choices": [{"message": {"content": "a\ud800"}}], "usage": usage}
    model_server.refusal = (200, answer)
    reply = ask(foreign, CHAT)
    assert (reply.text, reply.prompt_tokens, reply.finish_reason) == ("a?", 0, "")


def test_a_servers_message_cannot_steer_the_terminal(model_server, foreign):
    model_server.refusal = (500, {"error": {"message": "\x1b[2Jgone\nwrong " + "x" * 9000}})
    with pytest.raises(WorkError) as failed:
        ask(foreign, CHAT)
    assert "[2Jgone wrong x" in str(failed.value) and "\x1b" not in str(failed.value)
    assert len(str(failed.value)) < 400
