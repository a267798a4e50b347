"""Asking over the OpenAI-style endpoint: a small HTTP server in a thread plays the model server's
good and bad days.
"""

import json
import threading
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from tasks.core.errors import RequestError, WorkError
from tasks.core.evaluation import answer
from tasks.core.evaluation.answer import Options, ask, ask_all, context_length, model_identity
from tasks.core.evaluation.questions import Question

SCHEMA = {"type": "object", "properties": {"regime": {"enum": ["BEAR"]}}, "required": ["regime"]}
CHAT = [{"role": "user", "content": "Which regime?"}]


class Endpoint:
    """What the server does is set by its attributes; what it was asked is in `asked`."""

    def __init__(self):
        self.asked, self.drops, self.refusal = [], 0, None
        self.prompt_tokens, self.digest, self.context = 7, "d1", 8192
        self.reply = lambda body: (
            f'  {{"regime": "BEAR", "told": {json.dumps(body["messages"][-1]["content"])}}} \n'
        )
        endpoint = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                self.send(200, {"models": [{"name": "m:latest", "digest": endpoint.digest}]})

            def do_POST(self):
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                if self.path == "/api/show":
                    return self.send(
                        200, {"parameters": f'stop "<|im_end|>"\nnum_ctx    {endpoint.context}'}
                    )
                endpoint.asked.append({"path": self.path, **body})
                if endpoint.drops:
                    endpoint.drops -= 1
                    return self.connection.close()
                if endpoint.refusal:
                    return self.send(*endpoint.refusal)
                choice = {"message": {"content": endpoint.reply(body)}, "finish_reason": "stop"}
                usage = {"prompt_tokens": endpoint.prompt_tokens, "completion_tokens": 5}
                return self.send(200, {"choices": [choice], "usage": usage})

            def send(self, status, value):
                data = json.dumps(value).encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/v1"


