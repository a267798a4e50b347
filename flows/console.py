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

from flows.encoding import encodes_all
from flows.log_lines import JsonLines, is_json, write_line
from tasks.core.scripts import visible

stderr = Console(stderr=True, highlight=False)
stdout = Console(highlight=False)


def say(text: str) -> None:
    """Prints prose on stderr, its brackets as they stand; a leading ! marks a warning."""
    if is_json():
        write_line("WARNING" if text.startswith("! ") else "INFO", text.removeprefix("! "))
        return
    stderr.print(visible(text), markup=False)


def print_json(value: Any) -> None:
    """Prints the one JSON document of a command with --json."""
    sys.stdout.write(json.dumps(value, ensure_ascii=not encodes_all(), indent=1) + "\n")


def table(
    title: str,
    columns: Sequence[str],
    rows: Sequence[Sequence[Any]],
    console: Console = stdout,
) -> None:
    """Prints a table without borders; cells that are too wide are folded."""
    if console is stderr and is_json():
        for row in rows:
            write_line("INFO", title or "plan", dict(zip(columns, row, strict=True)))
        return
    drawn = Table(
        title=title or None, title_justify="left", box=None, pad_edge=False, header_style="bold"
    )
    for column in columns:
        drawn.add_column(column, overflow="fold")
    for row in rows:
        # As it stands: brackets are no markup.
        drawn.add_row(*[Text(visible(str(cell))) for cell in row])
    console.print(drawn)


def long_table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Prints a table of any number of rows at once, a line for each, its last column unfolded."""
    every = [columns, *rows]
    widths = [max(len(row[index]) for row in every) for index in range(len(columns) - 1)]
    lines = []
    for row in every:
        cells = [visible(cell).ljust(width) for cell, width in zip(row, widths, strict=False)]
        lines.append("  ".join([*cells, visible(row[-1])]) + "\n")
    sys.stdout.write("".join(lines))


def duration(seconds: float) -> str:
    """Seconds as people read them: 8.2 s, 2 min 31 s, 3 h 05 min."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest:02d} s"
    return f"{minutes // 60} h {minutes % 60:02d} min"


def size(amount: float) -> str:
    """Bytes as people read them, in powers of ten: 98 MB, 15.2 GB."""
    for unit in ("B", "KB", "MB"):
        if amount < 1000:
            return f"{amount:.0f} {unit}"
        amount /= 1000
    return f"{amount:.1f} GB"


class RunHandler(logging.Handler):
    """Prints a run's log: a line per finished step, and the present one's progress below them."""

    def __init__(self) -> None:
        super().__init__(logging.INFO)
        self.setFormatter(JsonLines())
        self._status: Status | None = None
        self._warned: set[str] = set()

    def emit(self, record: logging.LogRecord) -> None:
        """Prints one record: progress, the end of a step, or a message."""
        if is_json():
            self._write_line(record)
        elif hasattr(record, "fraction"):
            percent = 100 * record.fraction
            self._show_progress(
                f"{getattr(record, 'step', '')}: {percent:.0f} %, {record.getMessage()}"
            )
        elif hasattr(record, "outcome"):
            self.close_status()
            took = duration(getattr(record, "seconds", 0.0))
            say(f"  {getattr(record, 'step', ''):<11} {record.outcome:<8} {took:>12}")
        elif record.name == "tasks.shown" and record.levelno <= logging.INFO:
            pass  # the same progress, on its way to Prefect
        else:
            self._print(record)

    def _write_line(self, record: logging.LogRecord) -> None:
        if record.name != "progress":  # of a terminal: hundreds of lines a minute
            sys.stderr.write(self.format(record) + "\n")
            sys.stderr.flush()

    def _print(self, record: logging.LogRecord) -> None:
        """Prints a message; a warning only once: three steps may find that Ollama is missing."""
        self.close_status()
        text = visible(record.getMessage())
        is_warning = record.levelno >= logging.WARNING
        if text in self._warned:
            return
        if is_warning:
            self._warned.add(text)
        mark = "! " if is_warning else ""
        # A table keeps its lines, for which a file or a wide window has more room than 80 columns.
        stderr.print(f"  {mark}{text}", markup=False, soft_wrap=text.startswith("  "))

    def _show_progress(self, text: str) -> None:
        if not stderr.is_terminal:
            return
        if self._status is None:
            self._status = stderr.status(text)
            self._status.start()
        self._status.update(text)

    def close_status(self) -> None:
        """Ends the line of progress, so that what comes next begins a line of its own."""
        if self._status:
            self._status.stop()
            self._status = None


def follow_run() -> RunHandler:
    """Attaches a handler to the loggers of a run, and returns it."""
    handler = RunHandler()
    for name in ("tasks", "progress"):
        logger = logging.getLogger(name)
        logger.setLevel(logging.INFO)
        logger.addHandler(handler)
    return handler
