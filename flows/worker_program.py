"""A Prefect worker's process, which lets runs of one pool work as processes of this machine.

    python -m flows.worker_program POOL

Its settings come from the environment. Prefect's own command would print prose beside its log.
"""

import asyncio
import contextlib
import signal
import sys
from collections.abc import Awaitable, Callable
from typing import Any

import httpx
import prefect.utilities.services as prefects_services
from prefect.logging import get_logger
from prefect.logging.configuration import setup_logging
from prefect.workers.process import ProcessWorker

from flows.log_lines import catch_the_rest
from flows.server_files import WORKER_LOG
from tasks.core.processes.living import process_name
from tasks.core.processes.log_files import keep_rotated
from tasks.core.settings.home import kospilot_home

log = get_logger("worker")


def main(pool: str) -> None:
    """Works until the process is ended."""
    setup_logging()
    catch_the_rest()
    outlive_outages()
    keep_rotated(kospilot_home() / "logs" / WORKER_LOG)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    name = process_name()  # the UI's list of workers says where each is
    worker = ProcessWorker(work_pool_name=pool, name=name, create_pool_if_not_found=False)
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(worker.start(printer=log.info))


def outlive_outages() -> None:
    """Lets Prefect's loops go on when its server was away for minutes.

    They would end: with one of them the worker, and with it the run; with another one the watch for
    runs that are cancelled in the UI.
    """
    for module in list(sys.modules.values()):
        if vars(module).get("critical_service_loop") is _PREFECTS_LOOP:
            vars(module)["critical_service_loop"] = _loop


def _print_nothing(*words: object) -> None:
    """Stands for a print of the tracebacks of every call that failed."""


_PREFECTS_LOOP = prefects_services.critical_service_loop


class _Server:
    """What is wrong with the server, as one of Prefect's loops saw it; each change is said once."""

    def __init__(self) -> None:
        self._problem = ""

    def note(self, problem: str) -> None:
        if problem == self._problem:
            return
        self._problem = problem
        if problem:
            log.warning("Prefect's server %s. It is asked again and again.", problem)
        else:
            log.info("Prefect's server answers again.")


_server = _Server()


async def _loop(workload: Callable[[], Awaitable[Any]], interval: float, **how: Any) -> None:
    """Calls a workload for ever, as Prefect's loop does."""

    async def work() -> None:
        await workload()
        _server.note("")

    # One round of failures is the end of Prefect's loop; its pauses would grow to minutes.
    how = {**how, "backoff": 1, "printer": _print_nothing}
    while True:
        try:
            await _PREFECTS_LOOP(work, interval, **how)
            return
        except (RuntimeError, httpx.HTTPStatusError) as error:
            problem = _problem_of(error)
            if not problem:
                raise
        _server.note(problem)
        await asyncio.sleep(interval)


def _problem_of(error: RuntimeError | httpx.HTTPStatusError) -> str:
    """What is wrong with the server if it may pass; empty for any other error."""
    if isinstance(error, RuntimeError):
        return "does not answer" if "error threshold" in str(error) else ""
    status = error.response.status_code
    if status not in (httpx.codes.UNAUTHORIZED, httpx.codes.FORBIDDEN):
        return ""
    return (
        f"refuses this worker's PREFECT_API_AUTH_STRING (HTTP {status}). Start the worker again"
        " with the right one, once its run has ended"
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
