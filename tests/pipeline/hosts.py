"""A team's machines, each in namespaces of its own: network, host name, processes.

    python -m tests.pipeline.hosts PLACE [REDIS]

Needs root, `ip`, `unshare` and a network bridge. PLACE is a new folder. A server, a worker of the
pool cpu and two of the pool gpu, which has none here, share one KOSPILOT_HOME in it. `full` is
started by a call, as the UI does. The first machine of the pool gpu is switched off (SIGKILL to
every process) in Stage 2, after its first checkpoint. The run must end Completed, each step on a
machine of its pool, and Stage 2 with the digest that it has without all this. REDIS: a folder with
the package prefect-redis; the server then works with PostgreSQL and Redis, which are started in
PLACE. Prints a line for each thing seen; the exit code is 1 if one was not as it should be.
"""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx

from flows.server import work as run_worker
from flows.server_settings import authorization, forget_foreign_settings, server_to_use
from tasks.core.chain.store import Store
from tasks.core.settings.home import kospilot_home
from tasks.core.steps import CHAIN
from tests.pipeline.conftest import SMALL
from tests.pipeline.kills import make_first

BRIDGE = "kospilot-hosts"
PASSWORD = "team:a-password-for-this-program-alone"
_ADDRESS = "10.213.77.1"
_PORT = 4271
_URL = f"http://{_ADDRESS}:{_PORT}/api"
_PATIENCE_S = 900


@dataclass(frozen=True)
class Machine:
    """One machine: a host name, and a network namespace of the same name."""

    name: str
    process: subprocess.Popen[str]

    def switch_off(self) -> None:
        """Kills its first process, with which the kernel kills all others there."""
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        for child in children.read_text().split():
            os.kill(int(child), signal.SIGKILL)
        self.process.wait()


@contextlib.contextmanager
def network(names: list[str]) -> Iterator[None]:
    """A bridge, and a network namespace for each name that is plugged into it."""
    _ip("link", "add", BRIDGE, "type", "bridge")
    try:
        _ip("addr", "add", f"{_ADDRESS}/24", "dev", BRIDGE)
        _ip("link", "set", BRIDGE, "up")
        for number, name in enumerate(names, 2):
            _ip("netns", "add", name)
            inner = ("netns", "exec", name, "ip")
            _ip("link", "add", f"kp{number}", "type", "veth", "peer", "name", "e0", "netns", name)
            _ip("link", "set", f"kp{number}", "master", BRIDGE, "up")
            _ip(*inner, "addr", "add", f"10.213.77.{number}/24", "dev", "e0")
            _ip(*inner, "link", "set", "e0", "up")
            _ip(*inner, "link", "set", "lo", "up")
        yield
    finally:
        for name in names:
            subprocess.run(["ip", "netns", "del", name], check=False)
        _ip("link", "del", BRIDGE)


def _ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True)


@contextlib.contextmanager
def program(command: list[str], log: Path, **options) -> Iterator[subprocess.Popen[str]]:
    """A program that writes into a log and ends with this block."""
    with log.open("w", encoding="utf-8") as out:
        process = subprocess.Popen(command, stdout=out, stderr=out, text=True, **options)
    try:
        yield process
    finally:
        process.send_signal(signal.SIGINT)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(20)
        process.kill()
        process.wait()


@contextlib.contextmanager
def machine(name: str, place: Path, pool: str) -> Iterator[Machine]:
    """A machine with a worker of a pool. Its process numbers are those of the others too."""
    work = f"from tests.pipeline.hosts import work; work({pool!r})"
    begin = f'hostname {name}; exec "$@"'
    apart = ["unshare", "--uts", "--pid", "--fork", "--mount-proc", "--kill-child", "sh", "-c"]
    command = ["ip", "netns", "exec", name, *apart, begin, "sh", sys.executable, "-c", work]
    env = {**os.environ, **client_env(place), "PYTHONPATH": os.getcwd()}
    with program(command, place / f"{name}.log", env=env) as process:
        yield Machine(name, process)


def work(pool: str) -> None:
    """A worker as `kospilot worker` starts it, with a GPU or not."""
    settings = server_to_use(kospilot_home(), "the worker takes its runs from")
    forget_foreign_settings()
    run_worker(kospilot_home(), settings, f"kospilot-{pool}")


