"""Child processes that never outlive us: their output is relayed line by line, and they end when we
end.

A child that inherited our stdout would keep it open after our death and hide our death from whoever
watches us. So its output goes through a pipe, and the kernel's parent-death signal ends the child
even when we are killed outright (Linux).
"""

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import IO, NoReturn

import psutil

from tasks.core.errors import RequestError, WorkError

_PR_SET_PDEATHSIG = 1  # <linux/prctl.h>
# Containers often forbid bytecode, and then each child would compile torch's thousands of files
# again, which takes 13 s on two slow cores.
_PYTHON = {"PYTHONUNBUFFERED": "1", "PYTHONDONTWRITEBYTECODE": ""}
_TAIL_LINES = 40
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
    stdout: int | IO[str] = subprocess.PIPE,
    at_our_death: signal.Signals = signal.SIGTERM,
) -> subprocess.Popen[str]:
    """Starts a command in a session of its own; its errors go where its output goes.

    The child gets the signal `at_our_death` when the thread that started it dies.
    """
    parent = os.getpid()
    return subprocess.Popen(
        [str(part) for part in command],
        env={**os.environ, **_PYTHON, **(env or {})},
        cwd=cwd,
        stdin=subprocess.DEVNULL,
        stdout=stdout,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        bufsize=1,
        start_new_session=True,
        preexec_fn=lambda: end_with_parent(parent, at_our_death),
    )


def end_with_parent(parent: int, sign: signal.Signals = signal.SIGTERM) -> None:
    """Lets the kernel end this process, with this signal, when the thread of `parent` that started
    it dies.
    """
    if _libc is None:
        return
    _libc.prctl(_PR_SET_PDEATHSIG, sign)
    if os.getppid() != parent:  # it died before the signal was set
        os._exit(1)


def stop_child(process: subprocess.Popen[str], patience_s: float = 20.0) -> None:
    """Ends a child and its own children: SIGTERM first, SIGKILL when the patience is over.

    A child that has ended is left alone, and what it left behind is killed: a model server's runner
    holds its memory though the server was killed.
    """
    deadline = time.monotonic() + patience_s
    if process.poll() is None:
        _end(process, signal.SIGTERM, patience_s)
        _wait_for_group(process.pid, deadline)
    _end(process, signal.SIGKILL, None)
    _kill_left(process.pid)


def _end(process: subprocess.Popen[str], sign: signal.Signals, patience_s: float | None) -> None:
    """Sends the signal to the child's session and waits; None waits until the child has ended."""
    if process.poll() is not None:
        return
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, sign)
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(patience_s)


def _wait_for_group(group: int, deadline: float) -> None:
    """Waits for what a child started, which may end after it: a script's server writes its files
    while the script is gone.
    """
    while time.monotonic() < deadline and any(_runs_in(group, pid) for pid in psutil.pids()):
        time.sleep(0.05)


def _runs_in(group: int, pid: int) -> bool:
    """Whether a process is of this group, and more than the entry of one that has ended."""
    try:
        is_member = os.getpgid(pid) == group
        return is_member and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except (OSError, psutil.Error):
        return False


def _kill_left(group: int) -> None:
    """Kills what is left of the session of a child that is gone.

    Its number is free only if nothing is left: a process that has it now is another's.
    """
    try:
        os.kill(group, 0)
    except ProcessLookupError:
        with contextlib.suppress(OSError):
            os.killpg(group, signal.SIGKILL)
    except PermissionError:
        return


def run_child(
    command: Sequence[str | Path],
    on_line: Callable[[str], None] | None = None,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
) -> list[str]:
    """Runs a command to its end and returns the last 40 lines that are not empty.

    Raises ChildFailed with these lines if the command fails.
    """
    return wait_for_child(start_child(command, env, cwd), on_line)


def wait_for_child(
    process: subprocess.Popen[str], on_line: Callable[[str], None] | None = None
) -> list[str]:
    """Waits for a child that start_child started, as run_child does for its own."""
    assert process.stdout is not None, "start_child opens a pipe"
    tail: deque[str] = deque(maxlen=_TAIL_LINES)
    try:
        for line in process.stdout:
            text = line.rstrip("\n")  # the frames of a progress bar, split by \r, are lines too
            if not text:
                continue
            tail.append(text)
            if on_line:
                on_line(text)
        code = process.wait()
    finally:
        stop_child(process)
        process.stdout.close()
    if code:
        program = Path(process.args[0]).name  # type: ignore[index, arg-type]
        raise ChildFailed(f"{program} exited with {code}:\n" + "\n".join(tail), code)
    return list(tail)


def run_kospilot_program(
    command: Sequence[str | Path],
    on_line: Callable[[str], None],
    env: Mapping[str, str] | None = None,
) -> None:
    """Runs a program of kospilot's own and raises the error that the program reports.

    Such a program prints `error: ` and why it failed as its last words, and exits with 2 if the
    request was wrong. Raises RequestError or WorkError with these words, or WorkError with the last
    lines if the program reported none.
    """
    wait_for_program(start_child(command, env), on_line)


def wait_for_program(
    process: subprocess.Popen[str], on_line: Callable[[str], None] | None = None
) -> None:
    """Waits for a program of kospilot's own that start_child started, and raises what
    run_kospilot_program raises.
    """
    try:
        wait_for_child(process, on_line)
    except ChildFailed as failed:
        _, reported, words = str(failed).rpartition("\nerror: ")
        if reported and failed.code == 2:
            raise RequestError(words) from None
        raise WorkError(words) from None


def exec_python(*arguments: str) -> NoReturn:
    """Replaces this process's program by a Python with these arguments.

    The process stays the same, so whoever waits for it still waits; its memory is given back.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    _close_files()
    os.execv(sys.executable, [sys.executable, *arguments])


def _close_files() -> None:
    """Closes all but the standard streams: a GPU's driver keeps memory while its files are open."""
    for name in os.listdir("/dev/fd"):
        number = int(name)
        if number > 2:
            with contextlib.suppress(OSError):  # the listing itself was read from one of them
                os.close(number)


def start_over() -> NoReturn:
    """Replaces this process's program by a new one with the same command."""
    exec_python(*sys.orig_argv[1:])
