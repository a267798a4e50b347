"""The proxies that the environment names: none stands between us and this machine, and one that
Python's HTTP libraries cannot use ends no command.
"""

import ipaddress
import os
import re
from collections.abc import MutableMapping
from importlib.util import find_spec
from urllib.parse import urlsplit

_PROXIES = ("http_proxy", "https_proxy", "all_proxy")
_LOOPBACK = ("localhost", "127.0.0.1", "::1")
_HOST = re.compile(r"(\w+://)?[A-Za-z0-9._*-]+(:\d+)?(/\d+)?")
"""A name, a pattern or an IPv4 network. httpx raises for most else in NO_PROXY."""


def settle_proxies(env: MutableMapping[str, str] = os.environ) -> list[str]:
    """Lets every HTTP client reach this machine directly, and forgets proxies that none can use.

    Returns what was forgotten, as sentences. A desktop's all_proxy=socks://… makes httpx raise even
    for hosts that need no proxy.
    """
    forgotten = []
    for name in _variables(env, _PROXIES):
        problem = _problem(env[name])
        if problem:
            del env[name]
            forgotten.append(f"{name} is not used: {problem}.")
    hosts = []
    for name in _variables(env, ("no_proxy",)):
        hosts += [host.strip() for host in env[name].split(",")]
    known = [host for host in map(_bare, hosts) if _is_understood(host)]
    no_proxy = ",".join(dict.fromkeys([*known, *_LOOPBACK]))
    # Libraries differ in which of the two they read.
    env["NO_PROXY"] = env["no_proxy"] = no_proxy
    return forgotten


def _variables(env: MutableMapping[str, str], names: tuple[str, ...]) -> list[str]:
    return [name for name in env if name.lower() in names and env[name].strip()]


def _problem(proxy: str) -> str:
    """Why this proxy cannot be used, without its password; empty if it can."""
    try:
        parts = urlsplit(proxy if "://" in proxy else f"http://{proxy}")
        names_host = bool(parts.hostname) and parts.port != 0
    except ValueError:
        return "it is no address"
    if parts.scheme in ("socks5", "socks5h"):
        return "" if find_spec("socksio") else f"{parts.scheme}:// needs the package socksio"
    if parts.scheme not in ("http", "https"):
        return f"{parts.scheme}:// is no kind of proxy that Python's HTTP libraries know"
    return "" if names_host else "it names no host"


def _bare(host: str) -> str:
    """An IPv6 address without its brackets, which httpx takes for a port."""
    return host[1:-1] if host.startswith("[") and host.endswith("]") else host


def _is_understood(host: str) -> bool:
    if _HOST.fullmatch(host):
        return True
    try:
        return ipaddress.ip_address(host).version == 6
    except ValueError:
        return False
