"""The Prefect server, worker and deployments of this machine, under KOSPILOT_HOME/prefect.

`kospilot run` uses the server that the user names, or the one that `kospilot serve` recorded there
if it answers, else a private one while it runs. Importing this module does not import Prefect.
"""

import contextlib
import errno
import os
import shutil
import signal
import socket
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from subprocess import Popen

from filelock import FileLock, Timeout

import flows
from flows import crew
from flows.console import say
from flows.server_api import POOL, end_runs
from flows.server_files import (
    SERVER_LOG,
    WORKER_LOG,
    Record,
    damage_of,
    drop_record,
    is_in_use,
    prefect_folder,
    set_aside,
    write_record,
)
from flows.server_settings import (
    base_settings,
    client_settings,
    forget_foreign_settings,
    import_prefect,
    known_server,
    named_server,
    recorded_server,
    server_settings,
)
from flows.watch import Watched, watch
from tasks.core.errors import RequestError, WorkError
from tasks.core.processes.child import run_child, start_child, stop_child
from tasks.core.processes.host import host_name
from tasks.core.processes.http import responds
from tasks.core.processes.living import end_life, living_hosts, show_life
from tasks.core.processes.log_files import open_end, read_since
from tasks.core.processes.server import Program, free_port, start_server
from tasks.core.settings.notify import ADDRESS_VARIABLE
from tasks.core.settings.profiles import Resolved

CODE = Path(flows.__file__).resolve().parent.parent
_START_PATIENCE_S = 120  # the first start migrates the database: 14 s on two idle cores
_LEAST_FREE = 64 << 20  # bytes: a new database has 2 MB, its journal and the UI's pages 40


@contextlib.contextmanager
def server(home: Path) -> Iterator[str]:
    """The address of a server: the one that the user names, the recorded one, or a private one that
    ends with this block. This process's Prefect knows it, and no settings but ours.
    """
    recorded = recorded_server(home)
    named = None if recorded and recorded == os.environ.get("PREFECT_API_URL") else named_server()
    if named:
        import_prefect({**base_settings(home), **named})
        yield named["PREFECT_API_URL"]
        return
    with contextlib.ExitStack() as stack:
        url = recorded or stack.enter_context(private_server(home)).url
        import_prefect(client_settings(home, url))
        yield url


def use_known_server(home: Path) -> bool:
    """Lets this process's Prefect talk to the server that the user names, or else to `kospilot
    serve`'s; False if there is none.
    """
    settings = known_server(home, "the news goes to")
    if settings:
        import_prefect(settings)
    return settings is not None


@contextlib.contextmanager
def private_server(home: Path) -> Iterator[Record]:
    """Starts a server without pages on a free port; it ends with this block."""
    _check_loopback()
    with _started(home, free_port(), with_ui=False) as record:
        yield record


def deliver_logs() -> None:
    """Sends Prefect's queued logs and events while its server still listens.

    Later they would be lost, with noise.
    """
    from prefect.events.worker import EventsWorker  # noqa: PLC0415 - see the module's docstring
    from prefect.logging.handlers import APILogWorker  # noqa: PLC0415

    APILogWorker.drain_all(timeout=20)
    EventsWorker.drain_all(timeout=20)


@contextlib.contextmanager
def serving(home: Path, port: int, deployed: Resolved, reset: bool) -> Iterator[str]:
    """Starts server, worker and deployments, which all end with this block.

    deployed: the profile and settings that runs have if nobody gives others. reset: what an
    operator changed of the deployments is forgotten. Raises RequestError if the port is taken:
    whoever answers there would be taken for ours.
    """
    _check_loopback()
    refuse_taken(port, f"kospilot serve --port {port + 1}")
    with _started(home, port, with_ui=True) as record:
        env = client_settings(home, record.url)
        put_deployments(home, env, deployed, ["--reset"] if reset else [])
        end_runs(
            home, record.url, "Its worker is gone: kospilot serve was ended. Retry resumes it."
        )
        worker_command = [sys.executable, "-m", "flows.worker_program", POOL]
        with (home / "logs" / WORKER_LOG).open("a", encoding="utf-8") as log:
            # A worker whose server has died with us does not end by SIGTERM; its run goes on.
            kill = signal.SIGKILL
            worker = start_child(worker_command, env, prefect_folder(home), log, kill)
        try:
            # Last: who finds the record finds everything ready.
            write_record(home, record)
            yield record.url
        finally:
            # At once: it would wait for its run, and perhaps start the next.
            stop_child(worker, patience_s=0.5)
            stopped = "kospilot serve was stopped. Retry resumes it."
            end_runs(home, record.url, stopped, stop=True)
            drop_record(home)


def work(home: Path, server: dict[str, str], pool: str) -> None:
    """Runs a worker of a pool, which writes to our own output, until this process is interrupted.

    server: the settings of the server whose runs it takes. Raises WorkError if the worker ends.
    """
    for sentence in crew.join(home, pool):
        say(f"! {sentence}")
    folder = prefect_folder(home)
    folder.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "flows.worker_program", pool]
    worker = start_child(command, server, folder, sys.stderr)
    try:
        watch(home, Watched(server, pool, worker))
    finally:
        stop_child(worker)
        crew.leave(home)
    raise WorkError(f"The worker ended by itself, with exit code {worker.returncode}.")


def put_deployments(
    home: Path, env: dict[str, str], deployed: Resolved, flags: Sequence[str]
) -> None:
    """Creates or updates the work pools, the deployments and the automations of a server, and says
    what it left. flags: what deployments/deploy.py takes.

    The program runs in Prefect's folder, where no file of the user's says anything to it. It gets
    the webhook's address by the environment, because everybody may list processes.
    """
    arguments = [*flags, deployed.profile, *deployed.overrides]
    command = [sys.executable, "-m", "deployments.deploy", *arguments]
    folder = prefect_folder(home)
    folder.mkdir(parents=True, exist_ok=True)
    told = {ADDRESS_VARIABLE: deployed.settings.notify.address()}
    for sentence in run_child(command, env={**env, **told}, cwd=folder):
        say(sentence)


