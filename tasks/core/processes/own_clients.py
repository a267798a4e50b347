"""Our HTTP servers answer programs of this machine, and no web page but their own."""

import json
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from tasks.core.processes.http import is_loopback


class OwnClientsOnly:
    """Refuses what a foreign web page asks, over HTTP and over WebSockets.

    A page gives itself away by its origin, or by a name of its own for this machine (DNS
    rebinding): the requests that are answered name a loopback host.
    """

    def __init__(self, app: ASGIApp):
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Passes a request on unless it is a foreign page's."""
        if scope["type"] in ("http", "websocket"):
            headers = Headers(scope=scope)
            refusal = refusal_of_headers(headers.get("host", ""), headers.get("origin"))
            if refusal:
                await _refuse(scope["type"], refusal, send)
                return
        await self.app(scope, receive, send)


def refusal_of_headers(host: str, origin: str | None) -> str:
    """Why these headers are a foreign page's; empty if they are not."""
    here = _loopback_port(f"http://{host}")
    if here is None:
        return f"the request is for the host {host!r}, which is not this server"
    # A page of ours may have been opened by the other name, localhost or 127.0.0.1.
    if origin is not None and _loopback_port(origin) != here:
        return f"web pages of {origin} are not answered"
    return ""


def _loopback_port(address: str) -> int | None:
    """The port of an http address of this machine; None if it is none."""
    try:
        parts = urlsplit(address)
        port = parts.port or 80
    except ValueError:
        return None
    is_ours = parts.scheme == "http" and is_loopback(parts.hostname or "")
    return port if is_ours else None


async def _refuse(kind: str, message: str, send: Send) -> None:
    """The connection ends with the refusal: the rest of its request may never come."""
    if kind == "websocket":
        await send({"type": "websocket.close", "code": 1008, "reason": "a foreign web page"})
        return
    body = json.dumps({"error": {"message": message}}).encode()
    headers = [(b"content-type", b"application/json"), (b"connection", b"close")]
    await send({"type": "http.response.start", "status": 403, "headers": headers})
    await send({"type": "http.response.body", "body": body})
