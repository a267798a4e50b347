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


async def _loop(workload: Callable[[], Awaitable[Any]], interval: float, **how: Any) -> None:
    """Calls a workload for ever, as Prefect's loop does, and says once that the server is away."""
    is_away = False

    async def work() -> None:
        nonlocal is_away
        await workload()
        if is_away:
            log.info("Prefect's server answers again.")
        is_away = False

    # One round of failures is the end of Prefect's loop; its pauses would grow to minutes.
    how = {**how, "backoff": 1, "printer": _print_nothing}
    while True:
        try:
            await _PREFECTS_LOOP(work, interval, **how)
            return
        except RuntimeError as error:
            if "error threshold" not in str(error):
                raise
            if not is_away:
                log.warning("Prefect's server does not answer; it is asked again and again.")
            is_away = True


if __name__ == "__main__":
    main(*sys.argv[1:])
