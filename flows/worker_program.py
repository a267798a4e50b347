"""A Prefect worker's process, which lets runs of one pool work as processes of this machine.

    python -m flows.worker_program POOL

Its settings come from the environment. Prefect's own command would print prose beside its log.
"""

import asyncio
import contextlib
import signal
import sys

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
    keep_rotated(kospilot_home() / "logs" / WORKER_LOG)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    name = process_name()  # the UI's list of workers says where each is
    worker = ProcessWorker(work_pool_name=pool, name=name, create_pool_if_not_found=False)
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(worker.start(printer=log.info))


if __name__ == "__main__":
    main(*sys.argv[1:])
