"""The checks of a stage, each with its figure and its limit.

Writes checks.json and logs one table. A stage stops at the first check that does not hold; what was
found until then is in the file and in the table.
"""

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tasks.core.errors import WorkError
from tasks.core.files.json_files import write_json

log = logging.getLogger(__name__)

COLUMNS = ("ok", "check", "found", "has to be")
"""Headings of the table of checks."""


@dataclass(frozen=True)
class Check:
    """One thing that has to be true, or a figure that is only reported and has no limit."""

    name: str
    value: float | int | str
    unit: str = ""
    limit: str = ""  # what the figure has to be
    problem: str = ""  # which rule is broken, by how much and what to do; empty if it holds


class Report:
    """What was checked so far, in order, kept in `file`; None in a process that writes nothing."""

    def __init__(self, file: Path | None):
        self._file = file
        self.checks: list[Check] = []
        self._shown = 0

    def add(self, *checks: Check) -> None:
        """Records the checks. Raises WorkError with the first problem among them."""
        self.checks += checks
        if self._file:
            write_json(self._file, {check.name: _entry(check) for check in self.checks})
        for check in checks:
            if check.problem:
                self.show()
                raise WorkError(check.problem)

    def show(self, title: str = "a check failed") -> None:
        """Logs the table of the checks that were not shown yet, a line each."""
        log.info("%s:", title)
        for line in format_table(self.checks[self._shown :]):
            log.info("  %s", line)
        self._shown = len(self.checks)


def format_table(checks: list[Check]) -> list[str]:
    """Returns the aligned lines of the table, the headings first."""
    rows = [COLUMNS, *map(format_cells, checks)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = []
    for row in rows:
        padded = [cell.ljust(width) for cell, width in zip(row, widths, strict=True)]
        lines.append("  ".join(padded).rstrip())
    return lines


def format_cells(check: Check) -> tuple[str, str, str, str]:
    """Returns a check's row of the table: ok, name, figure with its unit, limit."""
    value = f"{check.value:,}" if isinstance(check.value, int) else str(check.value)
    return (
        "NO" if check.problem else "yes",
        check.name.replace("_", " "),
        f"{value} {check.unit}".strip(),
        check.limit,
    )


def _entry(check: Check) -> dict[str, Any]:
    return {"value": check.value, "unit": check.unit, "limit": check.limit, "ok": not check.problem}
