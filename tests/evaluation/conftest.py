"""A market with a few frozen questions, and a model server of the tests' own."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from tasks.core.evaluation import completions
from tasks.core.evaluation.answer import Endpoint
from tasks.core.evaluation.questions import build_questions, read_questions
from tasks.core.settings.evaluation import Evaluation
from tests.synthetic import demo_market


@pytest.fixture(scope="package")
def market(tmp_path_factory):
    """The demo market's artifact: a folder with train/ and holdout/."""
    return demo_market(tmp_path_factory.mktemp("market"))


@pytest.fixture(scope="package")
def questions(market, tmp_path_factory):
    out = tmp_path_factory.mktemp("questions")
    build_questions(market / "holdout", Evaluation(questions=24), out)
    return read_questions(out / "questions.jsonl")


class ModelServer:
    """A small HTTP server in a thread plays a model server's good and bad days.

    Its attributes say what it does; `requests` holds what it was asked.
    """

    def __init__(self):
        self.requests = []
        self.drops = 0  # connections to close without an answer
        self.refusal = None  # status and JSON to answer instead of a reply
        self.busy = []  # Retry-After of each answer 429 to give first; None is one without it
        self.page = None  # status, headers and bytes to answer instead of JSON
        self.models = []  # what GET /v1/models says
        self.keys = []  # the Authorization header of every request
        self.prompt_tokens = 7
        self.reply = lambda body: (
            f'  {{"regime": "BEAR", "told": {json.dumps(body["messages"][-1]["content"])}}} \n'
        )
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self.server.handle_error = lambda *_: None  # a dropped connection is meant
        self.endpoint = Endpoint(f"http://127.0.0.1:{self.server.server_port}/v1", "m")

    def _handler(self):
        model_server = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                model_server.requests.append({"path": self.path, **body})
                model_server.keys.append(self.headers["Authorization"])
                if model_server.drops:
                    model_server.drops -= 1
                    self.connection.close()
                elif model_server.busy:
                    self.refuse_as_busy(model_server.busy.pop(0))
                elif model_server.page:
                    self.send_bytes(*model_server.page)
                elif model_server.refusal:
                    self.send(*model_server.refusal)
                else:
                    self.send(200, model_server.completion(body))

            def do_GET(self):
                self.send(200, {"data": [{"id": name} for name in model_server.models]})

            def refuse_as_busy(self, retry_after):
                headers = {} if retry_after is None else {"Retry-After": retry_after}
                self.send(429, {"error": {"message": "rate limit"}}, headers)

            def send(self, status, value, headers=None):
                self.send_bytes(status, headers or {}, json.dumps(value).encode())

            def send_bytes(self, status, headers, data):
                self.send_response(status)
                for name, value in {"Content-Length": str(len(data)), **headers}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, *_):
                pass

        return Handler

    def completion(self, body):
        choice = {"message": {"content": self.reply(body)}, "finish_reason": "stop"}
        usage = {"prompt_tokens": self.prompt_tokens, "completion_tokens": 5}
        return {"choices": [choice], "usage": usage}


@pytest.fixture
def model_server(monkeypatch):
    monkeypatch.setattr(completions, "PAUSES_S", (0.0, 0.0))
    model_server = ModelServer()
    serve = model_server.server.serve_forever
    thread = threading.Thread(target=serve, kwargs={"poll_interval": 0.01})
    thread.start()
    yield model_server
    model_server.server.shutdown()
    model_server.server.server_close()
    thread.join()
