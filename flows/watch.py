"""What `kospilot serve` and `kospilot worker` look after: the market folder, and runs that wait.

A change of the folder that no refresh has seen starts one once the folder is quiet, whoever made
the change. A run that waits for the pool's place says for whose.
"""

import contextlib
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from subprocess import Popen

import httpx

from flows import crew
from flows.console import say
from flows.server_api import ERRORS, POOL, Json, client_of, post, runs_in_pool
from tasks.core.errors import RequestError
from tasks.core.market.news import (
    NO_MARKET,
    Stillness,
    followed_folder,
    follower_of,
    looked_at,
    market_state,
    note_looked_at,
)
from tasks.core.settings.profiles import load

_EVERY_S = 5.0
AUTOMATION = "market-updated"
"""The automation by which news of the market starts a refresh (deployments/automations.py)."""

_WAITING = "AwaitingConcurrencySlot"  # Prefect's own name for it


@dataclass(frozen=True)
class Watched:
    """A pool of runs, the settings of its server, and the pool's worker if it is this process's."""

    server: Mapping[str, str]
    pool: str = POOL
    worker: Popen[str] | None = None


def watch(home: Path, watched: Watched) -> None:
    """Looks every few seconds, until the worker has ended or this process is interrupted.

    A server that is busy or away is asked again.
    """
    # A relative market folder begins here, for us as for the worker's runs.
    os.environ.setdefault("KOSPILOT_FOLDER", os.getcwd())
    market = MarketWatch(home, watched.pool)
    while watched.worker is None or watched.worker.poll() is None:
        # A folder that cannot be read is told by the next scheduled run.
        unread = contextlib.suppress(*ERRORS, OSError, RequestError)
        with unread, client_of(watched.server) as client:
            tell_waiting(client, watched.pool)
            market.look(client)
        with contextlib.suppress(OSError):
            if watched.worker:
                crew.beat(home, watched.pool)
        time.sleep(_EVERY_S)


def tell_waiting(client: httpx.Client, pool: str = POOL) -> None:
    """Lets every run that waits for a place in the pool say whose place it waits for."""
    limit = client.get(f"/work_pools/{pool}").raise_for_status().json()["concurrency_limit"]
    holders = runs_in_pool(client, "RUNNING", "PENDING", "CANCELLING", pool=pool)
    if limit is None or len(holders) < max(limit, 1):
        return
    names = ", ".join(run["name"] for run in holders)
    places = "the only place" if limit == 1 else f"all {limit} places"
    message = f"Waits for {names}, which has {places} in the pool {pool}."
    for run in _due(runs_in_pool(client, "SCHEDULED", pool=pool)):
        if run["state"]["message"] != message:
            _tell(client, run, message)


def _due(runs: list[Json]) -> list[Json]:
    now = datetime.now(UTC)
    due = []
    for run in runs:
        planned = run["next_scheduled_start_time"]
        if planned and datetime.fromisoformat(planned) <= now:
            due.append(run)
    return due


def _tell(client: httpx.Client, run: Json, message: str) -> None:
    """Gives a run that is waiting still the message; it keeps its place in the queue."""
    present = client.get(f"/flow_runs/{run['id']}").raise_for_status().json()
    if present["state"]["type"] != "SCHEDULED":
        return
    details = {"scheduled_time": present["next_scheduled_start_time"]}
    state = {"type": "SCHEDULED", "name": _WAITING, "message": message, "state_details": details}
    post(client, f"/flow_runs/{run['id']}/set_state", {"state": state})


@dataclass(frozen=True)
class _Followed:
    """The deployment that follows a market folder, and the folder."""

    deployment: str
    name: str  # of the follower
    folder: Path
    is_demo: bool  # whether kospilot makes the market itself


class MarketWatch:
    """Starts `refresh` when its market has changed since one looked, and has become quiet.

    Not if one is about to start or at work: it looks again when it ends. Whoever pauses the
    deployment or disables the automation wants none.
    """

    def __init__(self, home: Path, pool: str = POOL):
        self._home = home
        self._pool = pool
        self._followed: _Followed | None = None
        self._stillness: Stillness | None = None
        self._started_for = ""  # the state; a run that is cancelled or fails is not started again

    def look(self, client: httpx.Client) -> None:
        """Looks once, and may start a run."""
        followed = _find_followed(client, self._home, self._pool)
        if followed is None:
            return
        if followed != self._followed or self._stillness is None:
            self._followed, self._stillness = followed, Stillness(followed.folder)
        is_quiet = self._stillness.is_quiet()
        state = market_state(followed.folder)
        known = looked_at(self._home, followed.name)
        is_first = known is None or (followed.is_demo and known == NO_MARKET)
        if is_first:  # what is there at first is no news, nor is the demo market that a run makes
            note_looked_at(self._home, followed.name, state)
        elif state in (known, self._started_for) or not is_quiet:
            return
        elif not _is_refreshing(client, followed, self._pool):
            path = f"/deployments/{followed.deployment}/create_flow_run"
            post(client, path, {"tags": ["market"]})
            self._started_for = state
            say(f"{followed.folder} changed: `refresh` starts.")


def _find_followed(client: httpx.Client, home: Path, pool: str) -> _Followed | None:
    """None if the operator wants no such runs, or gave parameters that no run could have, or if
    they work in another pool, whose worker looks.
    """
    deployment = client.get("/deployments/name/refresh/refresh").raise_for_status().json()
    wanted = {"automations": {"name": {"any_": [AUTOMATION]}}}
    enabled = [known["enabled"] for known in post(client, "/automations/filter", wanted)]
    is_wanted = not deployment["paused"] and any(enabled)
    if not is_wanted or deployment["work_pool_name"] != pool:
        return None
    parameters = deployment["parameters"]
    try:
        resolved = load(str(parameters.get("profile") or "demo"), parameters.get("overrides") or [])
    except RequestError:
        return None
    folder = followed_folder(resolved, home)
    is_demo = resolved.settings.market.dir == "demo"
    return _Followed(deployment["id"], follower_of(resolved, folder), folder, is_demo)


def _is_refreshing(client: httpx.Client, followed: _Followed, pool: str) -> bool:
    runs = _due(runs_in_pool(client, "SCHEDULED", pool=pool))
    runs += runs_in_pool(client, "RUNNING", "PENDING", pool=pool)
    return any(run["deployment_id"] == followed.deployment for run in runs)
