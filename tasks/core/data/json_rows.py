"""Rows of JSON files in bounded memory, in the shapes that people write them: one object a line, an
array, an object that holds the array, or objects one after another over any number of lines.

A value that is no object comes out as it is; the caller says so.
"""

import itertools
import json
import re
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import IO, Any, AnyStr

from tasks.core.errors import RequestError

LONGEST_ROW = 16 << 20
"""Bytes of a line (characters of a CSV's or a JSON array's row) above which a file is refused: a
file without line ends would have to be held whole in memory, several times over.
"""

UTF8_MARK = b"\xef\xbb\xbf"

_CHUNK_CHARS = 1 << 20
_HEAD_CHARS = 1 << 12
_SEPARATORS = re.compile(r"[\s,]*")
_EXCERPT = 60  # characters of a broken line in an error

# An object whose rows lie under one of the usual names, behind members that are no lists.
_WRAPPED = re.compile(
    r'\s*\{\s*(?:"[^"]*"\s*:\s*(?:"[^"]*"|[\w.+-]+)\s*,\s*)*'
    r'"(?:data|rows|train|examples|instances|items|records)"\s*:\s*(?=\[\s*\{)'
)


def read_json_values(file: Path) -> Iterator[Any]:
    """The values that stand for rows, in their order.

    Raises RequestError with the file and the line or row for what is not JSON, and for a file of
    columns, as pandas' to_json writes them.
    """
    with file.open(encoding="utf-8-sig", errors="replace") as text:
        head = text.read(_HEAD_CHARS)
    wrapped = _WRAPPED.match(head)
    if wrapped and not _has_a_row_a_line(file):
        yield from _read_array(file, wrapped.end(), wrapped='{"": 0')
    elif head.lstrip().startswith("["):
        yield from _read_array(file, 0, wrapped="")
    elif _is_a_row(_first_line(file)):
        yield from _refuse_columns(file, _read_lines(file))
    else:
        yield from _refuse_columns(file, _read_objects(file))


def _has_a_row_a_line(file: Path) -> bool:
    """Whether the first line is a whole value, and others follow."""
    with file.open("rb") as text:
        first = text.readline(LONGEST_ROW).removeprefix(UTF8_MARK)
        follows = any(text.readline(64).strip() for _ in range(10))
    return follows and _is_json(first)


def _is_json(line: bytes) -> bool:
    try:
        json.loads(line)
    except (ValueError, RecursionError):
        return False
    return True


def lines_of(text: IO[AnyStr], file: Path) -> Iterator[AnyStr]:
    """The lines of an open file; one that is too long is refused before it is read to its end."""
    for number in itertools.count(1):
        line = text.readline(LONGEST_ROW + 1)
        if not line:
            return
        if len(line) > LONGEST_ROW:
            raise RequestError(
                f"{file}, line {number}, is longer than {LONGEST_ROW >> 20} MiB, which no row of"
                " text is: end every row with a line break, or remove it."
            )
        yield line


def _first_line(file: Path) -> bytes:
    with file.open("rb") as text:
        for line in lines_of(text, file):
            line = line.removeprefix(UTF8_MARK)
            if line.strip():
                return line
    return b""


def _is_a_row(line: bytes) -> bool:
    """Whether a file that begins with this line has a row a line, whole or broken.

    The first line of an object over several lines ends before the object does, behind a brace or a
    comma; that of objects in one line goes on behind the first.
    """
    try:
        json.loads(line)
    except RecursionError:
        return True
    except ValueError as error:
        goes_on = isinstance(error, json.JSONDecodeError) and error.msg == "Extra data"
        return not goes_on and not line.strip().endswith((b"{", b","))
    return True


def _read_lines(file: Path) -> Iterator[Any]:
    with file.open("rb") as text:
        for number, line in enumerate(lines_of(text, file), start=1):
            if number == 1:
                line = line.removeprefix(UTF8_MARK)
            if line.strip():
                yield _parse_line(line, file, number)


