"""A server of ours closes what never becomes a request, and answers everyone else meanwhile."""

import asyncio
import contextlib
import socket
import threading
import time
from contextlib import closing

import httpx
import pytest
import uvicorn
from websockets.sync.client import connect as connect_websocket

from tasks.core.processes.connections import BoundedConnection

WORD = b"word"
LARGE = 64 << 20  # bytes: more than the kernel keeps for a client


class Hasty(BoundedConnection):
    header_s = 0.2
    body_s = 0.2
    taking_s = 0.2
    most = 8


ended = threading.Event()


async def application(scope, receive, send):
    """Answers without reading the body: at once, after a time, or much."""
    if scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.accept"})
        await asyncio.sleep(0.6)
        await send({"type": "websocket.send", "bytes": WORD})
        return
    if scope["path"] == "/late":
        await asyncio.sleep(0.5)
    body = bytes(LARGE) if scope["path"] == "/large" else WORD
    headers = [(b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})
    ended.set()


@pytest.fixture(scope="module")
def server():
    config = uvicorn.Config(application, port=0, http=Hasty, lifespan="off", log_level="error")
    running = uvicorn.Server(config)
    thread = threading.Thread(target=running.run)
    thread.start()
    while not running.started:
        time.sleep(0.01)
    yield running
    running.should_exit = True
    thread.join()


def connect(server, sends=b""):
    connection = socket.create_connection(server.servers[0].sockets[0].getsockname())
    connection.settimeout(5)
    connection.sendall(sends)
    return connection


def is_closed(connection):
    """Whether the server ends a connection before a test's patience does."""
    with contextlib.suppress(ConnectionError):
        while connection.recv(1 << 16):
            pass
    return True


def get(server, path="/"):
    host, port = server.servers[0].sockets[0].getsockname()
    return httpx.get(f"http://{host}:{port}{path}", trust_env=False).content


def test_a_websocket_may_be_silent(server):
    """Its request never ends, and is no request any more."""
    host, port = server.servers[0].sockets[0].getsockname()
    with connect_websocket(f"ws://{host}:{port}/", proxy=None) as connection:
        assert connection.recv(5) == WORD


HALF = b"GET / HTTP/1.1\r\nHost: a\r\n"
WHOLE = HALF + b"\r\n"
NO_BODY = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n"


@pytest.mark.parametrize("sends", [b"", b"G", HALF, NO_BODY, b"\r\n"])
def test_a_request_that_never_becomes_whole_is_closed(server, sends):
    with closing(connect(server, sends)) as connection:
        assert is_closed(connection)


@pytest.mark.parametrize("sends", [HALF + b"X: ", WHOLE + HALF + b"X: ", NO_BODY])
def test_single_bytes_do_not_make_the_time_longer(server, sends):
    with closing(connect(server, sends)) as connection, pytest.raises(ConnectionError):
        for _ in range(100):
            connection.sendall(b"x")
            time.sleep(0.02)


def test_an_answer_may_take_longer_than_its_request(server):
    assert get(server, "/late") == WORD


def test_who_does_not_take_the_answer_is_closed_and_the_application_goes_on(server):
    ended.clear()
    asks = WHOLE.replace(b"/ ", b"/large ")
    with closing(connect(server, asks)):
        assert ended.wait(5)


def test_who_asks_is_answered_beside_more_connections_than_there_may_be(server):
    with contextlib.ExitStack() as held:
        silent = [held.enter_context(closing(connect(server, HALF))) for _ in range(40)]
        assert get(server) == WORD
        time.sleep(0.05)  # the last one that had to go is counted until the loop turns
        assert len(server.server_state.connections) <= Hasty.most
        assert all(is_closed(connection) for connection in silent)
    assert not server.server_state.connections
