"""What a person sees in the terminal: prose and progress on stderr, results on stdout."""

import json
import logging
import sys
from collections.abc import Sequence
from typing import Any

from rich.console import Console
from rich.status import Status
from rich.table import Table
from rich.text import Text

stderr = Console(stderr=True, highlight=False)
stdout = Console(highlight=False)


def say(text: str) -> None:
    stderr.print(text, markup=False)


def print_json(value: Any) -> None:
    """The one JSON document of a command with --json."""
    sys.stdout.write(json.dumps(value, ensure_ascii=False, indent=1) + "\n")


def table(
    title: str, columns: Sequence[str], rows: Sequence[Sequence[Any]], console: Console = stdout
) -> None:
    drawn = Table(
        title=title or None, title_justify="left", box=None, pad_edge=False, header_style="bold"
    )
    for column in columns:
        drawn.add_column(column, overflow="fold")
    for row in rows:
        drawn.add_row(*(Text(str(cell)) for cell in row))  # as it stands: brackets are no markup
    console.print(drawn)


def duration(seconds: float) -> str:
    """Seconds as people read them: 8.2 s, 2 min 31 s, 3 h 05 min."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return (
        f"{minutes} min {rest:02d} s"
        if minutes < 60
        else f"{minutes // 60} h {minutes % 60:02d} min"
    )


def size(amount: float) -> str:
    """Bytes as people read them."""
    for unit in ("B", "KB", "MB"):
        if amount < 1000:
            return f"{amount:.0f} {unit}"
        amount /= 1000
    return f"{amount:.1f} GB"


class RunHandler(logging.Handler):
    """Prints a run's log: a line per finished step, its progress live below them."""

    def __init__(self) -> None:
        super().__init__(logging.INFO)
        self._status: Status | None = None
        self._warned: set[str] = set()

    def emit(self, record: logging.LogRecord) -> None:
        if hasattr(record, "fraction"):
            self._show(f"{record.step}: {100 * record.fraction:.0f} %, {record.getMessage()}")
            return
        if hasattr(record, "outcome"):
            self.close_status()
            say(f"  {record.step:<11} {record.outcome:<8} {duration(record.seconds):>12}")
            return
        if record.name == "tasks.artifacts" and record.levelno <= logging.INFO:
            return  # the same progress, on its way to Prefect
        self.close_status()
        warning, text = record.levelno >= logging.WARNING, record.getMessage()
        if (
            text not in self._warned
        ):  # three steps open a model server: that there is no Ollama is said once
            # tables keep their lines, of which a file or a wide window has room for more than 80
            # columns
            stderr.print(
                f"  {'! ' if warning else ''}{text}", markup=False, soft_wrap=text.startswith("  ")
            )
        if warning:
            self._warned.add(text)

    def _show(self, text: str) -> None:
        if not stderr.is_terminal:
            return
        if self._status is None:
            self._status = stderr.status(text)
            self._status.start()
        self._status.update(text)

    def close_status(self) -> None:
        if self._status:
            self._status.stop()
            self._status = None


def follow_run() -> RunHandler:
    """Attaches the handler to the loggers of a run."""
    handler = RunHandler()
    logger = logging.getLogger("tasks")
    logger.setLevel(logging.INFO)
    logger.addHandler(handler)
    return handler
