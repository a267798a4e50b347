"""JSON documents and JSON Lines files of kospilot's own: how they are read and written.

All is UTF-8 with Korean text as it is. A file appears whole or not at all, apart from one to which
a line is appended while the work goes on. Other people's data sets, in more forms and of any size,
are read by data/tables.
"""

import codecs
import json
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from tasks.core.errors import WorkError
from tasks.core.files.atomic import replacing, write_text


class LineError(WorkError):
    """A line of a JSON Lines file is not JSON."""


def read_json(path: Path) -> Any:
    """Returns the document in a UTF-8 file. Raises OSError or ValueError if it cannot be read."""
    try:
        return json.loads(path.read_text(encoding="utf-8-sig"))
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def write_json(path: Path, value: Any) -> None:
    """Writes an indented document with sorted keys, whole or not at all."""
    text = json.dumps(value, indent=1, ensure_ascii=False, sort_keys=True)
    write_text(path, text + "\n")


def read_lines(path: Path) -> Iterator[Any]:
    """Yields the values of a JSON Lines file; empty lines are passed over.

    Raises LineError with the file and the line number if a line is not JSON.
    """
    for _, value in numbered_lines(path):
        yield value


def numbered_lines(path: Path) -> Iterator[tuple[int, Any]]:
    """Yields what read_lines does, each value after the number of its line, from 1."""
    with path.open("rb") as file:
        for number, line in enumerate(file, 1):
            if line.strip():
                yield number, _value(path, number, line)


def read_whole_objects(path: Path) -> list[dict[str, Any]]:
    """Returns the objects of a file that lines are appended to; there are none without the file.

    A process that was killed may have left a torn line. It is passed over: a part of an object is
    never JSON.
    """
    if not path.exists():
        return []
    objects = []
    for number, line in enumerate(path.read_bytes().split(b"\n"), 1):
        try:
            value = _value(path, number, line)
        except LineError:
            continue
        if isinstance(value, dict):
            objects.append(value)
    return objects


def read_encoded(path: Path) -> list[bytes]:
    """Returns the lines of a file as json.loads takes them, which need less memory than values."""
    with path.open("rb") as file:
        return [line for line in file if line.strip()]


def write_lines(path: Path, values: Iterable[Any]) -> None:
    """Writes one value a line, whole or not at all. One line at a time is in memory."""
    write_encoded(path, map(encode_line, values))


def write_encoded(path: Path, lines: Iterable[bytes]) -> None:
    """Writes lines that `encode_line` made, whole or not at all."""
    with replacing(path) as neighbour, neighbour.open("wb") as file:
        file.writelines(lines)


def append_line(path: Path, value: Any) -> None:
    """Adds a value's line at the end of a file, so that a machine that stops now keeps it."""
    with path.open("ab") as file:
        file.write(encode_line(value))
        file.flush()
        os.fsync(file.fileno())


def encode_line(value: Any) -> bytes:
    """Returns a value as one line of a file."""
    return json.dumps(value, ensure_ascii=False).encode() + b"\n"


def _value(path: Path, number: int, line: bytes) -> Any:
    if number == 1:
        line = line.removeprefix(codecs.BOM_UTF8)
    try:
        return json.loads(line.decode())
    except (ValueError, RecursionError) as error:
        raise LineError(f"{path}, line {number} is not JSON: {error}.") from error
