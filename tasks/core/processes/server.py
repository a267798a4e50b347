"""A server as a child process on a loopback port: it is started and waited for; `stop_child` ends
it.

Appends what the server prints to a log file.
"""

import socket
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from subprocess import Popen

from tasks.core.errors import WorkError
from tasks.core.processes.child import start_child, stop_child
from tasks.core.processes.log_files import open_end, read_since

_TAIL_LINES = 5

GUARD = ("sh", "-c", 'trap \'trap "" TERM; kill 0; wait\' TERM; "$@" & wait $!', "sh")
"""Stands before a command that may be a script: the kernel's signal at our death reaches the one
process that we started, and this one passes it on to all of its session and waits for them.
"""


@dataclass(frozen=True)
class Program:
    """What is started: its command, what it knows beside our environment, and its folder, which is
    ours if it is None.
    """

    command: Sequence[str | Path]
    env: Mapping[str, str] = field(default_factory=dict)
    cwd: Path | None = None


def free_port() -> int:
    """A loopback port that nobody listens on at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


def start_server(
    program: Program,
    log_file: Path,
    answers: Callable[[], bool],
    patience_s: float = 60,
) -> Popen[str]:
    """Starts the server and returns when it answers.

    The log file is named as the server is. Raises WorkError with the end of the log if the server
    does not answer in time.
    """
    begun = open_end(log_file)
    with log_file.open("a", encoding="utf-8") as log:
        process = start_child(program.command, program.env, program.cwd, stdout=log)
    deadline = time.monotonic() + patience_s
    try:
        while process.poll() is None and time.monotonic() < deadline:
            if answers():
                return process
            time.sleep(0.05)
        raise WorkError(f"{log_file.stem} did not start.\n{log_tail(log_file, begun)}")
    except BaseException:
        stop_child(process)
        raise


def log_tail(log_file: Path, begun: int = 0) -> str:
    """The last lines that a log got since it ended at byte `begun`, under a heading."""
    tail = read_since(log_file, begun).splitlines()[-_TAIL_LINES:]
    return f"Last lines of {log_file}:\n" + "\n".join(tail)
