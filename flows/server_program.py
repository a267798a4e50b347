"""A Prefect server's process: Prefect's own application behind a guard against foreign web pages.

    python -m flows.server_program PORT [HOST [all | web]]

`web` is the API and the pages without the services, which another process runs.
Prefect checks no Host and no Origin itself. Its settings come from the environment. Its exporter
for Prometheus, /api/metrics, tells runs' figures too.
"""

import asyncio
import sys

import uvicorn
from prefect.server.api.server import create_app
from prefect.server.database import provide_database_interface
from prometheus_client import REGISTRY
from sqlalchemy import URL, make_url

from flows.console import say
from flows.log_lines import catch_the_rest, is_json
from flows.run_figures import WrittenFigures
from flows.server_files import SERVER_LOG
from tasks.core.processes.connections import BoundedConnection
from tasks.core.processes.http import is_loopback, one_line
from tasks.core.processes.log_files import keep_rotated
from tasks.core.processes.own_clients import OwnClientsOnly
from tasks.core.settings.home import kospilot_home


def main(port: str, host: str = "127.0.0.1", part: str = "all") -> None:
    """Serves until the process is ended.

    What listens to other machines answers to any name: its password alone keeps foreign pages out.
    """
    catch_the_rest()
    problem = database_problem()
    if problem:
        say(f"error: {problem}")
        sys.exit(1)
    home = kospilot_home()
    keep_rotated(home / "logs" / SERVER_LOG)
    REGISTRY.register(WrittenFigures(home))
    app = create_app(final=True, webserver_only=part == "web")
    uvicorn.run(
        OwnClientsOnly(app) if is_loopback(host) else app,
        host=host,
        port=int(port),
        workers=1,  # whatever WEB_CONCURRENCY says
        http=BoundedConnection,
        proxy_headers=False,
        access_log=False,
        log_level="warning",
        # Prefect's handlers say what uvicorn has to say, as JSON lines too.
        log_config=None if is_json() else uvicorn.config.LOGGING_CONFIG,
        lifespan="on",
    )


def database_problem() -> str:
    """Why the database on another server cannot be used, and what to do; empty if it can, or if it
    is a file.
    """
    url = make_url(provide_database_interface().database_config.connection_url)
    if url.get_backend_name() == "sqlite":
        return ""
    try:
        asyncio.run(_connect())
    # What a driver says of a password or a database's name has a class of its own.
    except Exception as error:
        return _told(url, error)
    return ""


async def _connect() -> None:
    engine = await provide_database_interface().engine()
    try:
        async with engine.connect():
            pass
    finally:
        await engine.dispose()


def _told(url: URL, error: Exception) -> str:
    reason = one_line(str(error)) or type(error).__name__
    return (
        f"Prefect's database {url.render_as_string(hide_password=True)} cannot be used ({reason})."
        " Start it, or set PREFECT_SERVER_DATABASE_CONNECTION_URL to"
        " postgresql+asyncpg://USER:PASSWORD@HOST:5432/NAME."
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
