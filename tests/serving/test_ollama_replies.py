"""What a server may answer that the Ollama of this machine does not: another version's replies,
another program's, or none.
"""

import gzip
import json
import socket
import threading
import time
from contextlib import closing, contextmanager, suppress
from contextvars import ContextVar
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from tasks.core.errors import WorkError
from tasks.core.files.digests import digest_file
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
    """A server that gives each path its reply. Yields it and what it was asked.

    A reply is a value as JSON, a text as HTML, bytes as they are, a pair of a status and headers,
    or None for no answer before the block ends.
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
            if isinstance(reply, bytes):
                self.wfile.write(reply)
                self.close_connection = True
                return
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
        threading.Thread(target=httpd.serve_forever, args=(0.005,), daemon=True).start()
        url = f"http://127.0.0.1:{httpd.server_port}"
        server = OllamaServer(url, f"ollama {url}")
        try:
            yield server, asked
        finally:
            over.set()
            server.close()
            httpd.shutdown()


@contextmanager
def trickling(beginning, part):
    """A server that says a part again and again, for four seconds."""
    with closing(socket.create_server(("127.0.0.1", 0))) as listening:

        def trickle():
            with suppress(OSError):
                connection, _ = listening.accept()
                with connection:
                    connection.sendall(beginning)
                    for _ in range(40):
                        connection.sendall(part)
                        time.sleep(0.1)

        threading.Thread(target=trickle, daemon=True).start()
        yield OllamaServer(f"http://127.0.0.1:{listening.getsockname()[1]}", "trickling")


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
    replies = {"/api/version": {"version": version}, "/api/tags": {"models": None}}
    with replying(replies) as (server, _):
        monkeypatch.setenv("OLLAMA_HOST", server.url)
        with pytest.raises(WorkError, match=rf"is version {version}, and kospilot needs 0\.11\.10"):
            check_reachable()


@pytest.mark.parametrize("version", ["0.0.0", "0.17.4", "0.34.0-rc2", "1.0"])
def test_a_server_that_is_new_enough_is_taken(monkeypatch, version):
    replies = {"/api/version": {"version": version}, "/api/tags": {"models": None}}
    with replying(replies) as (server, _):
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
    assert "answered /api/create otherwise than Ollama does ('<!doctype html>" in message


def test_a_server_that_hangs_is_named(monkeypatch):
    monkeypatch.setattr(ollama_api, "_QUICK_S", 0.2)
    expected = r"took the request /api/tags and did not answer within 0\.2 s: it hangs"
    with replying({"/api/tags": None}) as (server, _), pytest.raises(WorkError, match=expected):
        server.tags()


def test_a_server_that_hangs_before_the_upload_is_named(monkeypatch, gguf):
    monkeypatch.setattr(ollama_api, "_QUICK_S", 0.2)
    monkeypatch.setattr(ollama_api, "_PATIENT_S", 2.0)
    blob = f"/api/blobs/sha256:{digest_file(gguf)}"
    expected = rf"took the request {blob} and did not answer within 0\.2 s"
    with replying({blob: None}) as (server, _), pytest.raises(WorkError, match=expected):
        server.create("m:one", gguf, MODELFILE, silent)


def test_a_creation_that_does_not_end_is_told(monkeypatch, gguf):
    monkeypatch.setattr(ollama_api, "_PATIENT_S", 0.3)
    expected = pytest.raises(WorkError, match=r"the request /api/create .* within 0\.3 s")
    with trickling(head(), b'{"status": "parsing"}\n') as server, closing(server), expected:
        server._make("m:one", "sha256:0", MODELFILE, silent)


def test_an_upload_reports_to_the_step_that_waits_for_it(gguf):
    """Prefect's context holds what shows the progress in the UI."""
    step = ContextVar("step")
    step.set("register")
    seen = []

    def progress(share, text):
        seen.append((step.get(None), threading.current_thread()))

    blob = f"/api/blobs/sha256:{digest_file(gguf)}"
    with replying({blob: ((404, {}))}) as (server, _), pytest.raises(WorkError):
        server.create("m:one", gguf, MODELFILE, progress)
    assert seen == [("register", threading.main_thread())]


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


def test_a_name_is_found_in_other_capitals():
    """Ollama gives a model the spelling in which its name was first used."""
    held = {"models": [{"name": "Kospi-S3:0123", "digest": "d"}]}
    with replying({"/api/tags": held}) as (server, _):
        assert server.digest("kospi-s3:0123") == "d"
        assert server.digest("kospi-s3") is None


def test_another_program_with_a_version_is_no_ollama(monkeypatch):
    with replying({"/api/version": {"version": "0.30"}, "/api/tags": HTML}) as (server, _):
        monkeypatch.setenv("OLLAMA_HOST", server.url)
        with pytest.raises(WorkError, match="no Ollama answers there.*something else"):
            check_reachable()


