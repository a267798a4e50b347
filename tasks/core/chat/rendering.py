"""Renders chat templates by jinja_program.py, one process of which serves this one."""

import atexit
import contextlib
import json
import os
import subprocess
import sys
import threading
from collections.abc import Mapping
from typing import Any

from tasks.core.chat.limits import MEMORY_BYTES, SECONDS

_COMMAND = (sys.executable, "-m", "tasks.core.chat.jinja_program")


class TemplateRefused(Exception):
    """A template is not Jinja, refuses what it is given, or takes more than it may."""


def render(source: str, values: Mapping[str, Any]) -> str:
    """Returns a template's text. Raises TemplateRefused with the reason."""
    return _RENDERER.ask(source, values)


def refuse_no_jinja(source: str) -> None:
    """Raises TemplateRefused unless a template is Jinja."""
    _RENDERER.ask(source, None)


class _Renderer:
    """The process that renders, started when it is needed; it ends with this one."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[str] | None = None
        self._owner = 0
        self._lock = threading.Lock()

    def ask(self, source: str, values: Mapping[str, Any] | None) -> str:
        request = json.dumps({"source": source, "values": values})
        with self._lock:
            line = self._exchange(request)
        if not line:
            raise TemplateRefused(
                f"it was stopped, because it took more than {SECONDS:.0f} s of computing or"
                f" {MEMORY_BYTES / 1e9:.0f} GB of memory"
            )
        answer: dict[str, str] = json.loads(line)
        if "refused" in answer:
            raise TemplateRefused(answer["refused"])
        return answer["text"]

    def _exchange(self, request: str) -> str:
        """The answer's line; empty if the process died of the request."""
        process = self._running()
        assert process.stdin and process.stdout, "it was started with pipes"
        try:
            process.stdin.write(request + "\n")
            process.stdin.flush()
            line = process.stdout.readline()
        except BrokenPipeError:
            line = ""
        except BaseException:  # half of an exchange would answer the next request
            self.close()
            raise
        if not line.endswith("\n"):
            self.close()
            return ""
        return line

    def _running(self) -> subprocess.Popen[str]:
        """The process, which a fork of this one does not share."""
        if self._process is None or self._owner != os.getpid() or self._process.poll() is not None:
            self._process = subprocess.Popen(
                _COMMAND,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
                start_new_session=True,  # a Ctrl-C is ours to answer
            )
            self._owner = os.getpid()
        return self._process

    def close(self) -> None:
        """Ends the process, and waits for it.

        It is killed: its input does not end while a fork of this process holds the pipe.
        """
        process, self._process = self._process, None
        if process is None or self._owner != os.getpid():
            return
        assert process.stdin and process.stdout, "it was started with pipes"
        process.kill()
        with contextlib.suppress(BrokenPipeError):  # it died, and did not read all
            process.stdin.close()
        process.stdout.close()
        process.wait()


_RENDERER = _Renderer()
atexit.register(_RENDERER.close)