def client_env(place: Path) -> dict[str, str]:
    """What the command needs on a machine of the team."""
    return {
        "KOSPILOT_HOME": str(place / "home"),
        "PREFECT_API_URL": _URL,
        "PREFECT_API_AUTH_STRING": PASSWORD,
        "NO_PROXY": "*",
    }


@contextlib.contextmanager
def server(place: Path, redis: Path | None) -> Iterator[httpx.Client]:
    """A server that the machines reach, with a home of its own, and a client of it."""
    env = {
        **os.environ,
        "KOSPILOT_HOME": str(place / "server"),
        "PREFECT_SERVER_API_AUTH_STRING": PASSWORD,
    }
    with contextlib.ExitStack() as stack:
        if redis:
            env |= stack.enter_context(databases(place, redis))
        command = [sys.executable, "-m", "flows", "server", "--host", _ADDRESS]
        command += ["--port", str(_PORT)]
        stack.enter_context(program(command, place / "server.log", env=env))
        headers = authorization({"PREFECT_API_AUTH_STRING": PASSWORD})
        client = stack.enter_context(
            httpx.Client(base_url=_URL, timeout=60, headers=headers, trust_env=False)
        )
        await_true(lambda: _answers(client), "the server does not start")
        token = client.get("/csrf-token?client=test").json()["token"]
        client.headers.update({"Prefect-Csrf-Client": "test", "Prefect-Csrf-Token": token})
        yield client


def _answers(client: httpx.Client) -> bool:
    with contextlib.suppress(httpx.HTTPError):
        return client.get("/health").text == "true"
    return False


@contextlib.contextmanager
def databases(place: Path, redis: Path) -> Iterator[dict[str, str]]:
    """PostgreSQL and Redis on free ports of this machine; what tells a server of them."""
    data, bin_folder = place / "postgres", _newest_postgres()
    data.mkdir()
    shutil.chown(data, "postgres")
    place.chmod(0o755)
    as_postgres = ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"]
    subprocess.run(
        [*as_postgres, f"{bin_folder}/initdb", "-D", data, "-U", "prefect", "-A", "trust"],
        check=True,
        stdout=subprocess.DEVNULL,
    )
    postgres = [*as_postgres, f"{bin_folder}/postgres", "-D", str(data), "-p", "5471", "-k", ""]
    redis_server = ["redis-server", "--port", "6471", "--save", "", "--dir", str(place)]
    with (
        program(postgres, place / "postgres.log", cwd=data),
        program(redis_server, place / "redis.log"),
    ):
        ready = [f"{bin_folder}/pg_isready", "-h", "127.0.0.1", "-p", "5471", "-q"]
        await_true(lambda: not subprocess.run(ready, check=False).returncode, "no PostgreSQL")
        yield {
            "PYTHONPATH": f"{redis}:{os.getcwd()}",
            "PREFECT_SERVER_DATABASE_CONNECTION_URL": (
                "postgresql+asyncpg://prefect@127.0.0.1:5471/postgres"
            ),
            "PREFECT_SERVER_DOCKET_URL": "redis://127.0.0.1:6471/1",
            "PREFECT_SERVER_EVENTS_CAUSAL_ORDERING": "prefect_redis.ordering",
            "PREFECT_SERVER_CONCURRENCY_LEASE_STORAGE": "prefect_redis.lease_storage",
            "PREFECT_MESSAGING_BROKER": "prefect_redis.messaging",
            "PREFECT_MESSAGING_CACHE": "prefect_redis.messaging",
            "PREFECT_REDIS_MESSAGING_HOST": "127.0.0.1",
            "PREFECT_REDIS_MESSAGING_PORT": "6471",
            "PREFECT_REDIS_MESSAGING_DB": "0",
        }


def _newest_postgres() -> Path:
    return max(Path("/usr/lib/postgresql").glob("*/bin"))


def await_true(is_true, what: str, patience_s: float = _PATIENCE_S) -> None:
    """Waits until something is true; fails with `what` if it does not become so."""
    deadline = time.monotonic() + patience_s
    while not is_true():
        assert time.monotonic() < deadline, what
        time.sleep(0.3)


def say(started: float, text: str) -> None:
    print(f"{time.monotonic() - started:6.1f} s | {text}", flush=True)


