"""What serve, worker and status ask of a Prefect server over HTTP, as the UI does.

Importing this module does not import Prefect.
"""

import contextlib
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import httpx
import psutil

from flows.console import say
from flows.server_files import secret
from flows.server_settings import authorization, recorded_server
from tasks.core.processes.host import host_name
from tasks.core.processes.http import http_client, one_line
from tasks.core.processes.living import process_name

POOL = "kospilot"
ERRORS = (httpx.HTTPError, ValueError, LookupError)
"""What a call raises if the server refuses, is busy or is gone."""

Json = dict[str, Any]

HOST_LABEL = "kospilot.host"
"""The label of a run that names the machine on which it works."""

_TRIES = 5  # with SQLite, one POST in a dozen is refused beside the end of a run
_PAUSE_S = 0.5
_PATIENCE_S = 15.0  # for a run that ends by itself: it has processes and files of its own
_PROCESS = process_name()  # a CSRF token is a client's, and the next one of its name replaces it
_RUN_ID = "PREFECT__FLOW_RUN_ID"  # in the environment of a run's process


@contextlib.contextmanager
def api(home: Path, url: str) -> Iterator[httpx.Client]:
    """A client of this home's server that may change things."""
    own = {"PREFECT_API_URL": url, "PREFECT_API_AUTH_STRING": secret(home)}
    with client_of(own) as client:
        yield client


@contextlib.contextmanager
def client_of(server: Mapping[str, str]) -> Iterator[httpx.Client]:
    """A client of the server that these settings name: it has the password and a CSRF token."""
    with http_client(server["PREFECT_API_URL"], httpx.Timeout(10)) as client:
        client.headers.update(authorization(server))
        name = f"kospilot-{_PROCESS}"
        answer = client.get("/csrf-token", params={"client": name})
        if answer.status_code != httpx.codes.UNPROCESSABLE_ENTITY:  # a server that wants none
            token = answer.raise_for_status().json()["token"]
            client.headers.update({"Prefect-Csrf-Client": name, "Prefect-Csrf-Token": token})
        yield client


def post(client: httpx.Client, path: str, body: Json) -> Any:
    """What the server answers to a POST; None if it answers nothing.

    A server whose database is locked for a moment is asked again.
    """
    answer = client.post(path, json=body)
    for _ in range(_TRIES - 1):
        if answer.status_code != httpx.codes.SERVICE_UNAVAILABLE:
            break
        time.sleep(_PAUSE_S)
        answer = client.post(path, json=body)
    answer.raise_for_status()
    return answer.json() if answer.content else None


def runs_in_pool(client: httpx.Client, *types: str, pool: str = POOL) -> list[Json]:
    """A pool's runs whose state is of these types, e.g. RUNNING, in the order of their start."""
    wanted = {
        "work_pools": {"name": {"any_": [pool]}},
        "flow_runs": {"state": {"type": {"any_": types}}},
        "sort": "EXPECTED_START_TIME_ASC",
    }
    found: list[Json] = post(client, "/flow_runs/filter", wanted)
    return found


def end_runs(home: Path, url: str, message: str, stop: bool = False) -> None:
    """Ends the runs of a worker that is gone, which would stay `Running` for ever, and says why.

    Only those: a `kospilot run` in another terminal reports to this server too, and a run on
    another machine has a worker of its own. One whose process outlived its worker goes on, or is
    ended too with `stop`. A server that refuses or is gone keeps them all, which is said.
    """
    crashed = {"state": {"type": "CRASHED", "message": message}, "force": True}
    try:
        with api(home, url) as client:
            for run in runs_in_pool(client, "RUNNING", "PENDING", "CANCELLING"):
                process = _process_of(run)
                if _is_elsewhere(run) or (process and not stop):
                    continue
                if process:
                    _end(process)
                post(client, f"/flow_runs/{run['id']}/set_state", crashed)
    except ERRORS as error:
        reason = one_line(str(error)) or type(error).__name__
        say(f"! The UI may show runs of the stopped worker as Running for ever ({reason}).")


def _end(process: psutil.Process) -> None:
    """SIGTERM, and SIGKILL after a while. What the run was making ends with its process."""
    with contextlib.suppress(psutil.Error):
        process.terminate()
        psutil.wait_procs([process], timeout=_PATIENCE_S)
        process.kill()


def starting_run(home: Path) -> str | None:
    """The name of a run that a worker has taken and that has told nothing yet; None without one.

    Asks the server that `kospilot serve` recorded, if there is one.
    """
    url = recorded_server(home)
    if url is None:
        return None
    try:
        with api(home, url) as client:
            runs = runs_in_pool(client, "PENDING", "RUNNING")
    except ERRORS:
        return None
    return str(runs[0]["name"]) if runs else None


def _is_elsewhere(run: Json) -> bool:
    """Whether a run works on another machine, where we cannot see its process."""
    host = (run.get("labels") or {}).get(HOST_LABEL)
    return bool(host) and host != host_name()


def _process_of(run: Json) -> psutil.Process | None:
    """The process of a run on this machine; None if it is gone."""
    pid = run.get("infrastructure_pid") or ""
    if not pid.isdigit():
        return None
    try:
        process = psutil.Process(int(pid))
        return process if process.environ().get(_RUN_ID) == run["id"] else None
    except (psutil.Error, OSError):
        return None
