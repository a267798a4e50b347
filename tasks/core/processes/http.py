"""HTTP to model servers, on this machine or another: the client, and what a refusal says."""

import ipaddress
from urllib.parse import urlsplit

import httpx

_ALIVE_S = 5.0


def is_loopback(host: str) -> bool:
    """Whether a name or an address, without its port, is always this machine."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def http_client(url: str, timeout: httpx.Timeout) -> httpx.Client:
    """Returns a client for the server at an address; its paths are relative to the address.

    A proxy that the environment names must not stand between us and this machine.
    """
    local = is_loopback(urlsplit(url).hostname or "")
    return httpx.Client(base_url=url, timeout=timeout, trust_env=not local)


def responds(url: str) -> bool:
    """Whether a GET of this address succeeds within five seconds."""
    try:
        with http_client(url, httpx.Timeout(_ALIVE_S)) as client:
            return client.get(url).is_success
    except httpx.TransportError:
        return False


def refusal_of(response: httpx.Response) -> str:
    """Returns what a server says of its refusal.

    That is the message of an OpenAI-style error, Ollama's error, or the beginning of any other
    text; the status in words if there is none.
    """
    try:
        error = response.json()["error"]
    except (ValueError, KeyError, TypeError):
        return response.text[:300] or response.reason_phrase
    if isinstance(error, dict) and "message" in error:
        return str(error["message"])
    return str(error)
