"""kospilot serve, and what it is made of, for more than one machine: server, worker, deploy."""

import os
import sys
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from flows.commands.options import Overrides
from flows.console import say, stderr

if TYPE_CHECKING:
    from tasks.core.settings.profiles import Resolved

DeployedProfile = Annotated[
    str, typer.Argument(help="The profile or file of runs that are given no other.")
]
Reset = Annotated[
    bool,
    typer.Option(
        "--reset",
        help="Forget what was changed of deployments and automations in the UI: schedules,"
        " pauses, limits, parameters.",
    ),
]
Port = Annotated[int, typer.Option(help="Port of the server and its UI.")]


class Pool(StrEnum):
    """A pool of runs: those that want a GPU, and the rest."""

    cpu = "cpu"
    gpu = "gpu"


def add_to(app: typer.Typer) -> None:
    """Adds this file's commands to the application."""
    for command in (serve, server, worker, deploy):
        app.command()(command)


def serve(
    profile: DeployedProfile = "demo",
    overrides: Overrides = None,
    port: Port = 4200,
    reset: Reset = False,
) -> None:
    """Runs Prefect server, worker and deployments here; Ctrl-C stops all that it started."""
    import shlex
    from contextlib import ExitStack

    from flows.server import serving
    from flows.server_files import secret_file
    from flows.server_settings import client_settings, recorded_server
    from flows.watch import Watched, watch
    from tasks.core.settings.home import kospilot_home

    home = kospilot_home()
    deployed = _settled(profile, overrides)
    if os.environ.get("PREFECT_API_URL"):
        say(
            "! PREFECT_API_URL is not used: serve has a server of its own. `kospilot worker` and"
            " `kospilot deploy` use the one that it names."
        )
    running = recorded_server(home)
    if running:
        say(f"A server is already there: {running.removesuffix('/api')}")
        return
    with ExitStack() as stack:
        with stderr.status("starting server, worker and deployments"):
            url = stack.enter_context(serving(home, port, deployed, reset))
        stack.callback(say, "Stopping.")
        chain = " ".join([deployed.profile, *deployed.overrides])
        say(
            f"`refresh` runs the chain of {chain}: on weekdays at 18:30 in Seoul, and whenever its"
            " market folder has changed."
        )
        say(
            f"Open {url.removesuffix('/api')} and start `full`. The page asks once for a password:"
            f" the line that `cat {shlex.quote(str(secret_file(home)))}` prints."
        )
        say(f"Logs: {home / 'logs'}. Ctrl-C stops everything.")
        watch(home, Watched(client_settings(home, url)))


def server(
    host: Annotated[
        str, typer.Option(help="Address to listen at; 0.0.0.0 lets other machines in.")
    ] = "127.0.0.1",
    port: Port = 4200,
    services: Annotated[
        bool, typer.Option(help="Run schedules and automations in the same process.")
    ] = True,
) -> None:
    """Runs the Prefect server and its UI alone, for workers on any machine; Ctrl-C stops it.

    Obeys PREFECT_SERVER_… (database, password, leases), PREFECT_MESSAGING_… and PREFECT_REDIS_….
    """
    from flows.server import refuse_taken
    from flows.server_files import secret_file
    from flows.server_settings import (
        forget_foreign_settings,
        lone_server_settings,
        recorded_server,
    )
    from tasks.core.errors import RequestError
    from tasks.core.processes.http import bracketed
    from tasks.core.settings.home import kospilot_home

    home = kospilot_home()
    host = host.strip("[]")  # of an IPv6 address in a URL
    running = recorded_server(home)
    if running:
        raise RequestError(
            f"`kospilot serve` has a server in {home} already, {running.removesuffix('/api')}: end"
            " it first, or set another KOSPILOT_HOME."
        )
    refuse_taken(port, f"kospilot server --port {port + 1}", host)
    own_password = "PREFECT_SERVER_API_AUTH_STRING"
    whose = own_password if os.environ.get(own_password) else f"the line in {secret_file(home)}"
    settings = lone_server_settings(home, host, port)
    forget_foreign_settings()
    say(f"Prefect's server and UI: http://{bracketed(host)}:{port}. Its password: {whose}.")
    part = "all" if services else "web"
    _become("flows.server_program", [str(port), host, part], settings)


