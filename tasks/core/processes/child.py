"""Child processes that never outlive us: their output is relayed line by line, and they end when we
end.

A child that inherited our stdout would keep it open after our death and hide it from whoever
watches us, so output goes through a pipe; the kernel's parent-death signal ends the child even when
we are killed outright (Linux).
"""

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NoReturn

from tasks.core.errors import RequestError, WorkError

_PR_SET_PDEATHSIG = 1  # <linux/prctl.h>
# containers often forbid bytecode: each child would compile torch's thousands of files again, 13 s
# of two slow cores
_PYTHON = {"PYTHONUNBUFFERED": "1", "PYTHONDONTWRITEBYTECODE": ""}
_libc = ctypes.CDLL(None) if sys.platform == "linux" else None


class ChildFailed(WorkError):
    """A child did not exit with 0."""

    def __init__(self, text: str, code: int = 1):
        super().__init__(text)
        self.code = code


def start_child(
    command: Sequence[str | Path],
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    **streams,
) -> subprocess.Popen:
    """Starts a command in a session of its own; it gets SIGTERM when the thread that started it
    dies.
    """
    parent = os.getpid()
    streams = {
        "stdin": subprocess.DEVNULL,
        "stdout": subprocess.PIPE,
        "stderr": subprocess.STDOUT,
        **streams,
    }
    return subprocess.Popen(
        [str(part) for part in command],
        env={**os.environ, **_PYTHON, **(env or {})},
        cwd=cwd,
        text=True,
        errors="replace",
        bufsize=1,
        start_new_session=True,
        preexec_fn=lambda: die_with(parent),
        **streams,
    )


def die_with(parent: int) -> None:
    """Lets the kernel end this process, with SIGTERM, when the thread of `parent` that started it
    dies.
    """
    if _libc is not None:
        _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
        if os.getppid() != parent:  # it died before the signal was set
            os._exit(1)


def stop_child(process: subprocess.Popen, patience_s: float = 20.0) -> None:
    """Ends a child and its own children: SIGTERM, then SIGKILL when patience is over. Does nothing
    to an ended one.
    """
    for sign, wait_s in ((signal.SIGTERM, patience_s), (signal.SIGKILL, None)):
        if process.poll() is not None:
            return
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, sign)
        try:
            process.wait(wait_s)
        except subprocess.TimeoutExpired:
            continue


def run_child(
    command: Sequence[str | Path],
    on_line: Callable[[str], None] | None = None,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
) -> list[str]:
    """Runs a command to its end and returns its last 40 lines. Raises ChildFailed with them if it
    fails.
    """
    process = start_child(command, env, cwd)
    tail: deque[str] = deque(maxlen=40)
    try:
        for line in process.stdout:
            line = line.rstrip("\n")  # a progress bar's frames, parted by \r, come as lines too
            if line:
                tail.append(line)
                if on_line:
                    on_line(line)
        code = process.wait()
    finally:
        stop_child(process)
        process.stdout.close()
    if code:
        raise ChildFailed(
            f"{Path(str(command[0])).name} exited with {code}:\n" + "\n".join(tail), code
        )
    return list(tail)


def run_our_own(command: Sequence[str | Path], on_line: Callable[[str], None]) -> None:
    """Runs a program of ours, which says why it fails behind `error: ` and ends with 2 where the
    request was wrong.

    Raises RequestError or WorkError with its words; with its last lines if it got to say none.
    """
    try:
        run_child(command, on_line)
    except ChildFailed as failed:
        _, said, words = str(failed).rpartition("\nerror: ")
        raise (RequestError if said and failed.code == 2 else WorkError)(words) from None


def become(*arguments: str) -> NoReturn:
    """Becomes a Python with these arguments: memory is given back, and whoever waits for us still
    waits.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    for number in map(
        int, os.listdir("/dev/fd")
    ):  # a GPU's driver keeps memory for as long as its files are open
        with contextlib.suppress(OSError):  # the list itself was read from one
            if number > 2:
                os.close(number)
    os.execv(sys.executable, [sys.executable, *arguments])


def start_over() -> NoReturn:
    """Becomes a new program with the same command."""
    become(*sys.orig_argv[1:])
