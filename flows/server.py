"""The Prefect server, worker and deployments of this machine, under KOSPILOT_HOME/prefect.

`kospilot run` uses the server that `kospilot serve` recorded there if it answers, else a private
one while it runs. Importing this module does not import Prefect: the environment has to be set
before that happens.
"""

import contextlib
import os
import socket
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx

import flows
from tasks.core.errors import RequestError
from tasks.core.files.json_files import read_json, write_json
from tasks.core.processes.child import run_child, start_child, stop_child
from tasks.core.processes.http import http_client, responds
from tasks.core.processes.server import free_port, start_server
from tasks.core.settings.profiles import Resolved

CODE = Path(flows.__file__).resolve().parent.parent
POOL = "kospilot"
_START_PATIENCE_S = 120  # the first start migrates the database: 14 s on two idle cores


def environment(home: Path, url: str | None = None) -> dict[str, str]:
    """Prefect's environment: all state under our home, nothing sent out.

    Concurrency slots are kept on disk and survive a restart of the server. url: the API of the
    server to use; None for what starts one.
    """
    leases = "prefect.server.concurrency.lease_storage.filesystem"
    settings = {
        "PREFECT_HOME": str(home / "prefect"),
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "DO_NOT_TRACK": "1",
        "PREFECT_SERVER_CONCURRENCY_LEASE_STORAGE": leases,
        "PREFECT_FLOWS_HEARTBEAT_FREQUENCY": "30",
        "PREFECT_LOGGING_EXTRA_LOGGERS": "tasks",
        # The demo's last question belongs to no run.
        "PREFECT_LOGGING_TO_API_WHEN_MISSING_FLOW": "ignore",
        "KOSPILOT_HOME": str(home),
        # A worker's runs look for a relative path where the person stands.
        "KOSPILOT_FOLDER": os.getcwd(),
    }
    if url:
        settings["PREFECT_API_URL"] = url
    return settings


def deliver_logs() -> None:
    """Sends Prefect's queued logs and events while its server still listens.

    Later they would be lost, with noise.
    """
    from prefect.events.worker import EventsWorker  # noqa: PLC0415 - see the module's docstring
    from prefect.logging.handlers import APILogWorker  # noqa: PLC0415

    APILogWorker.drain_all(timeout=20)
    EventsWorker.drain_all(timeout=20)


def recorded_server(home: Path) -> str | None:
    """The API address of the server that `kospilot serve` started, if it answers."""
    try:
        url: str = read_json(_record(home))["url"]
    except (OSError, ValueError, KeyError):
        return None
    return url if responds(f"{url}/health") else None


def _record(home: Path) -> Path:
    return home / "prefect" / "server.json"


@contextlib.contextmanager
def server(home: Path) -> Iterator[str]:
    """The address of a server: the recorded one, else a private one that ends with this block."""
    url = recorded_server(home)
    if url:
        yield url
        return
    with _started(home, free_port()) as url:
        yield url


@contextlib.contextmanager
def serving(home: Path, port: int, refreshed: Resolved) -> Iterator[str]:
    """Starts server, worker and deployments, which all end with this block.

    refreshed: the profile and settings of the scheduled refresh. Raises RequestError if the port is
    taken: whoever answers there would be taken for ours.
    """
    _refuse_taken(port)
    with _started(home, port) as url:
        env = environment(home, url)
        _deploy(env, refreshed)
        worker_command = [
            *(sys.executable, "-m", "prefect", "worker", "start"),
            *("--pool", POOL, "--type", "process", "--limit", "1"),
        ]
        with (home / "logs" / "prefect-worker.log").open("a", encoding="utf-8") as log:
            worker = start_child(worker_command, env, stdout=log)
        # Last: who finds the record finds everything ready.
        write_json(_record(home), {"url": url, "pid": os.getpid()})
        try:
            yield url
        finally:
            stop_child(worker)
            _end_runs(url)
            _record(home).unlink(missing_ok=True)


def _deploy(env: dict[str, str], refreshed: Resolved) -> None:
    """Creates the work pool, the deployments of prefect.yaml and the automations."""
    prefect = [sys.executable, "-m", "prefect"]
    run_child([*prefect, "work-pool", "create", POOL, "--type", "process", "--overwrite"], env=env)
    run_child([*prefect, "--no-prompt", "deploy", "--all"], env=env, cwd=CODE)
    arguments = [refreshed.profile, *refreshed.overrides]
    run_child([sys.executable, "-m", "deployments.automations", *arguments], env=env)


def _refuse_taken(port: int) -> None:
    with socket.socket() as probe:
        # A server that has just ended does not hold its port.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            raise RequestError(
                f"Port {port} is taken ({error.strerror}). Give another:"
                f" kospilot serve --port {port + 1}."
            ) from error


def _end_runs(url: str) -> None:
    """Ends the runs of the stopped worker, which would stay `Running` for ever, and says why.

    Only the worker's: a `kospilot run` in another terminal reports to this server too and is not
    ours to end.
    """
    wanted = {
        "work_pools": {"name": {"any_": [POOL]}},
        "flow_runs": {"state": {"type": {"any_": ["RUNNING", "PENDING"]}}},
    }
    message = "kospilot serve was stopped. Retry resumes it."
    crashed = {"state": {"type": "CRASHED", "message": message}, "force": True}
    with contextlib.suppress(httpx.HTTPError), http_client(url, httpx.Timeout(10)) as client:
        for run in client.post("/flow_runs/filter", json=wanted).json():
            client.post(f"/flow_runs/{run['id']}/set_state", json=crashed)


@contextlib.contextmanager
def _started(home: Path, port: int) -> Iterator[str]:
    url = f"http://127.0.0.1:{port}/api"
    log_file = home / "logs" / "prefect-server.log"
    command = [
        *(sys.executable, "-m", "prefect", "server", "start"),
        *("--host", "127.0.0.1", "--port", str(port)),
    ]
    # The UI in the browser asks this address, whatever the port.
    env = {**environment(home), "PREFECT_SERVER_UI_API_URL": url}
    health = f"{url}/health"
    process = start_server(command, env, log_file, lambda: responds(health), _START_PATIENCE_S)
    try:
        yield url
    finally:
        stop_child(process)