@pytest.fixture
def endpoint(monkeypatch):
    monkeypatch.setattr(answer, "PAUSES_S", (0.0, 0.0))
    endpoint = Endpoint()
    endpoint.server.handle_error = lambda *_: None  # a dropped connection is meant
    thread = threading.Thread(target=endpoint.server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield endpoint
    endpoint.server.shutdown()
    endpoint.server.server_close()
    thread.join()


def test_what_is_left_open_is_the_models_own(endpoint):
    ask(endpoint.url, "m", CHAT, options=Options(temperature=None, seed=None))
    assert not endpoint.asked[-1].keys() & {"temperature", "seed", "max_tokens"}
    ask(endpoint.url, "m", CHAT)
    assert (endpoint.asked[-1]["temperature"], endpoint.asked[-1]["seed"]) == (0.0, 42)
    assert "max_tokens" not in endpoint.asked[-1], (
        "the model's num_predict holds: a long right answer is not cut"
    )


def question(number):
    chat = [{"role": "user", "content": f"question {number}"}]
    return Question(f"q{number}", "full_analysis", "en", None, chat, SCHEMA, "{}", {})


def real(endpoint):
    """What was asked, less the one token that loads the model."""
    return [body["messages"][-1]["content"] for body in endpoint.asked if body["max_tokens"] > 1]


def ask_three(endpoint, file):
    return ask_all(
        endpoint.url, "m", [question(number) for number in range(3)], file, lambda part, text: None
    )


def test_a_reply_is_stripped_and_the_request_is_repeatable(endpoint):
    reply = ask(endpoint.url, "m", CHAT, SCHEMA)
    assert reply.text == '{"regime": "BEAR", "told": "Which regime?"}'
    assert (reply.prompt_tokens, reply.completion_tokens, reply.finish_reason) == (7, 5, "stop")
    assert reply.latency_s >= 0
    sent = endpoint.asked[0]
    assert sent["path"] == "/v1/chat/completions"
    assert (sent["temperature"], sent["seed"], sent["stream"]) == (0, 42, False)
    assert sent["response_format"]["json_schema"]["schema"] == SCHEMA


def test_the_models_own_temperature_and_no_schema(endpoint):
    ask(endpoint.url.removesuffix("/v1"), "m", CHAT, None, Options(temperature=None))
    assert "temperature" not in endpoint.asked[0] and "response_format" not in endpoint.asked[0]
    assert endpoint.asked[0]["path"] == "/v1/chat/completions"


def test_a_dropped_connection_is_tried_again(endpoint):
    endpoint.drops = 2
    assert ask(endpoint.url, "m", CHAT).completion_tokens == 5
    assert len(endpoint.asked) == 3


def test_a_server_that_is_gone_is_named_with_the_remedy(endpoint):
    endpoint.drops = 99
    with pytest.raises(WorkError, match=rf"{endpoint.url}.* does not answer .*Start it again"):
        ask(endpoint.url, "m", CHAT)
    assert len(endpoint.asked) == 3


def test_a_slow_server_is_not_asked_twice(endpoint):
    release = threading.Event()
    endpoint.reply = lambda body: str(release.wait(5))
    with pytest.raises(WorkError, match="more than 0 s for one reply"):
        ask(endpoint.url, "m", CHAT, None, Options(timeout_s=0.1))
    release.set()
    assert len(endpoint.asked) == 1


@pytest.mark.parametrize(
    ("refusal", "error", "words"),
    [
        ((404, {"error": {"message": "model 'm' not found"}}), RequestError, "has no model 'm'"),
        (
            (
                400,
                {
                    "error": {
                        "message": "request (6031 tokens) exceeds the available context size (4096 tokens)"
                    }
                },
            ),
            RequestError,
            "does not fit the context .*6031 tokens.*num_ctx",
        ),
        ((500, {"error": "runner stopped"}), WorkError, "HTTP 500: runner stopped"),
        ((200, {"hello": "world"}), WorkError, "did not answer as an OpenAI-style endpoint"),
    ],
)
def test_a_refusal_says_what_to_do(endpoint, refusal, error, words):
    endpoint.refusal = refusal
    with pytest.raises(error, match=words):
        ask(endpoint.url, "m", CHAT)


def test_a_prompt_that_the_server_cut_is_refused(endpoint):
    endpoint.context = endpoint.prompt_tokens = 512
    with pytest.raises(RequestError, match="does not fit the context of 'm' .512 tokens."):
        ask(endpoint.url, "m", CHAT)


def test_replies_come_in_the_questions_order_and_are_kept(endpoint, tmp_path):
    replies = ask_three(endpoint, tmp_path / "replies.jsonl")
    assert [json.loads(reply.text)["told"] for reply in replies] == [
        "question 0",
        "question 1",
        "question 2",
    ]
    assert real(endpoint) == ["question 0", "question 1", "question 2"]
    endpoint.asked.clear()
    assert ask_three(endpoint, tmp_path / "replies.jsonl") == replies
    assert endpoint.asked == []


def test_a_killed_evaluation_asks_only_what_is_missing(endpoint, tmp_path):
    file = tmp_path / "replies.jsonl"
    ask_three(endpoint, file)
    lines = file.read_text(encoding="utf-8").splitlines(keepends=True)
    file.write_text(
        "".join(lines[:2]) + lines[2][:20], encoding="utf-8"
    )  # killed while writing the third
    endpoint.asked.clear()
    ask_three(endpoint, file)
    assert real(endpoint) == ["question 2"]
    assert len(file.read_text(encoding="utf-8").splitlines()) == 3


def test_replies_of_another_model_or_question_are_not_reused(endpoint, tmp_path):
    file = tmp_path / "replies.jsonl"
    ask_three(endpoint, file)
    endpoint.asked.clear()
    endpoint.digest = "d2"  # the name holds another model now
    ask_three(endpoint, file)
    assert len(real(endpoint)) == 3
    endpoint.asked.clear()
    other = replace(question(0), schema={"type": "object"})
    ask_all(endpoint.url, "m", [other, question(1)], file, lambda part, text: None)
    assert real(endpoint) == ["question 0"]


def test_progress_counts_questions(endpoint, tmp_path):
    told = []
    questions = [question(0), question(1)]
    ask_all(
        endpoint.url,
        "m",
        questions,
        tmp_path / "r.jsonl",
        lambda part, text: told.append((part, text)),
    )
    assert told == [(0.5, "1 / 2 questions"), (1.0, "2 / 2 questions")]


def test_what_the_server_says_of_the_model(endpoint):
    assert context_length(endpoint.url, "m") == 8192
    assert [model_identity(endpoint.url, name) for name in ("m", "m:latest", "other")] == [
        "d1",
        "d1",
        "other",
    ]
