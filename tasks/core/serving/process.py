"""A model server as a child process on a free loopback port: started, waited for, stopped."""

import socket
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from subprocess import Popen

from tasks.core.child import start_child, stop_child
from tasks.core.errors import WorkError

_PATIENCE_S = 60


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def start_server(
    command: Sequence[str | Path], env: Mapping[str, str], log_file: Path, answers: Callable[[], bool]
) -> Popen:
    """Starts the server and returns when it answers. Raises WorkError with the end of its log if it does not."""
    log_file.parent.mkdir(parents=True, exist_ok=True)
    with log_file.open("w", encoding="utf-8") as log:
        process = start_child(command, env, stdout=log)
    deadline = time.monotonic() + _PATIENCE_S
    try:
        while not answers():
            if process.poll() is not None or time.monotonic() > deadline:
                raise WorkError(f"{Path(command[0]).name} did not start.\n{log_end(log_file)}")
            time.sleep(0.05)
    except BaseException:
        stop_child(process)
        raise
    return process


def log_end(log_file: Path, lines: int = 5) -> str:
    last = log_file.read_text(encoding="utf-8", errors="replace").splitlines()[-lines:]
    return f"Last lines of {log_file}:\n" + "\n".join(last)
