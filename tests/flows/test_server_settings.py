"""Which settings our Prefect knows, and when a user's own server is used."""

import os
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import prefect
import pytest

from flows.server_settings import (
    client_settings,
    forget_foreign_settings,
    known_server,
    named_server,
    server_settings,
    server_to_use,
)
from tasks.core.errors import WorkError

PREFECT = {"/api/health": (200, "true"), "/api/admin/version": (200, f'"{prefect.__version__}"')}


@contextmanager
def answering(answers):
    """A real HTTP server that knows these answers, and keeps what it was asked."""

    class Handler(BaseHTTPRequestHandler):
        asked = []

        def do_GET(self):
            Handler.asked.append((self.path, self.headers.get("Authorization")))
            status, text = answers.get(self.path, answers.get("*", (404, "")))
            body = text.encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *words):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/api", Handler.asked
        finally:
            server.shutdown()
            thread.join()


def test_no_variable_of_another_prefect_is_left(monkeypatch):
    for name in (
        "PREFECT_HOME",
        "prefect_api_url",
        "Prefect_Logging_Level",
        "PREFECT__FLOW_RUN_ID",
    ):
        monkeypatch.setenv(name, "nonsense")
    monkeypatch.setenv("PREFECTURE", "Osaka")
    forget_foreign_settings()
    left = [name for name in os.environ if name.upper().startswith("PREFECT")]
    assert left == ["PREFECTURE"]


def test_a_server_and_its_clients_share_the_secret_and_nobody_elses_pages(tmp_path):
    served = server_settings(tmp_path, 4200, with_ui=True)
    told = client_settings(tmp_path, "http://127.0.0.1:4200/api")
    assert served["PREFECT_SERVER_API_AUTH_STRING"] == told["PREFECT_API_AUTH_STRING"]
    assert served["PREFECT_SERVER_CORS_ALLOWED_ORIGINS"] == (
        "http://127.0.0.1:4200,http://localhost:4200"
    )
    assert served["PREFECT_SERVER_CSRF_PROTECTION_ENABLED"] == "true"
    paths = ("PREFECT_HOME", "PREFECT_SERVER_UI_STATIC_DIRECTORY", "MPLCONFIGDIR")
    assert all(served[name].startswith(str(tmp_path)) for name in paths)


def test_without_a_named_server_nothing_is_said(capsys, monkeypatch):
    monkeypatch.setenv("PREFECT_API_AUTH_STRING", "someone:else")
    assert named_server() is None
    assert capsys.readouterr().err == ""


def test_a_named_server_that_answers_is_used_with_its_secret(capsys, monkeypatch):
    with answering(PREFECT) as (url, asked):
        monkeypatch.setenv("PREFECT_API_URL", f"{url}/")
        monkeypatch.setenv("PREFECT_API_AUTH_STRING", "me:mine")
        monkeypatch.setenv("PREFECT_CLIENT_CUSTOM_HEADERS", "nonsense")
        assert named_server() == {"PREFECT_API_URL": url, "PREFECT_API_AUTH_STRING": "me:mine"}
    assert {sent for _, sent in asked} == {"Basic bWU6bWluZQ=="}
    assert f"PREFECT_API_URL: the run is reported to {url}." in _said(capsys)


@pytest.mark.parametrize(
    ("answers", "why"),
    [
        (
            {"*": (200, "<html>")},
            "what answers there is no Prefect server (HTTP 200). The address of one ends with /api",
        ),
        ({"*": (200, "true")}, "it is Prefect true, and this is"),
        ({"*": (404, "")}, "what answers there is no Prefect server (HTTP 404)"),
        (
            {**PREFECT, "/api/admin/version": (401, "")},
            "it wants a PREFECT_API_AUTH_STRING, and none is set (HTTP 401). Set it to USER:",
        ),
        ({**PREFECT, "/api/admin/version": (200, '"2.20.1"')}, "it is Prefect 2.20.1, and this is"),
    ],
)
def test_what_cannot_be_used_is_said_and_not_used(capsys, monkeypatch, answers, why):
    with answering(answers) as (url, _):
        monkeypatch.setenv("PREFECT_API_URL", url)
        assert named_server() is None
    said = _said(capsys)
    assert f"PREFECT_API_URL={url} is not used: {why}" in said
    assert "kospilot uses a server of its own." in said


@pytest.mark.parametrize(
    ("given", "fault"),
    [
        ({"PREFECT_API_AUTH_STRING": "me:guess"}, "it wants another PREFECT_API_AUTH_STRING"),
        ({"PREFECT_API_KEY": "guess"}, "it does not accept PREFECT_API_KEY"),
    ],
)
def test_who_works_for_a_server_is_told_why_it_refuses_and_uses_no_other(
    tmp_path, monkeypatch, given, fault
):
    recorded = "http://127.0.0.1:4200/api"
    monkeypatch.setattr("flows.server_settings.recorded_server", lambda home: recorded)
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    with answering({**PREFECT, "/api/admin/version": (401, "")}) as (url, _):
        monkeypatch.setenv("PREFECT_API_URL", url)
        told = f"^PREFECT_API_URL={url} cannot be used: {fault} \\(HTTP 401\\). Set it to "
        with pytest.raises(WorkError, match=told) as refused:
            server_to_use(tmp_path, "the worker takes its runs from")
    assert "guess" not in str(refused.value)


def test_news_that_the_named_server_cannot_take_go_to_serve(tmp_path, monkeypatch, capsys):
    recorded = "http://127.0.0.1:4200/api"
    monkeypatch.setenv("PREFECT_API_URL", "http://127.0.0.1:9/api")
    assert known_server(tmp_path, "the news goes to") is None
    assert "starts one on its machine. No other server is there." in _said(capsys)
    monkeypatch.setattr("flows.server_settings.recorded_server", lambda home: recorded)
    assert known_server(tmp_path, "the news goes to")["PREFECT_API_URL"] == recorded
    assert "starts one on its machine. `kospilot serve`'s is used." in _said(capsys)


@pytest.mark.parametrize(
    "url",
    [
        "nonsense",
        "http://[",
        "http://me:secret@127.0.0.1:9/api",
        "http://me:secret@[/api",
        "me:secret@host/api",
        "http://me:secret@ho\u2100st/api",
        "\x7f",
    ],
)
def test_an_odd_address_is_said_without_its_password(capsys, monkeypatch, url):
    monkeypatch.setenv("PREFECT_API_URL", url)
    assert named_server() is None
    said = _said(capsys)
    assert "is not used: no server answers there" in said
    assert "secret" not in said


def _said(capsys):
    return " ".join(capsys.readouterr().err.split())
