"""What a server may answer that the Ollama of this machine does not: another version's replies,
another program's, or none.
"""

import json
import threading
from contextlib import closing, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx
import pytest

from tasks.core.errors import RequestError, WorkError
from tasks.core.serving import ollama_api
from tasks.core.serving.modelfile import Modelfile
from tasks.core.serving.ollama import OllamaServer
from tasks.core.serving.ollama_api import answers
from tasks.core.serving.servers import check_reachable
from tests.serving.conftest import silent

HTML = "<!doctype html><title>Router</title>"
MODELFILE = Modelfile("{{ .Messages }}", "S", {"num_ctx": 512})
SHOWN = {"template": "{{ .Messages }}", "system": "S", "parameters": "num_ctx 512"}


@contextmanager
def replying(replies):
    """A server that gives each path its reply: a value as JSON, a text as HTML, a pair of a status
    and headers, or None for no answer before the block ends. Yields it and what it was asked.
    """
    asked = []
    over = threading.Event()

    class Handler(BaseHTTPRequestHandler):
        def answer(self):
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            asked.append(f"{self.command} {self.path}")
            reply = replies.get(self.path, {})
            if reply is None:
                over.wait()
            status, headers = 200, {}
            if isinstance(reply, tuple):
                (status, headers), reply = reply, {"error": "model 'm:one' not found"}
            body = reply if isinstance(reply, str) else json.dumps(reply)
            kind = "text/html" if isinstance(reply, str) else "application/json"
            self.send_response(status)
            for name, value in {"Content-Type": kind, **headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body.encode())

        do_GET = do_POST = do_HEAD = do_DELETE = answer  # noqa: N815

        def log_message(self, form, *parts):
            pass

    with closing(ThreadingHTTPServer(("127.0.0.1", 0), Handler)) as httpd:
        httpd.daemon_threads = True
        httpd.close = httpd.server_close
        threading.Thread(target=httpd.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{httpd.server_port}"
        server = OllamaServer(url, f"ollama {url}")
        try:
            yield server, asked
        finally:
            over.set()
            server.close()
            httpd.shutdown()


@pytest.fixture
def gguf(tmp_path):
    (tmp_path / "model.gguf").write_bytes(b"GGUF")
    return tmp_path / "model.gguf"


def create(replies, gguf):
    """Asks for a model whose creation seems to succeed; returns the error and what was asked."""
    usual = {"/api/tags": {"models": []}, "/api/version": {"version": "0.30.1"}}
    every = {**usual, "/api/show": SHOWN, **replies}
    with replying(every) as (server, asked), pytest.raises(WorkError) as refused:
        server.create("m:one", gguf, MODELFILE, silent)
    return str(refused.value), asked


@pytest.mark.parametrize("part", ["renderer", "parser"])
def test_a_renderer_in_the_place_of_the_template_is_named_and_removed(gguf, part):
    message, asked = create({"/api/show": {**SHOWN, part: "qwen3"}}, gguf)
    assert "Ollama 0.30.1 at http" in message
    assert f"puts a {part} of its own, 'qwen3', in the place of the template" in message
    assert "OLLAMA_HOST; 0.17.4 does." in message
    assert asked[-1] == "DELETE /api/delete"


def test_a_context_that_is_not_kept_is_named(gguf):
    message, _ = create({"/api/show": {**SHOWN, "parameters": "num_ctx 4096"}}, gguf)
    assert "and it was removed again: its parameter num_ctx is 4096, not 512" in message


def test_a_model_removed_by_hand_meanwhile(gguf):
    message, _ = create({"/api/show": (404, {})}, gguf)
    assert "model 'm:one' not found. It was removed meanwhile: run the same command" in message


@pytest.mark.parametrize("version", ["0.9.6", "0.11.4-rc1"])
def test_a_server_that_is_too_old_is_named(monkeypatch, version):
    with replying({"/api/version": {"version": version}}) as (server, _):
        monkeypatch.setenv("OLLAMA_HOST", server.url)
        with pytest.raises(WorkError, match=rf"is version {version}, and kospilot needs 0\.11\.10"):
            check_reachable()


@pytest.mark.parametrize("version", ["0.0.0", "0.17.4", "0.34.0-rc2", "1.0"])
def test_a_server_that_is_new_enough_is_taken(monkeypatch, version):
    with replying({"/api/version": {"version": version}}) as (server, _):
        monkeypatch.setenv("OLLAMA_HOST", server.url)
        check_reachable()


def test_another_program_at_the_address_is_no_ollama(monkeypatch):
    with replying(dict.fromkeys(("/api/version", "/api/tags"), HTML)) as (server, _):
        assert not answers(server.url)
        monkeypatch.setenv("OLLAMA_HOST", server.url)
        with pytest.raises(WorkError, match="no Ollama answers there"):
            check_reachable()
        with pytest.raises(WorkError, match=r"text/html, '<!doctype .* Correct OLLAMA_HOST"):
            server.tags()


def test_a_page_in_the_middle_of_a_creation(gguf):
    message, _ = create({"/api/create": HTML}, gguf)
    assert "answered /api/create with '<!doctype html>" in message


def test_a_server_that_hangs_is_named(monkeypatch):
    monkeypatch.setattr(ollama_api, "_QUICK", httpx.Timeout(5, read=0.2))
    expected = r"took the request /api/tags and said nothing for 0\.2 s: it hangs"
    with replying({"/api/tags": None}) as (server, _), pytest.raises(WorkError, match=expected):
        server.tags()


@pytest.mark.parametrize(
    ("status", "headers", "wait"),
    [(429, {"Retry-After": "30"}, "30 s"), (503, {}, "a minute")],
)
def test_a_server_that_is_busy_says_how_long_to_wait(status, headers, wait):
    expected = f"It is busy: wait {wait} and run the same command"
    replies = {"/api/chat": (status, headers)}
    with replying(replies) as (server, _), pytest.raises(WorkError, match=expected):
        server.render("m:one", [{"role": "user", "content": "U"}])


def test_a_server_that_shows_no_prompts_is_named():
    expected = r"Ollama 0\.40\.0 at .* does not show the prompts"
    replies = {"/api/version": {"version": "0.40.0"}}
    with replying(replies) as (server, _), pytest.raises(WorkError, match=expected):
        server.render("m:one", [{"role": "user", "content": "U"}])


def test_a_name_in_other_capitals_is_not_overwritten(gguf):
    held = {"models": [{"name": "Kospi:latest", "digest": "d"}]}
    expected = r"has Kospi:latest.* Type release\.name=Kospi"
    with (
        replying({"/api/tags": held}) as (server, asked),
        pytest.raises(RequestError, match=expected),
    ):
        server.create("kospi:one", gguf, MODELFILE, silent)
    assert asked == ["GET /api/tags"]
