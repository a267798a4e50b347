"""JSON documents and JSON Lines files: there is one way to read and to write each."""

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from tasks.core.errors import WorkError
from tasks.core.files.atomic import replacing, write_text


class LineError(WorkError):
    """A line of a JSON Lines file is not JSON."""


def read_json(path: Path) -> Any:
    """Returns the document in a UTF-8 file. Raises OSError or ValueError if it cannot be read."""
    return json.loads(path.read_text(encoding="utf-8"))


def write_json(path: Path, value: Any) -> None:
    """Writes an indented document with sorted keys, whole or not at all."""
    text = json.dumps(value, indent=1, ensure_ascii=False, sort_keys=True)
    write_text(path, text + "\n")


def read_lines(path: Path) -> Iterator[Any]:
    """Yields the values of a JSON Lines file; empty lines are passed over.

    Raises LineError with the file and the line number if a line is not JSON.
    """
    with path.open(encoding="utf-8") as file:
        for number, line in enumerate(file, 1):
            if line.strip():
                yield _value(path, number, line)


def _value(path: Path, number: int, line: str) -> Any:
    try:
        return json.loads(line)
    except ValueError as error:
        raise LineError(f"{path}, line {number} is not JSON: {error}.") from error


def write_lines(path: Path, values: Iterable[Any]) -> None:
    """Writes one value a line, with Korean text as it is, whole or not at all.

    One line at a time is in memory.
    """
    with replacing(path) as neighbour, neighbour.open("w", encoding="utf-8") as file:
        for value in values:
            file.write(json.dumps(value, ensure_ascii=False) + "\n")
