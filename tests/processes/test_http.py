"""Servers on this machine are asked without a proxy; what a server says of a refusal is found."""

import socket

import httpx
import pytest

from tasks.core.processes.http import http_client, refusal_of, responds
from tasks.core.processes.server import free_port


@pytest.mark.parametrize(
    ("url", "proxied"),
    [("http://127.0.0.1:9", False), ("http://[::1]:9/v1", False), ("http://box:9", True)],
)
def test_a_proxy_stands_only_before_other_machines(monkeypatch, url, proxied):
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{free_port()}")
    with http_client(url, httpx.Timeout(1)) as client:
        assert bool(client._mounts) == proxied


def test_nobody_responds_where_nobody_listens():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        assert not responds(f"http://127.0.0.1:{taken.getsockname()[1]}/health")


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        ({"json": {"error": {"code": 500, "message": "no slot"}}}, "no slot"),
        ({"json": {"error": "model 'm' not found"}}, "model 'm' not found"),
        ({"json": {"detail": "overloaded"}}, '{"detail":"overloaded"}'),
        ({"json": [1]}, "[1]"),
        ({"text": "404 page not found"}, "404 page not found"),
        ({"text": ""}, "Bad Gateway"),
    ],
)
def test_a_refusal_is_read_in_every_form(answer, words):
    assert refusal_of(httpx.Response(502, **answer)) == words
