"""HTTP to model servers, on this machine or another, which may be anybody's.

Answers are read within limits, and what a refusal says is one printable line.
"""

import ipaddress
import json
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextvars import copy_context
from dataclasses import dataclass
from threading import Thread
from typing import Any, TypeVar
from urllib.parse import urlsplit

import httpx

T = TypeVar("T")


@dataclass(frozen=True)
class Limits:
    """What an answer may take. A server that sends a byte now and then would hold us for ever, and
    one that does not end would fill the memory.
    """

    seconds: float  # for the whole answer
    most_bytes: int = 16 << 20  # more than any answer has that is kept in memory


_ALIVE = Limits(5.0, 1 << 20)
_WORDS = 300  # characters of a server's message that are repeated


def is_loopback(host: str) -> bool:
    """Whether a name or an address, without its port, is always this machine."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def bracketed(host: str) -> str:
    """Returns a name or an address as it stands before a port: IPv6's are in brackets."""
    try:
        return f"[{host}]" if ipaddress.ip_address(host).version == 6 else host
    except ValueError:
        return host


def http_client(url: str, timeout: httpx.Timeout) -> httpx.Client:
    """Returns a client for the server at an address; its paths are relative to the address.

    A proxy that the environment names must not stand between us and this machine. No answer is
    asked for in a packed form: a small one may unpack to more than the memory.
    """
    local = is_loopback(urlsplit(url).hostname or "")
    headers = {"Accept-Encoding": "identity"}
    return httpx.Client(base_url=url, timeout=timeout, trust_env=not local, headers=headers)


def fetch(
    client: httpx.Client, method: str, url: str, limits: Limits, **sent: Any
) -> httpx.Response:
    """Returns a whole answer; redirects are answers too. `sent` is what httpx calls json, content,
    headers and timeout.

    Raises httpx.ReadTimeout if it is not there in time, httpx.DecodingError if it is too large or
    packed, and httpx.TransportError if the connection fails.
    """
    return within(limits.seconds, lambda: _fetch(client, method, url, limits, **sent))


def upload(
    client: httpx.Client, url: str, content: Iterator[bytes], limits: Limits
) -> httpx.Response:
    """Returns the whole answer to a POST of bytes that are made here and now, in the caller's
    thread: Ctrl-C ends them, and they may report progress. Each write may take the client's
    timeout.

    Raises what `fetch` raises, and httpx.WriteTimeout.
    """
    return _fetch(client, "POST", url, limits, content=content)


def _fetch(
    client: httpx.Client, method: str, url: str, limits: Limits, **sent: Any
) -> httpx.Response:
    deadline = time.monotonic() + limits.seconds
    content = bytearray()
    with client.stream(method, url, **sent) as response:
        refuse_packed(response)
        for chunk in response.iter_raw():
            content += chunk
            if len(content) > limits.most_bytes:
                raise httpx.DecodingError(f"sent more than {limits.most_bytes >> 20} MiB")
            if time.monotonic() > deadline:
                raise httpx.ReadTimeout("the answer does not end")
    headers = [(name, value) for name, value in response.headers.items() if name in _TOLD]
    return httpx.Response(
        response.status_code, headers=headers, content=bytes(content), request=response.request
    )


_TOLD = ("content-type", "location", "retry-after")
"""The headers that mean something to us."""


def refuse_packed(response: httpx.Response) -> None:
    """Raises httpx.DecodingError if an answer is packed, which nobody asked for."""
    packed = response.headers.get("content-encoding", "identity")
    if packed != "identity":
        raise httpx.DecodingError(f"packed its answer ({one_line(packed)[:40]}) unasked")


def within(seconds: float, call: Callable[[], T]) -> T:
    """Returns what a call returns, and raises what it raises, or httpx.ReadTimeout after a time.

    A call that takes longer goes on in its thread, which nobody waits for. It sees the caller's
    context variables.
    """
    outcome: Future[T] = Future()

    def work() -> None:
        try:
            outcome.set_result(call())
        except BaseException as error:
            outcome.set_exception(error)

    Thread(target=copy_context().run, args=(work,), daemon=True).start()
    try:
        return outcome.result(seconds)
    except TimeoutError:
        raise httpx.ReadTimeout(f"no answer in {seconds:g} s") from None


def without_user(url: str) -> str:
    """Returns what follows the user and the password in an address, whether or not it is one that
    a parser takes.
    """
    return url.rpartition("@")[2]


def responds(url: str) -> bool:
    """Whether a GET of this address succeeds within five seconds."""
    try:
        with http_client(url, httpx.Timeout(_ALIVE.seconds)) as client:
            return fetch(client, "GET", url, _ALIVE).is_success
    except (httpx.TransportError, httpx.DecodingError):
        return False


def read_object(text: str | bytes) -> dict[str, Any] | None:
    """Returns the JSON object that a server sent, or None if it is none."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def refusal_of(response: httpx.Response) -> str:
    """Returns what a server says of its refusal, on one printable line.

    That is the message of an OpenAI-style error, Ollama's error, or the beginning of any other
    text; the status in words if there is none.
    """
    error = (read_object(response.content) or {}).get("error")
    if isinstance(error, dict):
        error = error.get("message", error)
    said = one_line(response.text if error is None else str(error))
    return said or response.reason_phrase


def one_line(text: str) -> str:
    """Returns the beginning of a foreign text on one line without control characters, which a
    terminal would obey, and without halves of characters, which none can print.
    """
    line = " ".join(text[: 10 * _WORDS].split())
    return "".join(char for char in line if char.isprintable())[:_WORDS]
