"""Asking over the OpenAI-style endpoint: replies as they come, refusals, and replies that are
kept.
"""

import json
import threading
from dataclasses import replace

import pytest

from tasks.core.errors import RequestError, WorkError
from tasks.core.evaluation.answer import Endpoint, Options, ask, ask_all
from tasks.core.evaluation.records import Question

SCHEMA = {"type": "object", "properties": {"regime": {"enum": ["BEAR"]}}, "required": ["regime"]}
CHAT = [{"role": "user", "content": "Which regime?"}]
TOO_LONG = "request (6031 tokens) exceeds the available context size (4096 tokens)"


def question(number):
    chat = [{"role": "user", "content": f"question {number}"}]
    return Question(f"q{number}", "full_analysis", "en", None, chat, SCHEMA, "{}", {})


def silent(share, text):
    pass


def questions_asked(model_server):
    """What was asked, except the one token that loads the model."""
    return [
        body["messages"][-1]["content"] for body in model_server.requests if body["max_tokens"] > 1
    ]


def ask_three(endpoint, file):
    return ask_all(endpoint, [question(number) for number in range(3)], file, silent)


def test_a_reply_is_stripped_and_the_request_is_repeatable(model_server):
    reply = ask(model_server.endpoint, CHAT, SCHEMA)
    assert reply.text == '{"regime": "BEAR", "told": "Which regime?"}'
    assert (reply.prompt_tokens, reply.completion_tokens, reply.finish_reason) == (7, 5, "stop")
    assert reply.latency_s >= 0
    sent = model_server.requests[0]
    assert sent["path"] == "/v1/chat/completions"
    assert (sent["temperature"], sent["seed"], sent["stream"]) == (0, 42, False)
    assert sent["response_format"]["json_schema"]["schema"] == SCHEMA


def test_what_is_left_open_is_the_models_own(model_server):
    ask(model_server.endpoint, CHAT, options=Options(temperature=None, seed=None))
    assert not model_server.requests[-1].keys() & {"temperature", "seed", "max_tokens"}
    ask(model_server.endpoint, CHAT)
    assert (model_server.requests[-1]["temperature"], model_server.requests[-1]["seed"]) == (0, 42)
    assert "max_tokens" not in model_server.requests[-1], (
        "the model's num_predict holds: a long right answer is not cut"
    )


def test_a_url_without_v1_and_no_schema(model_server):
    bare = Endpoint(model_server.endpoint.url.removesuffix("/v1"), "m")
    ask(bare, CHAT, None, Options(temperature=None))
    sent = model_server.requests[0]
    assert "temperature" not in sent and "response_format" not in sent
    assert sent["path"] == "/v1/chat/completions"


def test_a_dropped_connection_is_tried_again(model_server):
    model_server.drops = 2
    assert ask(model_server.endpoint, CHAT).completion_tokens == 5
    assert len(model_server.requests) == 3


def test_a_server_that_is_gone_is_named_with_the_remedy(model_server):
    model_server.drops = 99
    url = model_server.endpoint.url
    with pytest.raises(WorkError, match=rf"{url}.* does not answer .*Start it again"):
        ask(model_server.endpoint, CHAT)
    assert len(model_server.requests) == 3


def test_a_slow_server_is_not_asked_twice(model_server):
    release = threading.Event()
    model_server.reply = lambda body: str(release.wait(5))
    with pytest.raises(WorkError, match="more than 0 s for one reply"):
        ask(model_server.endpoint, CHAT, None, Options(timeout_s=0.1))
    release.set()
    assert len(model_server.requests) == 1