def kospilot(place: Path, *arguments: str) -> str:
    """What the command says on this machine, which is none of the team's workers."""
    env = {**os.environ, **client_env(place)}
    command = [sys.executable, "-m", "flows", *arguments]
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return " ".join(f"{done.stdout} {done.stderr}".split())


def state_of(client: httpx.Client, run: str) -> dict:
    return client.get(f"/flow_runs/{run}").raise_for_status().json()["state"]


def main(place: Path, redis: Path | None = None) -> int:
    place.mkdir()
    shutil.copytree(make_first(place, "embedded"), place / "home", symlinks=True)
    started = time.monotonic()
    undisturbed = place / "undisturbed"
    shutil.copytree(place / "home", undisturbed, symlinks=True)
    small = [*SMALL, f"model.base={place / 'tiny' / 'base'}"]
    env = {**os.environ, "KOSPILOT_HOME": str(undisturbed)}
    command = [sys.executable, "-m", "flows", "run", "demo", *small, "--until", "stage2"]
    subprocess.run(command, env=env, check=True, capture_output=True)
    wanted = Store(undisturbed / "artifacts").manifests("stage2")[-1]
    say(started, f"undisturbed: stage2 {wanted.key} has digest {wanted.digest[:12]}")
    names = ["kp-cpu", "kp-gpu-a", "kp-gpu-b"]
    with contextlib.ExitStack() as stack:
        stack.enter_context(network(names))
        client = stack.enter_context(server(place, redis))
        say(started, f"server: {'PostgreSQL and Redis' if redis else 'SQLite'}")
        say(started, kospilot(place, "deploy", "demo", *small))
        stack.enter_context(machine("kp-cpu", place, "cpu"))
        first = stack.enter_context(machine("kp-gpu-a", place, "gpu"))
        is_well = follow(place, client, stack, first, started)
    made = Store(place / "home" / "artifacts").manifests("stage2")[-1]
    same = (made.key, made.digest) == (wanted.key, wanted.digest)
    say(started, f"stage2 {made.key} has digest {made.digest[:12]}: {'same' if same else 'WRONG'}")
    return 0 if is_well and same else 1


def follow(place, client, stack, first: Machine, started: float) -> bool:
    """Starts `full`, switches a machine off in Stage 2, and looks where everything was made."""
    deployment = client.get("/deployments/name/full/full").raise_for_status().json()["id"]
    made = client.post(f"/deployments/{deployment}/create_flow_run", json={})
    run = made.raise_for_status().json()["id"]
    staging = place / "home" / "artifacts" / ".staging"
    await_true(
        lambda: any(staging.glob("stage2-*/**/checkpoint-*")) or is_over(client, run), "no stage2"
    )
    say(started, f"status: {kospilot(place, 'status')}")
    first.switch_off()
    say(started, "kp-gpu-a is switched off in Stage 2, after a checkpoint")
    say(started, f"status: {kospilot(place, 'status')}")
    stack.enter_context(machine("kp-gpu-b", place, "gpu"))
    await_true(lambda: is_over(client, run), "full does not end")
    state = state_of(client, run)
    say(started, f"full ended {state['name']}: {state['message']}")
    say(started, f"status: {kospilot(place, 'status')}")
    is_well = state["type"] == "COMPLETED"
    pools = {step.name: step.pool for step in CHAIN}
    for manifest in Store(place / "home" / "artifacts").manifests():
        step, host = manifest.recipe.step, manifest.made.get("host", "?")
        is_there = host.startswith(f"kp-{pools[step]}")
        say(started, f"{step:10} on {host:9} {'ok' if is_there else 'WRONG'}")
        is_well &= is_there
    runs = client.post("/flow_runs/filter", json={"sort": "EXPECTED_START_TIME_ASC"}).json()
    for known in runs:
        say(started, f"{known['work_pool_name']} | {known['name']} | {known['state']['name']}")
    return is_well


def is_over(client: httpx.Client, run: str) -> bool:
    return state_of(client, run)["type"] in ("COMPLETED", "FAILED", "CRASHED", "CANCELLED")


if __name__ == "__main__":
    redis_folder = Path(sys.argv[2]).resolve() if len(sys.argv) > 2 else None
    sys.exit(main(Path(sys.argv[1]).resolve(), redis_folder))
