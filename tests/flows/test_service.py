"""kospilot server and worker go on as programs of Prefect that know the right settings."""

import os
import socket
from types import SimpleNamespace

import pytest

import flows.server
from flows.commands import service
from flows.commands.service import Pool
from flows.server_files import secret
from tasks.core.errors import RequestError, WorkError
from tasks.core.settings.home import kospilot_home
from tasks.core.training.hardware import machine
from tests.flows.test_server_settings import PREFECT, answering


@pytest.fixture
def became(monkeypatch):
    """The program that a command goes on as: its arguments and its environment."""
    found = SimpleNamespace()

    def execve(program, arguments, env):
        found.arguments, found.env = arguments[2:], env

    def work(home, settings, pool):
        found.env, found.pool = settings, pool

    monkeypatch.setattr(service.os, "execve", execve)
    monkeypatch.setattr(flows.server, "work", work)
    monkeypatch.setattr(service.os, "chdir", lambda folder: None)
    for name in list(os.environ):
        if name.startswith("PREFECT"):
            monkeypatch.delenv(name)
    return found


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def test_a_server_obeys_what_is_set_for_a_server_and_nothing_else(became, monkeypatch):
    monkeypatch.setenv("PREFECT_SERVER_DATABASE_CONNECTION_URL", "postgresql+asyncpg://db/prefect")
    monkeypatch.setenv("PREFECT_SERVER_API_AUTH_STRING", "team:long")
    monkeypatch.setenv("PREFECT_MESSAGING_BROKER", "prefect_redis.messaging")
    monkeypatch.setenv("PREFECT_REDIS_MESSAGING_HOST", "redis")
    monkeypatch.setenv("PREFECT_PROFILES_PATH", "/another")
    port = free_port()
    service.server(host="0.0.0.0", port=port, services=False)
    assert became.arguments == ["flows.server_program", str(port), "0.0.0.0", "web"]
    env = became.env
    assert env["PREFECT_SERVER_DATABASE_CONNECTION_URL"] == "postgresql+asyncpg://db/prefect"
    assert env["PREFECT_SERVER_API_AUTH_STRING"] == "team:long"
    assert env["PREFECT_MESSAGING_BROKER"] == "prefect_redis.messaging"
    assert env["PREFECT_REDIS_MESSAGING_HOST"] == "redis"
    assert env["PREFECT_PROFILES_PATH"] == os.devnull
    assert env["PREFECT_SERVER_UI_API_URL"] == "/api"


def test_a_server_on_this_machine_has_the_homes_password(became, capsys):
    service.server(port=free_port())
    assert became.env["PREFECT_SERVER_API_AUTH_STRING"] == secret(kospilot_home())
    assert secret(kospilot_home()) not in capsys.readouterr().err


def test_no_second_server_works_with_the_database_of_serve(became, monkeypatch):
    running = "http://127.0.0.1:4200/api"
    monkeypatch.setattr(flows.server_settings, "recorded_server", lambda home: running)
    with pytest.raises(RequestError, match="already, http://127.0.0.1:4200: end it first"):
        service.server(port=free_port())
    assert not hasattr(became, "arguments")


def test_an_address_of_another_machine_is_refused(became):
    with pytest.raises(RequestError, match="cannot be listened to at 192.0.2.1"):
        service.server(host="192.0.2.1", port=free_port())


@pytest.fixture
def ipv6():
    """A port of IPv6's loopback that somebody listens on."""
    try:
        server = socket.create_server(("::1", 0), family=socket.AF_INET6)
    except OSError:
        pytest.skip("this machine has no IPv6")
    with server:
        yield server.getsockname()[1]


@pytest.mark.usefixtures("ipv6")
@pytest.mark.parametrize("host", ["::1", "[::1]"])
def test_a_server_listens_at_ipv6s_loopback(became, capsys, host):
    port = free_port()
    service.server(host=host, port=port)
    assert became.arguments == ["flows.server_program", str(port), "::1", "all"]
    assert f"Prefect's server and UI: http://[::1]:{port}." in capsys.readouterr().err
    assert became.env["PREFECT_UI_URL"] == f"http://[::1]:{port}"
    assert became.env["PREFECT_SERVER_UI_API_URL"] == "/api"


@pytest.mark.parametrize("host", ["::1", "::"])
def test_ipv6s_port_that_is_taken_is_refused_and_ipv4s_of_the_same_number_is_not(
    became, ipv6, host
):
    with pytest.raises(RequestError, match=f"Port {ipv6} is taken"):
        service.server(host=host, port=ipv6)
    service.server(port=ipv6)


def test_a_name_that_is_none_is_refused(became):
    with pytest.raises(RequestError, match="cannot be listened to at nowhere.invalid"):
        service.server(host="nowhere.invalid", port=free_port())


@pytest.mark.parametrize("name", ["PREFECT_API_AUTH_STRING", "PREFECT_SERVER_API_AUTH_STRING"])
def test_a_worker_takes_runs_of_its_pool_from_the_named_server(became, monkeypatch, name):
    with answering(PREFECT) as (url, asked):
        monkeypatch.setenv("PREFECT_API_URL", url)
        monkeypatch.setenv(name, "me:mine")
        service.worker(Pool.cpu)
    assert became.pool == "kospilot-cpu"
    assert became.env["PREFECT_API_URL"] == url
    assert became.env["PREFECT_API_AUTH_STRING"] == "me:mine"
    assert {sent for _, sent in asked} == {"Basic bWU6bWluZQ=="}


@pytest.mark.parametrize(
    ("url", "told"),
    [
        (None, "Start one with `kospilot server`"),
        ("http://127.0.0.1:9/api", "cannot be used: no server answers there .*`kospilot server`"),
    ],
)
def test_a_worker_without_a_server_says_how_to_get_one(became, monkeypatch, url, told):
    if url:
        monkeypatch.setenv("PREFECT_API_URL", url)
    with pytest.raises(WorkError, match=told):
        service.worker(Pool.cpu)


def test_a_machine_without_a_gpu_takes_no_runs_that_want_one(became, monkeypatch):
    monkeypatch.setattr(machine.torch.cuda, "is_available", lambda: False)
    with answering(PREFECT) as (url, _):
        monkeypatch.setenv("PREFECT_API_URL", url)
        with pytest.raises(WorkError, match="`kospilot worker --pool cpu`"):
            service.worker(Pool.gpu)
    assert not hasattr(became, "pool")


def test_a_worker_that_ends_ends_its_command(monkeypatch, tmp_path):
    """Its server is gone from the first: the look after it is passed over."""
    monkeypatch.setattr(flows.watch, "_EVERY_S", 0.1)
    server = {"PREFECT_API_URL": f"http://127.0.0.1:{free_port()}/api"}
    with pytest.raises(WorkError, match="The worker ended by itself, with exit code 1"):
        monkeypatch.setattr(flows.server.sys, "executable", "false")
        flows.server.work(tmp_path, server, "kospilot-cpu")


def test_who_deploys_is_told_the_workers_of_both_pools(became, monkeypatch, capsys):
    monkeypatch.setattr(flows.server, "put_deployments", lambda *given: None)
    with answering(PREFECT) as (url, _):
        monkeypatch.setenv("PREFECT_API_URL", url)
        service.deploy()
    said = " ".join(capsys.readouterr().err.split())
    assert "kospilot worker --pool gpu" in said and "kospilot worker --pool cpu" in said