def refuse_taken(port: int, instead: str, host: str = "127.0.0.1") -> None:
    """Raises RequestError if a server cannot listen there; `instead` is what to type then."""
    try:
        for found in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM):
            _listen_once(found[0], found[4])
    except OSError as error:
        why = "is taken"
        if error.errno != errno.EADDRINUSE:
            why = f"cannot be listened to at {host}"
        raise RequestError(
            f"Port {port} {why} ({error.strerror}). Give another: {instead}."
        ) from error


def _listen_once(family: int, address: object) -> None:
    """Raises OSError if nobody can listen at an address, which is IPv4's or IPv6's."""
    with socket.socket(family) as probe:
        # A server that has just ended does not hold its port.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:  # IPv4's port of the same number may be taken
            probe.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        probe.bind(address)  # type: ignore[arg-type]  # what getaddrinfo gives, bind takes


def _check_loopback() -> None:
    """Raises WorkError if this machine cannot talk to itself: the server would wait for ever."""
    try:
        with socket.create_server(("127.0.0.1", 0)) as listening:
            socket.create_connection(listening.getsockname(), timeout=5).close()
    except OSError as error:
        raise WorkError(
            f"Prefect's server needs the address 127.0.0.1, and nothing is reached there"
            f" ({error.strerror or error}). `ip link set lo up` starts this machine's loopback"
            " interface; a firewall may also be in the way."
        ) from error


@contextlib.contextmanager
def _started(home: Path, port: int, with_ui: bool) -> Iterator[Record]:
    """Starts a server. A damaged database is set aside first: it holds no artifact.

    Servers of one home start one after the other: two would migrate a new database together.
    """
    forget_foreign_settings()
    folder = prefect_folder(home)
    folder.mkdir(parents=True, exist_ok=True)
    _check_folder(folder)
    database = folder / "prefect.db"
    _refuse_second_machine(folder)
    with _alone(folder):
        damage = damage_of(database)
        if damage:
            _set_aside(database, damage)
        process = _start(home, port, server_settings(home, port, with_ui))
    try:
        yield Record(f"http://127.0.0.1:{port}/api", process.pid)
    finally:
        stop_child(process)
        end_life(folder)


def _refuse_second_machine(folder: Path) -> None:
    """Shows that a server of this machine works with the database in a folder.

    Raises RequestError if one of another machine does: SQLite's locks hold on one machine only.
    """
    show_life(folder)
    others = living_hosts(folder) - {host_name()}
    if others:
        end_life(folder)
        raise RequestError(
            f"Prefect's server on {min(others)} works with the database in {folder}, which two"
            " machines cannot share. Let this one use that server: set PREFECT_API_URL, as for"
            " `kospilot worker`."
        )


@contextlib.contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Lets one server of a folder start at a time; the others wait, and say so."""
    lock = FileLock(folder / ".start.lock")
    try:
        lock.acquire(timeout=0)
    except Timeout:
        say("Another kospilot command is starting its Prefect server; waiting for it.")
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


def _start(home: Path, port: int, env: dict[str, str]) -> Popen[str]:
    """Starts the process, with a new database if it cannot work with the one that is there."""
    health = f"http://127.0.0.1:{port}/api/health"
    folder = prefect_folder(home)  # no file of the user's says anything to it there
    command = [sys.executable, "-m", "flows.server_program", str(port)]
    program = Program(command, env, folder)
    log_file = home / "logs" / SERVER_LOG
    begun = open_end(log_file)

    def start() -> Popen[str]:
        return start_server(program, log_file, lambda: responds(health), _START_PATIENCE_S)

    try:
        return start()
    except WorkError as error:
        _check_folder(folder)
        database = folder / "prefect.db"
        if not _is_about_database(read_since(log_file, begun)) or not database.exists():
            raise error
        _set_aside(database, "the server does not start with it")
        return start()


def _is_about_database(log: str) -> bool:
    """Whether a server ended because of what its database holds, such as another version's tables.

    One that is busy or read-only is another trouble.
    """
    passing = ("database is locked", "readonly database", "disk is full", "unable to open")
    if any(words in log for words in passing):
        return False
    return any(words in log for words in ("sqlite3.", "sqlalchemy.exc.", "alembic."))


def _set_aside(database: Path, damage: str) -> None:
    """Raises WorkError, and leaves the database, if another process works with it."""
    if is_in_use(database):
        raise WorkError(
            f"{database} cannot be used ({damage}), and another process has it open, perhaps"
            " another kospilot's Prefect server. Run the same command again when that has ended."
        )
    kept = set_aside(database)
    say(
        f"! {database} cannot be used ({damage}) and was renamed to {kept.name}. It held the UI's"
        " history of runs, and no artifact."
    )


def _check_folder(folder: Path) -> None:
    """Raises WorkError if a server could not keep its database there."""
    if not os.access(folder, os.W_OK):
        raise WorkError(
            f"{folder}, where Prefect's server keeps its database, cannot be written by this user."
            " Set KOSPILOT_HOME to a folder of your own."
        )
    free = shutil.disk_usage(folder).free
    if free < _LEAST_FREE:
        raise WorkError(
            f"Prefect's server needs {_LEAST_FREE >> 20} MiB on the disk of {folder}, which has"
            f" {free >> 20} MiB free. Free some (`kospilot artifacts gc`) or set KOSPILOT_HOME to a"
            " larger disk."
        )
