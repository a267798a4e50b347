"""The embedded endpoint answers those who ask, whatever others send, and no web page."""

import asyncio
import contextlib
import json
import os
import socket
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from urllib.parse import urlsplit

import httpx
import psutil
import pytest

from tasks.core.processes.connections import BoundedConnection
from tasks.core.serving import embedded_registry as registry
from tasks.core.serving.embedded import EmbeddedServer
from tasks.core.serving.modelfile import Modelfile
from tests.bench.endpoint import trouble
from tests.serving.conftest import silent

QUESTION = {"model": "m:one", "messages": [{"role": "user", "content": "Regime?"}]}


@pytest.fixture(scope="module")
def empty(tmp_path_factory):
    """An endpoint without models."""
    with closing(EmbeddedServer(tmp_path_factory.mktemp("empty"))) as server:
        yield server.openai_url.removesuffix("/v1")


@pytest.fixture(scope="module")
def endpoint(tmp_path_factory, tiny_f16):
    """An endpoint with one small model, which writes up to 8 tokens unless asked for more."""
    with closing(EmbeddedServer(tmp_path_factory.mktemp("one"))) as server:
        modelfile = Modelfile("", "", {"num_ctx": 4096, "num_predict": 8, "temperature": 0})
        server.create("m:one", tiny_f16, modelfile, silent)
        yield server


def post(url, content, **headers):
    return httpx.post(f"{url}/v1/chat/completions", content=content, headers=headers, timeout=60)


@pytest.mark.slow
@pytest.mark.parametrize(
    "host", ["evil.example", "127.0.0.1.evil.example:80", "[::", "", "10.0.0.1"]
)
def test_another_hosts_name_is_refused(empty, host):
    for path in ("/health", "/v1/models", "/unload", "/anything"):
        refused = httpx.get(f"{empty}{path}", headers={"Host": host})
        assert refused.status_code == 403
        assert "which is not this server" in refused.json()["error"]["message"]


@pytest.mark.slow
@pytest.mark.parametrize("origin", ["http://evil.example", "null", "http://localhost:1"])
def test_a_web_page_is_refused(empty, origin):
    for method in ("GET", "POST", "OPTIONS"):
        headers = {"Origin": origin, "Access-Control-Request-Method": "POST"}
        refused = httpx.request(method, f"{empty}/v1/models", headers=headers)
        assert refused.status_code == 403
        assert not [name for name in refused.headers if name.startswith("access-control")]


@pytest.mark.slow
def test_this_machines_names_are_taken(empty):
    port = urlsplit(empty).port
    for host in ("localhost", f"localhost:{port}", "127.0.0.1", "[::1]:80"):
        assert httpx.get(f"{empty}/v1/models", headers={"Host": host}).json()["data"] == []


@pytest.mark.slow
@pytest.mark.parametrize(
    ("content", "status", "words"),
    [
        ("[]", 400, "no JSON object"),
        ("null", 400, "no JSON object"),
        ("{", 400, "no JSON"),
        ("", 400, "no JSON"),
        ("[" * 100_000, 400, "no JSON"),
        (b"\xff\xfe{}", 400, "no JSON"),
        ('{"model": ["m"]}', 404, "not found"),
        ('{"model": "../../etc/passwd"}', 404, "not found"),
        ("x" * (17 << 20), 413, "may have 16 MiB"),
    ],
)
def test_rubbish_is_refused_in_words(empty, content, status, words):
    refused = post(empty, content)
    assert refused.status_code == status
    assert words in refused.json()["error"]["message"]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("odd", "words"),
    [
        ({"messages": 5}, "messages is no list of objects"),
        ({"messages": ["text"]}, "messages is no list of objects"),
        ({"messages": None, "top_p": float("nan")}, "the request is no JSON (Out of range float"),
        ({"messages": [{"role": "user", "content": "\ud83d"}]}, "the request is no JSON ('utf-8'"),
    ],
)
def test_an_odd_question_is_refused_in_words(endpoint, odd, words):
    refused = post(endpoint.openai_url.removesuffix("/v1"), json.dumps({**QUESTION, **odd}))
    assert refused.status_code == 400
    assert words in refused.json()["error"]["message"]


