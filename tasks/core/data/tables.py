"""Rows of a local data file in bounded memory: parquet, JSON lines, a JSON array, or CSV with a
header.

Every row of the file comes out, in its order, as a dict or as the reason why it is none, so that
counts add up.
"""

import csv
import itertools
import json
import re
from collections.abc import Callable, Collection, Iterator
from pathlib import Path
from typing import IO, Any, AnyStr

import pyarrow as pa
import pyarrow.parquet as pq

from tasks.core.errors import RequestError

FORMATS = (".parquet", ".jsonl", ".json", ".csv")
"""Endings of the files that can be read, the preferred one first."""

LONGEST_ROW = 16 << 20
"""Bytes of a line (characters of a CSV's or a JSON array's row) above which a file is refused: a
file without line ends would have to be held whole in memory, several times over.
"""

_BATCH_ROWS = 1_000
_BUFFER_BYTES = 1 << 20  # of a parquet column, so that a row group is never held whole
_CHUNK_CHARS = 1 << 20
_SEPARATORS = re.compile(r"[\s,]*")
_PEEK_ROWS = 100  # rows of a JSON file whose keys are its columns
_EXCERPT = 60  # characters of a broken line in an error
_UTF8_MARK = b"\xef\xbb\xbf"
_UTF16_MARKS = (b"\xff\xfe", b"\xfe\xff")

Rows = Iterator[dict[str, Any] | str]


def read_rows(file: Path, columns: Collection[str] | None = None) -> Rows:
    """The file's rows as dicts of the named columns (None: all), or a reason in place of a row that
    has no dict.

    Raises RequestError with the file, and the line if there is one, for what is not the format its
    name says.
    """
    read = _reader_for(file)
    _refuse_without_text(file)
    try:
        yield from read(file, columns)
    except UnicodeDecodeError as error:
        raise _not_utf8(file, error) from error


def read_columns(file: Path) -> list[str]:
    """The file's column names; of a JSON file, the keys of its first rows."""
    _refuse_without_text(file)
    if file.suffix.lower() == ".parquet":
        return _open_parquet(file).schema_arrow.names
    if file.suffix.lower() == ".csv":
        return _csv_header(file)
    names: dict[str, None] = {}
    for row in itertools.islice(read_rows(file), _PEEK_ROWS):
        if isinstance(row, dict):
            names.update(dict.fromkeys(row))
    return list(names)


def table_files(folder: Path, name: str) -> list[Path]:
    """The files NAME.EXT, or NAME.00000.EXT and on, in their order."""
    return sorted(file for file in folder.glob(f"{name}.*") if file.suffix in FORMATS)


def _reader_for(file: Path) -> Callable[[Path, Collection[str] | None], Rows]:
    readers = {
        ".parquet": _read_parquet,
        ".jsonl": _read_lines,
        ".json": _read_json,
        ".csv": _read_csv,
    }
    ending = file.suffix.lower()
    if ending not in readers:
        raise RequestError(
            f"{file} is none of {', '.join(FORMATS)}: convert it, or give it its true ending."
        )
    return readers[ending]


def _refuse_without_text(file: Path) -> None:
    """Refuses what holds no text at all, before a reader says something less clear about it."""
    if not file.is_file():
        fault = "a folder" if file.is_dir() else "not there"
        raise RequestError(f"{file} is {fault}: name a file.")
    with file.open("rb") as start:
        head = start.read(4)
    if not head:
        raise RequestError(
            f"{file} is empty (0 bytes): write or fetch it again, or name another file."
        )
    is_text = file.suffix.lower() != ".parquet"
    if is_text and (head.startswith(_UTF16_MARKS) or b"\0" in head):
        raise RequestError(
            f"{file} is not UTF-8 but looks like UTF-16, or was never written out: save it as"
            " UTF-8."
        )


def _read_parquet(file: Path, columns: Collection[str] | None) -> Rows:
    with _open_parquet(file) as parquet:
        names = parquet.schema_arrow.names
        if columns is not None:
            names = [name for name in names if name in columns]
        try:
            for batch in parquet.iter_batches(_BATCH_ROWS, columns=names, use_threads=False):
                yield from batch.to_pylist()
        except (pa.ArrowException, OSError) as error:
            raise _broken_parquet(file, error) from error


def _open_parquet(file: Path) -> pq.ParquetFile:
    try:
        return pq.ParquetFile(file, buffer_size=_BUFFER_BYTES, pre_buffer=False)
    except (pa.ArrowException, OSError) as error:
        raise _broken_parquet(file, error) from error


