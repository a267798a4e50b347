"""Proxies of the environment: none before this machine, and none that HTTP libraries choke on."""

import httpx
import pytest

from tasks.core.processes.proxies import settle_proxies

USABLE = ["http://proxy:3128", "https://u:p@proxy:3128/", "proxy:3128", "http://[::1]:8080"]
UNUSABLE = {
    "socks://127.0.0.1:1080/": "all_proxy is not used: socks:// is no kind of proxy that Python's",
    "socks4://a:1": "all_proxy is not used: socks4:// is no kind",
    "ftp://u:secret@a": "all_proxy is not used: ftp:// is no kind",
    "http://a:port": "all_proxy is not used: it is no address.",
    "http://": "all_proxy is not used: it names no host.",
    "http://[": "all_proxy is not used: it is no address.",
    "socks5://a:1080": "all_proxy is not used: socks5:// needs the package socksio.",
}
EXCEPTIONS = [
    *("", "::1", "[::1]", "fd00::/8", "10.0.0.0/8", "*.x.com", ".x.com", "x.com:80", "한글", "a b"),
    *("<local>", "%", "[", "*", "localhost,,127.0.0.1", "192.168.*", "http://a"),
]


@pytest.fixture
def env(monkeypatch):
    """The environment that httpx reads, without proxies."""
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    return monkeypatch


@pytest.mark.parametrize("proxy", USABLE)
def test_a_proxy_for_others_is_kept(env, proxy):
    env.setenv("https_proxy", proxy)
    settled = {"https_proxy": proxy}
    assert settle_proxies(settled) == []
    assert settled["https_proxy"] == proxy


@pytest.mark.parametrize("proxy", UNUSABLE)
def test_a_proxy_of_no_use_is_forgotten_without_its_password(env, proxy):
    told = []
    for name in ("all_proxy", "ALL_PROXY"):
        settled = {name: proxy}
        told += settle_proxies(settled)
        assert name not in settled
    assert told[0].startswith(UNUSABLE[proxy])
    assert not any("secret" in sentence for sentence in told)


@pytest.mark.parametrize("exceptions", EXCEPTIONS)
def test_this_machine_is_reached_directly(env, exceptions):
    settled = {"HTTP_PROXY": "http://127.0.0.1:9", "NO_PROXY": exceptions}
    assert settle_proxies(settled) == []
    for name, value in settled.items():
        env.setenv(name, value)
    with httpx.Client() as client:
        for here in ("http://127.0.0.1:4200", "http://localhost:4200", "http://[::1]:4200"):
            assert client._transport_for_url(httpx.URL(here)) is client._transport
    assert settle_proxies(settled) == []