@pytest.mark.slow
def test_nothing_but_the_endpoint_listens(endpoint):
    endpoint.count_tokens("m:one", QUESTION["messages"])
    process = psutil.Process(endpoint._process.pid)
    ports = [at.laddr for at in process.net_connections("tcp") if at.status == "LISTEN"]
    assert ports == [("127.0.0.1", urlsplit(endpoint.openai_url).port)]
    files = [at.laddr for at in process.net_connections("unix") if at.laddr.endswith(".sock")]
    folder = os.path.dirname(files[0])
    assert os.stat(folder).st_mode & 0o077 == 0
    endpoint.close()
    assert not os.path.exists(folder)


@pytest.mark.slow
def test_a_killed_endpoint_leaves_no_socket(endpoint):
    """Neither the kernel, when the memory is full, nor a signal while a model is loaded leaves it
    the time.
    """
    endpoint.count_tokens("m:one", QUESTION["messages"])
    process = psutil.Process(endpoint._process.pid)
    files = [at.laddr for at in process.net_connections("unix") if at.laddr.endswith(".sock")]
    process.kill()
    endpoint.close()
    assert not os.path.exists(os.path.dirname(files[0]))


@pytest.mark.slow
def test_who_stalls_or_leaves_holds_nobody_up(endpoint):
    """All that was asked for and left would take minutes."""
    url = urlsplit(endpoint.openai_url)
    stalled = socket.create_connection((url.hostname, url.port))
    stalled.sendall(
        b"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\n"
    )
    endless = {**QUESTION, "max_tokens": 4000, "ignore_eos": True}
    with closing(stalled):
        for _ in range(40):
            with pytest.raises(httpx.ReadTimeout):
                httpx.post(f"{endpoint.openai_url}/chat/completions", json=endless, timeout=0.1)
        answer = httpx.post(f"{endpoint.openai_url}/chat/completions", json=QUESTION, timeout=60)
        assert answer.is_success


@pytest.mark.slow
def test_headers_that_never_end_hold_few_descriptors(empty):
    url = urlsplit(empty)
    with contextlib.ExitStack() as held:
        for _ in range(3 * BoundedConnection.most):
            silent = socket.create_connection((url.hostname, url.port))
            held.enter_context(closing(silent)).sendall(b"POST /v1/chat/completions HTTP/1.1\r\n")
        assert httpx.get(f"{empty}/v1/models").json()["data"] == []
        (process,) = [at.pid for at in psutil.net_connections("tcp") if serves(at, url.port)]
        assert psutil.Process(process).num_fds() < 2 * BoundedConnection.most


def serves(at, port):
    return at.status == "LISTEN" and at.laddr.port == port


@pytest.mark.slow
def test_none_of_twenty_starves_beside_five_that_misbehave(endpoint):
    url = endpoint.openai_url.removesuffix("/v1")
    found = asyncio.run(trouble(url, "m:one", 1))
    assert found.annoyed >= 5
    assert found.broken == []
    assert all(found.waits_s), found.text()  # each of the twenty got an answer


@pytest.mark.slow
def test_two_ask_at_once_and_each_reads_what_one_alone_reads(endpoint, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    url = endpoint.openai_url
    asked = [{**QUESTION, "messages": [{"role": "user", "content": f"Day {n}?"}]} for n in range(4)]

    def reply(body):
        answer = httpx.post(f"{url}/chat/completions", json=body, timeout=60).json()
        return answer["choices"][0]["message"]["content"]

    alone = [reply(body) for body in asked]
    assert endpoint.at_once("m:one") == 2
    with ThreadPoolExecutor(4) as threads:
        assert list(threads.map(reply, asked)) == alone


def test_a_large_model_has_one_copy(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "16")
    small = registry.Entry("m:one", "0" * 64, registry.SMALL - 1, Modelfile("", "", {}))
    assert small.copies == registry.MOST_COPIES
    assert replace(small, size=registry.SMALL).copies == 1