def worker(
    pool: Annotated[Pool, typer.Option(help="Which runs work here.")],
) -> None:
    """Lets runs of a pool work on this machine, for the server that PREFECT_API_URL names.

    A run ends with its worker, is marked as crashed after two minutes, and Retry resumes it.
    """
    from flows.server import work
    from flows.server_api import POOL
    from flows.server_settings import forget_foreign_settings, server_to_use
    from tasks.core.errors import WorkError
    from tasks.core.settings.home import kospilot_home

    home = kospilot_home()
    settings = server_to_use(home, "the worker takes its runs from")
    if pool is Pool.gpu:
        from tasks.core.training.hardware.machine import find_machine

        if find_machine().device != "cuda":
            raise WorkError(
                "PyTorch sees no GPU on this machine, so runs of the pool gpu would fail here or"
                " take days. `kospilot doctor` says what it lacks; `kospilot worker --pool cpu`"
                " takes the others."
            )
    forget_foreign_settings()
    say(f"Runs of the pool {POOL}-{pool} work here; Ctrl-C stops the worker.")
    work(home, settings, f"{POOL}-{pool}")


def deploy(
    profile: DeployedProfile = "demo",
    overrides: Overrides = None,
    training: Annotated[
        Pool,
        typer.Option(help="Pool of the steps that train a model or ask it many questions."),
    ] = Pool.gpu,
    reset: Reset = False,
) -> None:
    """Puts pools, deployments and automations on the server that PREFECT_API_URL names."""
    from flows.server import put_deployments
    from flows.server_settings import forget_foreign_settings, server_to_use
    from tasks.core.settings.home import kospilot_home

    home = kospilot_home()
    deployed = _settled(profile, overrides)
    settings = server_to_use(home, "the deployments go to")
    forget_foreign_settings()
    flags = [f"--training={training}"]
    if reset:
        flags.append("--reset")
    put_deployments(home, settings, deployed, flags)
    say(f"Deployed. {_workers_wanted(training)}")


def _settled(profile: str, overrides: list[str] | None) -> "Resolved":
    """The settings to deploy; says which paths are meant by relative ones.

    A file of one's own becomes settings that differ from its profile's: no worker needs to have it.
    """
    from pathlib import Path

    from tasks.core.settings.paths import relative_paths, settle_paths
    from tasks.core.settings.profiles import load

    resolved = load(profile, overrides or [])
    if resolved.file:
        say(
            f"The values of {resolved.file} are deployed as settings of {resolved.profile}. If it"
            " changes, deploy it again."
        )
    for name, path in relative_paths(resolved, Path.cwd()).items():
        say(f"{name} is {path} for all runs, on every machine.")
    return settle_paths(resolved, Path.cwd())


def _workers_wanted(training: Pool) -> str:
    if training is Pool.cpu:
        return "`kospilot worker --pool cpu` lets their runs work."
    return (
        "`kospilot worker --pool cpu` lets their runs work, and `kospilot worker --pool gpu` the"
        " runs' steps that want a GPU."
    )


def _become(module: str, arguments: list[str], settings: dict[str, str]) -> None:
    """Goes on as another program, which gets the signals and writes to this one's output.

    It begins in Prefect's folder, where no file of the user's says anything to it.
    """
    from pathlib import Path

    folder = Path(settings["PREFECT_HOME"])
    folder.mkdir(parents=True, exist_ok=True)
    os.chdir(folder)
    sys.stdout.flush()
    command = [sys.executable, "-m", module, *arguments]
    os.execve(sys.executable, command, {**os.environ, **settings})
