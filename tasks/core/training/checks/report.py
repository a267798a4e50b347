"""The checks of a stage, each with its figure and its limit: kept in checks.json, shown as one
table.

A stage stops at the first check that does not hold; what it found until then is in the file and in
the table.
"""

import logging
from dataclasses import dataclass
from pathlib import Path

from tasks.core.errors import WorkError
from tasks.core.files.json_files import write_json

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Check:
    """One thing that has to be true, or a figure that is only told (no limit)."""

    name: str
    value: float | int | str
    unit: str = ""
    limit: str = ""  # what the figure has to be
    problem: str = ""  # which rule is broken, by how much and what to do; empty where it holds


class Report:
    """What was checked so far, in order. file: where it is kept, if this process writes."""

    def __init__(self, file: Path | None):
        self._file = file
        self.checks: list[Check] = []
        self._shown = 0

    def add(self, *checks: Check) -> None:
        """Records the checks. Raises WorkError with the first problem among them."""
        self.checks += checks
        if self._file:
            write_json(self._file, {check.name: _entry(check) for check in self.checks})
        if problem := next((check.problem for check in checks if check.problem), None):
            self.show()
            raise WorkError(problem)

    def show(self, title: str = "a check failed") -> None:
        """Logs the table of the checks that were not shown yet, a line each."""
        log.info("%s:", title)
        for line in table(self.checks[self._shown :]):
            log.info("  %s", line)
        self._shown = len(self.checks)


def table(checks: list[Check]) -> list[str]:
    """Aligned lines: ok, name, figure with its unit, limit."""
    rows = [("ok", "check", "found", "has to be"), *map(cells, checks)]
    widths = [max(len(row[column]) for row in rows) for column in range(4)]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]


def cells(check: Check) -> tuple[str, str, str, str]:
    """A check's row: ok, name, figure with its unit, limit."""
    value = f"{check.value:,}" if isinstance(check.value, int) else str(check.value)
    return (
        "NO" if check.problem else "yes",
        check.name.replace("_", " "),
        f"{value} {check.unit}".strip(),
        check.limit,
    )


def _entry(check: Check) -> dict:
    return {"value": check.value, "unit": check.unit, "limit": check.limit, "ok": not check.problem}
