"""Whether a file's rows can teach to call tools: each row, its calls held against its tools.

Reads parquet, JSON lines or a JSON array with `messages` and `tools`; writes nothing.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

from tasks.core.data.sources.conversation import is_about_tools, read_conversation
from tasks.core.data.sources.tool_calls import Fault
from tasks.core.data.tables import read_rows
from tasks.core.errors import RequestError

_LOOKED_AT = 1_000  # rows, to see what a file is about


@dataclass(frozen=True)
class WrongRow:
    """A row that would be left out, counted from 1."""

    row: int
    rule: str
    detail: str


@dataclass
class ToolRows:
    """What was found in a file."""

    rows: int = 0
    wrong: list[WrongRow] = field(default_factory=list)


def are_tool_rows(file: Path) -> bool:
    """Whether any of a file's first rows is about tools; of one that cannot be read, none is."""
    rows = islice(read_rows(file), _LOOKED_AT)
    try:
        return any(not isinstance(row, str) and is_about_tools(row) for row in rows)
    except RequestError:
        return False


def check_tool_rows(file: Path) -> ToolRows:
    """Reads every row as training would, and returns those at fault."""
    found = ToolRows()
    for found.rows, row in enumerate(read_rows(file), 1):
        found.wrong += _faults(row, found.rows)
    return found


def _faults(row: dict[str, Any] | str, number: int) -> Iterator[WrongRow]:
    if isinstance(row, str):
        yield WrongRow(number, row, "")
        return
    try:
        read_conversation(row)
    except Fault as fault:
        yield WrongRow(number, fault.reason, fault.detail)
