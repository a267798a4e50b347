"""The Prefect server, worker and deployments of this machine, under KOSPILOT_HOME/prefect.

`kospilot run` uses the server that `kospilot serve` recorded there if it answers, else a private
one while it runs. Importing this module does not import Prefect: the environment has to be set
before that happens.
"""

import contextlib
import json
import os
import socket
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx

import flows
from tasks.core.errors import RequestError
from tasks.core.files.json_files import write_json
from tasks.core.processes.child import run_child, start_child, stop_child
from tasks.core.processes.server import free_port, start_server
from tasks.core.settings.profiles import Resolved

CODE = Path(flows.__file__).resolve().parent.parent
POOL = "kospilot"
_START_PATIENCE_S = 120  # the first start migrates the database: 14 s on two idle cores


def environment(home: Path, url: str | None = None) -> dict[str, str]:
    """Prefect's environment: all state under our home, nothing sent out, slots that survive a
    restart of the server.
    """
    settings = {
        "PREFECT_HOME": str(home / "prefect"),
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "DO_NOT_TRACK": "1",
        "PREFECT_SERVER_CONCURRENCY_LEASE_STORAGE": "prefect.server.concurrency.lease_storage.filesystem",
        "PREFECT_FLOWS_HEARTBEAT_FREQUENCY": "30",
        "PREFECT_LOGGING_EXTRA_LOGGERS": "tasks",
        # the demo's last question belongs to no run
        "PREFECT_LOGGING_TO_API_WHEN_MISSING_FLOW": "ignore",
        "KOSPILOT_HOME": str(home),
        # where a worker's runs look for a relative path: where the person stands
        "KOSPILOT_FOLDER": os.getcwd(),
    }
    return {**settings, "PREFECT_API_URL": url} if url else settings


def deliver_logs() -> None:
    """Sends Prefect's queued logs and events while its server still listens; later they would be
    lost, with noise.
    """
    from prefect.events.worker import EventsWorker  # noqa: PLC0415 - Prefect must not be imported with this module
    from prefect.logging.handlers import APILogWorker  # noqa: PLC0415

    APILogWorker.drain_all(timeout=20)
    EventsWorker.drain_all(timeout=20)


def recorded_server(home: Path) -> str | None:
    """The API address of the server that `kospilot serve` started, if it answers."""
    try:
        url = json.loads((home / "prefect" / "server.json").read_text(encoding="utf-8"))["url"]
    except (OSError, ValueError, KeyError):
        return None
    return url if _healthy(url) else None


@contextlib.contextmanager
def server(home: Path) -> Iterator[str]:
    """The address of a server: the recorded one, else a private one that ends with this block."""
    if url := recorded_server(home):
        yield url
        return
    with _started(home, free_port()) as url:
        yield url


@contextlib.contextmanager
def serving(home: Path, port: int, refreshed: Resolved) -> Iterator[str]:
    """Server, worker and deployments; all of them end with this block. The scheduled refresh is of
    this profile.

    Raises RequestError where the port is taken: whoever answers there would be taken for ours.
    """
    _refuse_taken(port)
    with _started(home, port) as url:
        record = home / "prefect" / "server.json"
        env = environment(home, url)
        prefect = [sys.executable, "-m", "prefect"]
        run_child(
            [*prefect, "work-pool", "create", POOL, "--type", "process", "--overwrite"], env=env
        )
        run_child([*prefect, "--no-prompt", "deploy", "--all"], env=env, cwd=CODE)
        of_refresh = [refreshed.profile, *refreshed.overrides]
        run_child([sys.executable, "-m", "deployments.automations", *of_refresh], env=env)
        command = [*prefect, "worker", "start", "--pool", POOL, "--type", "process", "--limit", "1"]
        with (home / "logs" / "prefect-worker.log").open("a", encoding="utf-8") as log:
            worker = start_child(command, env, stdout=log)
        write_json(
            record, {"url": url, "pid": os.getpid()}
        )  # last: who finds it finds everything ready
        try:
            yield url
        finally:
            stop_child(worker)
            _end_runs(url)
            record.unlink(missing_ok=True)


def _refuse_taken(port: int) -> None:
    with socket.socket() as probe:
        probe.setsockopt(
            socket.SOL_SOCKET, socket.SO_REUSEADDR, 1
        )  # a server that just ended does not hold it
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            raise RequestError(
                f"Port {port} is taken ({error.strerror}). Give another: kospilot serve --port {port + 1}."
            ) from error


def _end_runs(url: str) -> None:
    """A stopped worker leaves its run `Running` for ever: says what happened to it while the server
    still listens.

    Only the worker's: a `kospilot run` in another terminal reports to this server too and is not
    ours to end.
    """
    of_worker = {"work_pools": {"name": {"any_": [POOL]}}}
    running = {"flow_runs": {"state": {"type": {"any_": ["RUNNING", "PENDING"]}}}}
    crashed = {
        "state": {"type": "CRASHED", "message": "kospilot serve was stopped. Retry resumes it."},
        "force": True,
    }
    with contextlib.suppress(httpx.HTTPError):
        for run in httpx.post(
            f"{url}/flow_runs/filter", json={**running, **of_worker}, timeout=10
        ).json():
            httpx.post(f"{url}/flow_runs/{run['id']}/set_state", json=crashed, timeout=10)


@contextlib.contextmanager
def _started(home: Path, port: int) -> Iterator[str]:
    url, log_file = f"http://127.0.0.1:{port}/api", home / "logs" / "prefect-server.log"
    command = [
        sys.executable,
        "-m",
        "prefect",
        "server",
        "start",
        "--host",
        "127.0.0.1",
        "--port",
        str(port),
    ]
    # the UI in the browser asks this address, whatever the port
    env = {**environment(home), "PREFECT_SERVER_UI_API_URL": url}
    process = start_server(command, env, log_file, lambda: _healthy(url), _START_PATIENCE_S)
    try:
        yield url
    finally:
        stop_child(process)


def _healthy(url: str) -> bool:
    try:
        return httpx.get(f"{url}/health", timeout=2).status_code == 200
    except httpx.HTTPError:
        return False
