"""Logs as JSON lines, for a program that gathers them: KOSPILOT_LOG=json.

Each line is an object with at (UTC), level, logger and message; one of a run has its id; one of a
step, the step's name, outcome and seconds.
"""

import json
import logging
import os
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tasks.core.errors import RequestError

_VARIABLE = "KOSPILOT_LOG"
_RUN_ID = "PREFECT__FLOW_RUN_ID"  # in the environment of a worker's run
_RUN_LOGGERS = ("tasks", "prefect.flow_runs", "prefect.task_runs")  # Prefect's tell how a run ended
_FIELDS = ("step", "outcome", "seconds", "fraction")  # of a record that has them


def is_json() -> bool:
    """Whether logs are wanted as JSON lines."""
    return os.environ.get(_VARIABLE) == "json"


def check_variable() -> None:
    """Raises RequestError if KOSPILOT_LOG asks for a form that there is not."""
    wanted = os.environ.get(_VARIABLE)
    if wanted not in (None, "", "json"):
        raise RequestError(
            f"{_VARIABLE}={wanted} is no form of a log: set {_VARIABLE}=json for JSON lines, or"
            " unset it for prose."
        )


class JsonLines(logging.Formatter):
    """Formats a record as one line of JSON.

    Prefect, which makes one for its own logs, gives arguments; there is nothing to choose.
    """

    def __init__(self, *ignored: object) -> None:
        super().__init__()

    def format(self, record: logging.LogRecord) -> str:
        """The line, without its end."""
        fields = {name: getattr(record, name) for name in _FIELDS if hasattr(record, name)}
        if os.environ.get(_RUN_ID):
            fields["run"] = os.environ[_RUN_ID]
        if record.exc_info:
            fields["exception"] = self.formatException(record.exc_info)
        at = datetime.fromtimestamp(record.created, UTC)
        return _line(at, record.levelname, record.name, record.getMessage(), fields)


def write_line(level: str, message: str, fields: dict[str, Any] | None = None) -> None:
    """Writes one line of the command's own to stderr."""
    line = _line(datetime.now(UTC), level, "kospilot", message, fields or {})
    sys.stderr.write(line + "\n")
    sys.stderr.flush()


def _line(at: datetime, level: str, logger: str, message: str, fields: dict[str, Any]) -> str:
    told = {"at": at.isoformat(timespec="milliseconds"), "level": level, "logger": logger}
    # ASCII: the line is one line, whatever the message holds and the terminal can show.
    return json.dumps({**told, "message": message, **fields}, default=str)


def keep_run_log(home: Path) -> None:
    """Lets what a worker's run tells be appended to logs/runs/DAY.jsonl, if JSON is wanted, and
    removes the oldest days once the folder is large.

    Its output goes nowhere: a pipe to its worker would end the run with the worker.
    """
    loggers = [logging.getLogger(name) for name in _RUN_LOGGERS]
    is_kept = any(isinstance(handler, logging.FileHandler) for handler in loggers[0].handlers)
    if is_kept or not (is_json() and os.environ.get(_RUN_ID)):
        return
    from tasks.core.processes.log_files import prune  # noqa: PLC0415 - slow, for a command

    day = datetime.now(UTC).date().isoformat()
    file = home / "logs" / "runs" / f"{day}.jsonl"
    file.parent.mkdir(parents=True, exist_ok=True)
    prune(sorted(file.parent.glob("*.jsonl")))
    handler = logging.FileHandler(file, encoding="utf-8")
    handler.setFormatter(JsonLines())
    for logger in loggers:
        logger.addHandler(handler)


def catch_the_rest() -> None:
    """Lets warnings, and an error that nobody handles, be JSON lines too, if JSON is wanted."""
    if not is_json():
        return
    logging.captureWarnings(True)
    sys.excepthook = _log_uncaught


def handle_the_rest() -> None:
    """As catch_the_rest, for a process whose logs nobody handles: what libraries tell is a line."""
    if not is_json():
        return
    catch_the_rest()
    handler = logging.StreamHandler()
    handler.setLevel(logging.WARNING)
    handler.setFormatter(JsonLines())
    handler.addFilter(_is_unhandled)
    logging.getLogger().addHandler(handler)


def _is_unhandled(record: logging.LogRecord) -> bool:
    """Whether no handler of a run in a terminal (flows/console.py) has the record already.

    That tells in our words what Prefect would.
    """
    room = record.name.partition(".")[0]
    return room != "prefect" and not logging.getLogger(room).handlers


def _log_uncaught(kind: type[BaseException], error: BaseException, trace: Any) -> None:
    told = f"{kind.__name__}: {error}"
    logging.getLogger("kospilot").critical("%s", told, exc_info=(kind, error, trace))


def prefect_settings() -> dict[str, str]:
    """What lets Prefect's own processes log JSON lines; nothing if prose is wanted."""
    if not is_json():
        return {}
    return {
        "PREFECT_LOGGING_HANDLERS_CONSOLE_FORMATTER": "json",
        "PREFECT_LOGGING_FORMATTERS_JSON_CLASS": f"{__name__}.JsonLines",
    }