def _broken_parquet(file: Path, error: Exception) -> RequestError:
    return RequestError(f"{file} is not a whole parquet file ({error}): fetch or write it again.")


def _read_lines(file: Path, columns: Collection[str] | None) -> Rows:
    with file.open("rb") as text:
        for number, line in enumerate(_lines_of(text, file), start=1):
            if number == 1:
                line = line.removeprefix(_UTF8_MARK)
            if line.strip():
                yield _pick(_parse_line(line, file, number), columns)


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


def _lines_of(text: IO[AnyStr], file: Path) -> Iterator[AnyStr]:
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


def _read_json(file: Path, columns: Collection[str] | None) -> Rows:
    """A .json file is either one array of objects or JSON lines under another name."""
    if _first_character(file) == "[":
        return _read_array(file, columns)
    return _read_lines(file, columns)


def _first_character(file: Path) -> str:
    """The first character that is not white space; empty if there is none."""
    with file.open(encoding="utf-8-sig") as text:
        character = text.read(1)
        while character.isspace():
            character = text.read(1)
    return character


def _read_array(file: Path, columns: Collection[str] | None) -> Rows:
    decoder = json.JSONDecoder()
    with file.open(encoding="utf-8-sig") as text:
        buffer = text.read(_CHUNK_CHARS)
        position = buffer.index("[") + 1
        number = 1
        while True:
            position = _skip_separators(buffer, position)
            if buffer.startswith("]", position):
                return
            try:
                row, position = decoder.raw_decode(buffer, position)
            except (ValueError, RecursionError) as error:  # the row may go on behind the buffer
                more = text.read(_CHUNK_CHARS)
                buffer = buffer[position:] + more
                position = 0
                if not more or len(buffer) > LONGEST_ROW:
                    raise _broken_array(file, number, error, ended=not more) from error
                continue
            yield _pick(row, columns)
            number += 1


def _skip_separators(buffer: str, position: int) -> int:
    separators = _SEPARATORS.match(buffer, position)
    assert separators, "the pattern also matches no character at all"
    return separators.end()


def _broken_array(file: Path, number: int, error: Exception, ended: bool) -> RequestError:
    """The error for a row that is not whole at the end of the file, or of the longest row."""
    if ended:
        return RequestError(f"{file}, row {number}, is not JSON ({error}): mend the file.")
    return RequestError(
        f"{file}, row {number}, is not JSON ({error}), or is longer than {LONGEST_ROW >> 20} MiB:"
        " mend or remove it."
    )


def _read_csv(file: Path, columns: Collection[str] | None) -> Rows:
    """The rows of a CSV as RFC 4180 has it.

    An open quote is refused: read leniently, it would swallow the rest of the file.
    """
    csv.field_size_limit(LONGEST_ROW)
    with file.open(encoding="utf-8-sig", newline="") as text:
        reader = csv.reader(_lines_of(text, file), strict=True)
        try:
            header = next(reader, [])
            for fields in reader:
                if not fields:
                    continue  # an empty line is no row
                if len(fields) != len(header):
                    yield "wrong number of fields"
                    continue
                yield _pick(dict(zip(header, fields, strict=True)), columns)
        except csv.Error as error:
            raise RequestError(
                f"{file}, line {reader.line_num}, is not CSV ({error}): quote fields that hold"
                " commas, quotes or line breaks, and double the quotes inside."
            ) from error


def _csv_header(file: Path) -> list[str]:
    try:
        with file.open(encoding="utf-8-sig", newline="") as text:
            return next(csv.reader(_lines_of(text, file)), [])
    except csv.Error as error:
        raise RequestError(f"{file}, line 1, is not a CSV header ({error}).") from error
    except UnicodeDecodeError as error:
        raise _not_utf8(file, error) from error


def _not_utf8(file: Path, error: UnicodeDecodeError) -> RequestError:
    return RequestError(
        f"{file} is not UTF-8 ({error.reason} at byte {error.start}): save it as UTF-8."
    )


def _pick(row: Any, columns: Collection[str] | None) -> dict[str, Any] | str:
    """The row's values in the named columns, or why there are none."""
    if not isinstance(row, dict):
        return "not an object"
    if columns is None:
        return row
    return {name: row[name] for name in columns if name in row}


def _excerpt(line: bytes) -> str:
    text = line.decode("utf-8", "replace").strip()
    if len(text) > _EXCERPT:
        text = text[: _EXCERPT - 3] + "..."
    return repr(text)
