"""Which Ollama the environment names, read as its own programs read it (envconfig.Host)."""

import os
from urllib.parse import urlsplit

import httpx

from tasks.core.errors import RequestError
from tasks.core.processes.http import bracketed, without_user

_DEFAULT_PORT = 11434
_USUAL_PORTS = {"http": 80, "https": 443}
_EVERY_ADDRESS = ("0.0.0.0", "::")
"""What a server listens on, and no address to call."""


def host_url() -> str | None:
    """Returns the address of the server that OLLAMA_HOST names, a path in it included, or None if
    it is not set. Raises RequestError if it names none.
    """
    named = os.environ.get("OLLAMA_HOST", "").strip().strip("\"'").strip()
    if not named:
        return None
    try:
        return _url(named)
    except (ValueError, httpx.InvalidURL) as error:
        raise RequestError(
            f"OLLAMA_HOST is {without_user(named)!r}, which is no address"
            f" ({without_user(str(error))}). Type HOST:PORT, e.g. 127.0.0.1:11434, or an address"
            " that begins with http:// or https://."
        ) from None


def _url(named: str) -> str:
    """Raises ValueError or httpx.InvalidURL if this is no address."""
    if any(char.isspace() or not char.isprintable() for char in named):
        raise ValueError("it has white space within")
    has_scheme = "://" in named
    parts = urlsplit(named if has_scheme else f"http://{bracketed(named)}")
    if parts.scheme not in _USUAL_PORTS:
        raise ValueError(f"{parts.scheme} is neither http nor https")
    if parts.username is not None or parts.query or parts.fragment:
        raise ValueError("a user, a query or a fragment is not for it")
    port = parts.port
    if port == 0:
        raise ValueError("0 is no port to call")
    if port is None:
        port = _USUAL_PORTS[parts.scheme] if has_scheme else _DEFAULT_PORT
    host = parts.hostname or "127.0.0.1"
    if host in _EVERY_ADDRESS:
        host = "127.0.0.1"
    url = f"{parts.scheme}://{bracketed(host)}:{port}{parts.path.rstrip('/')}"
    httpx.URL(url)
    return url