def _parse_line(line: bytes, file: Path, number: int) -> Any:
    try:
        return json.loads(line.decode("utf-8"))
    except UnicodeDecodeError as error:
        raise RequestError(
            f"{file}, line {number}, is not UTF-8: save the file as UTF-8."
        ) from error
    except (ValueError, RecursionError) as error:
        raise RequestError(
            f"{file}, line {number}, is not JSON ({error}): {_excerpt(line)}. Mend or remove the"
            " line; a last line cut short is the mark of an interrupted writer."
        ) from error


def _excerpt(line: bytes) -> str:
    text = line.decode("utf-8", "replace").strip()
    if len(text) > _EXCERPT:
        text = text[: _EXCERPT - 3] + "..."
    return repr(text)


def _read_array(file: Path, begin: int, wrapped: str) -> Iterator[Any]:
    """The values of an array that begins at or behind a character of the file.

    wrapped: how an object begins that ends as the one around the array does. Raises RequestError if
    more follows, which would be lost.
    """
    with file.open(encoding="utf-8-sig") as text:
        text.read(begin)
        buffer = text.read(_CHUNK_CHARS)
        rest = yield from _values(file, text, buffer[buffer.index("[") + 1 :], end="]")
        rest += text.read(_CHUNK_CHARS)
    if not _ends(wrapped, rest):
        raise RequestError(
            f"{file} goes on behind its array of rows: {_excerpt(rest.strip().encode())}. Write all"
            " rows into one array, or one object a line."
        )


def _ends(wrapped: str, rest: str) -> bool:
    """Whether a file ends with its array, or with the object around it, as far as it was read."""
    if not wrapped:
        return not rest.strip()
    return len(rest) >= _CHUNK_CHARS or _is_json((wrapped + rest).encode())


def _read_objects(file: Path) -> Iterator[Any]:
    """Values one after another, over as many lines as they take."""
    with file.open(encoding="utf-8-sig") as text:
        yield from _values(file, text, text.read(_CHUNK_CHARS), end="")


def _values(file: Path, text: IO[str], buffer: str, end: str) -> Generator[Any, None, str]:
    """The values up to a character, or to the end of the file if it is empty.

    Returns what was read behind them.
    """
    decoder = json.JSONDecoder()
    position = 0
    number = 1
    while True:
        position = _skip_separators(buffer, position)
        if end and buffer.startswith(end, position):
            return buffer[position + 1 :]
        try:
            value, position = decoder.raw_decode(buffer, position)
        except (ValueError, RecursionError) as error:  # the value may go on behind the buffer
            more = text.read(_CHUNK_CHARS)
            buffer = buffer[position:] + more
            position = 0
            if not more and not end and not buffer:
                return ""
            if not more or len(buffer) > LONGEST_ROW:
                raise _broken_row(file, number, error, ended=not more) from error
            continue
        yield value
        number += 1


def _skip_separators(buffer: str, position: int) -> int:
    separators = _SEPARATORS.match(buffer, position)
    assert separators, "the pattern also matches no character at all"
    return separators.end()


def _broken_row(file: Path, number: int, error: Exception, ended: bool) -> RequestError:
    """The error for a row that is not whole at the end of the file, or of the longest row."""
    if ended:
        return RequestError(f"{file}, row {number}, is not JSON ({error}): mend the file.")
    return RequestError(
        f"{file}, row {number}, is not JSON ({error}), or is longer than {LONGEST_ROW >> 20} MiB:"
        " mend or remove it."
    )


def _refuse_columns(file: Path, values: Iterator[Any]) -> Iterator[Any]:
    """The values, unless the only one is an object of columns, each with all its cells."""
    first = list(itertools.islice(values, 2))
    if len(first) == 1 and _holds_columns(first[0]):
        names = ", ".join(first[0])
        raise RequestError(
            f"{file} holds columns ({names}), not rows: write it with pandas'"
            " to_json(orient='records', lines=True, force_ascii=False)."
        )
    return itertools.chain(first, values)


def _holds_columns(value: Any) -> bool:
    if not isinstance(value, dict) or len(value) < 2:
        return False
    cells = list(value.values())
    if not all(isinstance(column, (list, dict)) for column in cells):
        return False
    return len({len(column) for column in cells}) == 1 and len(cells[0]) > 1