CHAT = [{"role": "user", "content": "U"}]
CALLS = {
    "/api/tags": lambda server: server.tags(),
    "/api/show": lambda server: server.context_length("m:one"),
    "/api/ps": lambda server: server.loaded(),
    "/api/chat": lambda server: (server.render("m:one", CHAT), server.count_tokens("m", CHAT)),
    "/api/copy": lambda server: server.copy("m:one", "m:two"),
    "/api/delete": lambda server: server.delete("m:one"),
    "/api/generate": lambda server: server.unload("m:one"),
}
READ = ("/api/tags", "/api/show", "/api/ps", "/api/chat")


def head(*lines):
    return "\r\n".join(
        ["HTTP/1.1 200 OK", "Content-Type: application/json", *lines, "", ""]
    ).encode()


BROKEN = {
    "half a body": head("Content-Length: 999") + b'{"models": [',
    "half a chunk": head("Transfer-Encoding: chunked") + b"ff\r\n{",
    "half a header": b"HTTP/1.1 200 OK\r\nContent-Ty",
    "no HTTP": b"SSH-2.0-OpenSSH_9.6\r\n",
    "nothing": b"",
    "packed": head("Content-Encoding: gzip, gzip") + gzip.compress(gzip.compress(bytes(1 << 20))),
    "elsewhere": b"HTTP/1.1 302 Found\r\nLocation: http://[::1]/\r\nContent-Length: 0\r\n\r\n",
    "a refusal": (500, {}),
}


@pytest.mark.parametrize("path", CALLS)
@pytest.mark.parametrize("odd", BROKEN)
def test_a_broken_answer_is_told_in_one_sentence(path, odd):
    with replying({path: BROKEN[odd]}) as (server, _), pytest.raises(WorkError) as refused:
        CALLS[path](server)
    assert server.url in str(refused.value) and "\n" not in str(refused.value)


ODD = ["[]", "null", "5", '"text"', "{", "\xff", "[" * 100_000, '{"a":' * 100_000]
FIELDS = {
    "/api/tags": [
        {},
        {"models": {}},
        {"models": [5]},
        {"models": [{"name": "m"}]},
        {"models": [{"name": 5, "digest": "d"}]},
        {"models": [{"name": "m", "digest": None}]},
        {"models": [{"name": "m", "digest": ""}]},
    ],
    "/api/show": [{"parameters": 5}, {"parameters": ["num_ctx 5"]}],
    "/api/ps": [{"models": 5}, {"models": [{"name": None}]}],
    "/api/chat": [
        {},
        {"_debug_info": 5},
        {"_debug_info": {"rendered_template": 5}},
        {"_debug_info": {"rendered_template": "U"}},
        {"_debug_info": {"rendered_template": "U"}, "prompt_eval_count": None},
        {"_debug_info": {"rendered_template": "U"}, "prompt_eval_count": "many"},
    ],
}


@pytest.mark.parametrize("path", READ)
def test_an_answer_of_another_form_is_told_in_one_sentence(path):
    odd = [head() + text.encode("latin-1") for text in ODD] + FIELDS[path]
    for reply in odd:
        with replying({path: reply}) as (server, _), pytest.raises(WorkError) as refused:
            CALLS[path](server)
        assert len(str(refused.value)) < 600 and "\n" not in str(refused.value)


def test_an_answer_that_does_not_end_is_not_kept():
    huge = head() + b"x" * (17 << 20)
    expected = pytest.raises(WorkError, match="it sent more than 16 MiB")
    with replying({"/api/tags": huge}) as (server, _), expected:
        server.tags()


def test_a_server_that_does_not_say_what_is_loaded_holds_nothing():
    with replying({"/api/ps": (404, {})}) as (server, _):
        assert server.loaded() == []


def test_go_writes_null_for_no_models():
    none = {"models": None}
    with replying({"/api/tags": none, "/api/ps": none}) as (server, _):
        assert server.tags() == {}
        assert server.loaded() == []


@pytest.mark.parametrize("parameters", ["num_ctx many", 'num_ctx ["5"]', "num_ctx", "\n\n  x"])
def test_a_context_that_is_no_number_is_none(parameters):
    with replying({"/api/show": {"parameters": parameters}}) as (server, _):
        assert server.context_length("m:one") is None


@pytest.mark.parametrize("line", ["5", "null", "{", "[" * 100_000, "x" * (2 << 20), '{"error": 5}'])
def test_a_creation_that_tells_rubbish(gguf, line):
    message, _ = create({"/api/create": head() + b'{"status": "parsing"}\n' + line.encode()}, gguf)
    assert "m:one was not made of" in message and len(message) < 700


def test_a_servers_words_cannot_steer_the_terminal():
    replies = {"/api/tags": head() + b"\x1b[2J"}
    with replying(replies) as (server, _), pytest.raises(WorkError) as refused:
        server.tags()
        assert "\x1b" not in str(refused.value)


def test_a_header_that_trickles_is_not_waited_for(monkeypatch):
    monkeypatch.setattr(ollama_api, "_QUICK_S", 0.3)
    with trickling(b"", b"H") as server, closing(server):
        start = time.monotonic()
        with pytest.raises(WorkError, match="did not answer within 0.3 s"):
            server.tags()
        assert time.monotonic() - start < 2