@pytest.mark.parametrize(
    ("refusal", "error", "words"),
    [
        ((404, {"error": {"message": "model 'm' not found"}}), RequestError, "has no model 'm'"),
        (
            (400, {"error": {"message": TOO_LONG}}),
            RequestError,
            "does not fit the context .*6031 tokens.*num_ctx",
        ),
        ((500, {"error": "runner stopped"}), WorkError, "HTTP 500: runner stopped"),
        ((500, {"detail": "overloaded"}), WorkError, 'HTTP 500: {"detail": "overloaded"}'),
        ((200, {"hello": "world"}), WorkError, "did not answer as an OpenAI-style endpoint"),
    ],
)
def test_a_refusal_says_what_to_do(model_server, refusal, error, words):
    model_server.refusal = refusal
    with pytest.raises(error, match=words):
        ask(model_server.endpoint, CHAT)


def test_a_prompt_that_the_server_cut_is_refused(model_server):
    model_server.prompt_tokens = 512
    endpoint = replace(model_server.endpoint, context_length=512)
    with pytest.raises(RequestError, match="does not fit the context of 'm' .512 tokens."):
        ask(endpoint, CHAT)
    assert ask(replace(endpoint, context_length=513), CHAT).prompt_tokens == 512
    assert ask(model_server.endpoint, CHAT).prompt_tokens == 512, "the server does not say"


def test_replies_come_in_the_questions_order_and_are_kept(model_server, tmp_path):
    replies = ask_three(model_server.endpoint, tmp_path / "replies.jsonl")
    contents = ["question 0", "question 1", "question 2"]
    assert [json.loads(reply.text)["told"] for reply in replies] == contents
    assert questions_asked(model_server) == contents
    model_server.requests.clear()
    assert ask_three(model_server.endpoint, tmp_path / "replies.jsonl") == replies
    assert model_server.requests == []


def test_only_the_chat_of_an_endpoint_is_asked(model_server, tmp_path):
    """Any OpenAI-style server will do, not Ollama alone."""
    ask_three(model_server.endpoint, tmp_path / "replies.jsonl")
    assert {body["path"] for body in model_server.requests} == {"/v1/chat/completions"}


def test_a_killed_evaluation_asks_only_what_is_missing(model_server, tmp_path):
    file = tmp_path / "replies.jsonl"
    ask_three(model_server.endpoint, file)
    lines = file.read_text(encoding="utf-8").splitlines(keepends=True)
    torn = lines[2][:20]  # the process was killed while it wrote the third
    file.write_text("".join(lines[:2]) + torn, encoding="utf-8")
    model_server.requests.clear()
    ask_three(model_server.endpoint, file)
    assert questions_asked(model_server) == ["question 2"]
    assert file.read_text(encoding="utf-8").splitlines(keepends=True)[:2] == lines[:2]
    assert len(file.read_text(encoding="utf-8").splitlines()) == 3


@pytest.mark.parametrize("changed", ["1", "Z", ""])
def test_a_kept_reply_whose_content_changed_is_asked_again(model_server, tmp_path, changed):
    file = tmp_path / "replies.jsonl"
    replies = ask_three(model_server.endpoint, file)
    lines = file.read_text(encoding="utf-8").splitlines(keepends=True)
    assert "question 1" in lines[1]
    lines[1] = lines[1].replace("question 1", f"question {changed}", 1)
    file.write_text("".join(lines), encoding="utf-8")
    model_server.requests.clear()
    again = ask_three(model_server.endpoint, file)
    assert [reply.text for reply in again] == [reply.text for reply in replies]
    assert questions_asked(model_server) == ([] if changed == "1" else ["question 1"])


def test_replies_of_another_model_or_question_are_not_reused(model_server, tmp_path):
    file = tmp_path / "replies.jsonl"
    ask_three(replace(model_server.endpoint, digest="d1"), file)
    model_server.requests.clear()
    another_model = replace(model_server.endpoint, digest="d2")  # under the same name
    ask_three(another_model, file)
    assert len(questions_asked(model_server)) == 3
    model_server.requests.clear()
    other = replace(question(0), schema={"type": "object"})
    ask_all(another_model, [other, question(1)], file, silent)
    assert questions_asked(model_server) == ["question 0"]


