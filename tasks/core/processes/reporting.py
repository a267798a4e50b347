"""Programs of kospilot's own that tell how far they are: each line is a JSON object on stdout.

{"share": 0.5, "text": "32 / 64 prompts"} is progress; any other object is the program's result.
"""

import json
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from tasks.core.processes.child import run_kospilot_program

QUIET_WAITS = {"OMP_WAIT_POLICY": "passive"}
"""Threads that wait give their core away: on a busy machine, spinning ones take three times the
time (measured on two cores, Q4_K_M of the demo's model).
"""


def run_reporting(
    command: Sequence[str | Path],
    progress: Callable[[float, str], None],
    env: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """Runs a program and returns its result; `progress` gets each share of its work and a text.

    Other lines are the libraries'. Raises RequestError or WorkError with the program's own words.
    """
    result: dict[str, Any] = {}

    def hear(line: str) -> None:
        try:
            told = json.loads(line)
        except ValueError:
            return
        if not isinstance(told, dict):
            return
        if told.keys() == {"share", "text"}:
            progress(told["share"], told["text"])
        else:
            result.update(told)

    run_kospilot_program(command, hear, env)
    return result


def tell_progress(share: float, text: str) -> None:
    """Tells the parent process how far this one is, 0 to 1."""
    print(json.dumps({"share": share, "text": text}), flush=True)


def tell_result(result: Mapping[str, Any]) -> None:
    """Tells the parent process what came out."""
    print(json.dumps(result), flush=True)


def tell_error(error: Exception) -> None:
    """Tells the parent process why the work failed; the program then exits with 1."""
    sys.stderr.write(f"error: {error}\n")