def test_a_model_without_a_digest_is_known_by_its_name(model_server, tmp_path):
    file = tmp_path / "replies.jsonl"
    ask_three(model_server.endpoint, file)
    model_server.requests.clear()
    ask_three(replace(model_server.endpoint, model="another"), file)
    assert len(questions_asked(model_server)) == 3


@pytest.mark.parametrize("at_once", [1, 4])
def test_a_model_that_is_exchanged_while_it_is_asked_is_named(model_server, tmp_path, at_once):
    digests = ["first"] * 3

    def digest_now():
        return digests.pop(0) if digests else "second"

    kept = tmp_path / "replies.jsonl"
    endpoint = replace(model_server.endpoint, digest="first", digest_now=digest_now)
    questions = [question(number) for number in range(9)]
    expected = "exchanged while it was asked: its digest was first and is second now"
    with pytest.raises(WorkError, match=expected):
        ask_all(endpoint, questions, kept, silent, Options(at_once=at_once))
    assert len(kept.read_text().splitlines()) == 2, "one look was before the first question"


def test_progress_counts_questions(model_server, tmp_path):
    reports = []

    def progress(share, text):
        reports.append((share, text))

    ask_all(model_server.endpoint, [question(0), question(1)], tmp_path / "r.jsonl", progress)
    assert reports == [(0.5, "1 / 2 questions"), (1.0, "2 / 2 questions")]


def test_several_requests_at_once(model_server, tmp_path):
    together = threading.Barrier(3, timeout=20)

    def reply(body):
        if body["max_tokens"] > 1:  # not the one that loads the model
            together.wait()  # is passed only if three are asked at a time
        return body["messages"][-1]["content"]

    model_server.reply = reply
    questions = [question(number) for number in range(6)]
    file = tmp_path / "replies.jsonl"
    replies = ask_all(model_server.endpoint, questions, file, silent, Options(at_once=3))
    assert [reply.text for reply in replies] == [f"question {number}" for number in range(6)]
    assert len(file.read_text().splitlines()) == 6


def test_the_longest_are_asked_first_and_none_alone(model_server, tmp_path):
    both_there = threading.Barrier(2, timeout=60)  # else a third may overtake a slow thread

    def reply(body):
        asked = body["messages"][-1]["content"]
        if asked in ("question 5", "question 4"):
            both_there.wait()
        return asked

    model_server.reply = reply
    long = [replace(question(number), reference="x" * 300 * number) for number in range(6)]
    file = tmp_path / "replies.jsonl"
    replies = ask_all(model_server.endpoint, long, file, silent, Options(at_once=2))
    assert set(questions_asked(model_server)[:2]) == {"question 5", "question 4"}
    assert [reply.text for reply in replies] == [f"question {number}" for number in range(6)]


def test_what_came_before_a_failure_is_kept(model_server, tmp_path):
    def reply(body):
        if body["messages"][-1]["content"] == "question 4":
            model_server.refusal = (500, {"error": "out of memory"})  # for all that follow
        return "fine"

    model_server.reply = reply
    file = tmp_path / "replies.jsonl"
    questions = [question(number) for number in range(9)]
    with pytest.raises(WorkError, match="out of memory"):
        ask_all(model_server.endpoint, questions, file, silent, Options(at_once=2))
    kept = len(file.read_text().splitlines())
    assert 4 <= kept < 9
    model_server.refusal, model_server.reply = None, lambda body: "fine"
    model_server.requests.clear()
    ask_all(model_server.endpoint, questions, file, silent, Options(at_once=2))
    assert len(questions_asked(model_server)) == 9 - kept


class Server:
    """A server that holds one model, m:latest."""

    openai_url = "http://localhost:1/v1"

    def digest(self, tag):
        return "d1" if tag == "m" else None

    def context_length(self, tag):
        return 8192 if tag == "m" else None


def test_what_a_server_says_of_its_model_is_asked_once():
    assert Endpoint.of(Server(), "m") == Endpoint("http://localhost:1/v1", "m", "d1", 8192)
    assert Endpoint.of(Server(), "other") == Endpoint("http://localhost:1/v1", "other", None, None)
