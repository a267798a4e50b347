"""Rows of a local data file in bounded memory: parquet, JSON lines, a JSON array, or CSV with a
header.

Every row of the file comes out, in its order, as a dict or as the reason why it is none, so that
counts add up.
"""

import csv
import itertools
import json
import re
from collections.abc import Collection, Iterator, Sequence
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
_BETWEEN_ROWS = re.compile(r"[\s,]*")
_PEEK_ROWS = 100  # rows of a JSON file whose keys are its columns

Rows = Iterator[dict[str, Any] | str]


def read_rows(file: Path, columns: Collection[str] | None = None) -> Rows:
    """The file's rows as dicts of the named columns (None: all), or a reason in place of a row that
    has no dict.

    Raises RequestError with the file, and the line where there is one, for what is not the format
    its name says.
    """
    readers = {
        ".parquet": _read_parquet,
        ".jsonl": _read_lines,
        ".json": _read_json,
        ".csv": _read_csv,
    }
    if file.suffix.lower() not in readers:
        raise RequestError(
            f"{file} is none of {', '.join(FORMATS)}: convert it, or give it its true ending."
        )
    _refuse_hollow(file)
    try:
        yield from readers[file.suffix.lower()](file, columns)
    except UnicodeDecodeError as error:
        raise _not_utf8(file, error) from error


def read_columns(file: Path) -> list[str]:
    """The file's column names; of a JSON file, the keys of its first rows."""
    _refuse_hollow(file)
    if file.suffix.lower() == ".parquet":
        return _open_parquet(file).schema_arrow.names
    if file.suffix.lower() == ".csv":
        return _csv_header(file)
    names: dict[str, None] = {}
    for row in itertools.islice(read_rows(file), _PEEK_ROWS):
        names.update(dict.fromkeys(row if isinstance(row, dict) else ()))
    return list(names)


def _refuse_hollow(file: Path) -> None:
    """Refuses what holds no text at all, before a reader says something less clear about it."""
    if not file.is_file():
        raise RequestError(
            f"{file} is {'a folder' if file.is_dir() else 'not there'}: name a file."
        )
    with file.open("rb") as start:
        head = start.read(4)
    if not head:
        raise RequestError(
            f"{file} is empty (0 bytes): write or fetch it again, or name another file."
        )
    if file.suffix.lower() != ".parquet" and (
        head.startswith((b"\xff\xfe", b"\xfe\xff")) or b"\0" in head
    ):
        raise RequestError(
            f"{file} is not UTF-8 but looks like UTF-16, or was never written out: save it as UTF-8."
        )


def _read_parquet(file: Path, columns: Collection[str] | None) -> Rows:
    with _open_parquet(file) as parquet:
        chosen = [name for name in parquet.schema_arrow.names if columns is None or name in columns]
        try:
            for batch in parquet.iter_batches(_BATCH_ROWS, columns=chosen, use_threads=False):
                yield from batch.to_pylist()
        except (pa.ArrowException, OSError) as error:
            raise _broken(file, error) from error


def _open_parquet(file: Path) -> pq.ParquetFile:
    try:
        return pq.ParquetFile(file, buffer_size=_BUFFER_BYTES, pre_buffer=False)
    except (pa.ArrowException, OSError) as error:
        raise _broken(file, error) from error


def _broken(file: Path, error: Exception) -> RequestError:
    return RequestError(f"{file} is not a whole parquet file ({error}): fetch or write it again.")


def _read_lines(file: Path, columns: Collection[str] | None) -> Rows:
    with file.open("rb") as text:
        for number, line in enumerate(_lines_of(text, file), start=1):
            if number == 1:
                line = line.removeprefix(b"\xef\xbb\xbf")
            if not line.strip():
                continue
            try:
                row = json.loads(line.decode("utf-8"))
            except UnicodeDecodeError as error:
                raise RequestError(
                    f"{file}, line {number}, is not UTF-8: save the file as UTF-8."
                ) from error
            except (ValueError, RecursionError) as error:
                raise RequestError(
                    f"{file}, line {number}, is not JSON ({error}): {_excerpt(line)}. Mend or remove the line;"
                    " a last line cut short is the mark of an interrupted writer."
                ) from error
            yield _pick(row, columns)


def _lines_of(text: IO[AnyStr], file: Path) -> Iterator[AnyStr]:
    """The lines of an open file; one that is too long is refused before it is read to its end."""
    for number in itertools.count(1):
        line = text.readline(LONGEST_ROW + 1)
        if not line:
            return
        if len(line) > LONGEST_ROW:
            raise _too_long(f"{file}, line {number},")
        yield line


def _too_long(where: str) -> RequestError:
    return RequestError(
        f"{where} is longer than {LONGEST_ROW >> 20} MiB, which no row of text is: end every row with a line break,"
        " or remove it."
    )


def _read_json(file: Path, columns: Collection[str] | None) -> Rows:
    """A .json file is either one array of objects or JSON lines under another name."""
    with file.open(encoding="utf-8-sig") as text:
        while (first := text.read(1)).isspace():
            pass
    yield from _read_array(file, columns) if first == "[" else _read_lines(file, columns)


def _read_array(file: Path, columns: Collection[str] | None) -> Rows:
    decode, number = json.JSONDecoder().raw_decode, 0
    with file.open(encoding="utf-8-sig") as text:
        buffer = text.read(_CHUNK_CHARS)
        place = buffer.index("[") + 1
        while True:
            place = _BETWEEN_ROWS.match(buffer, place).end()
            if buffer.startswith("]", place):
                return
            try:
                row, place = decode(buffer, place)
            except (ValueError, RecursionError) as error:
                more = text.read(_CHUNK_CHARS)
                if not more:
                    raise RequestError(
                        f"{file}, row {number + 1}, is not JSON ({error}): mend the file."
                    ) from error
                buffer, place = buffer[place:] + more, 0
                if len(buffer) > LONGEST_ROW:
                    raise RequestError(
                        f"{file}, row {number + 1}, is not JSON ({error}), or is longer than {LONGEST_ROW >> 20} MiB:"
                        " mend or remove it."
                    ) from error
                continue
            number += 1
            yield _pick(row, columns)


def _read_csv(file: Path, columns: Collection[str] | None) -> Rows:
    """CSV as RFC 4180 has it. An open quote is refused: read leniently it would swallow the rest of
    the file.
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
                f"{file}, line {reader.line_num}, is not CSV ({error}): quote fields that hold commas, quotes or line"
                " breaks, and double the quotes inside."
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
    if not isinstance(row, dict):
        return "not an object"
    return row if columns is None else {name: row[name] for name in columns if name in row}


def _excerpt(line: bytes) -> str:
    text = line.decode("utf-8", "replace").strip()
    return repr(text if len(text) <= 60 else text[:57] + "...")


def table_files(folder: Path, name: str) -> Sequence[Path]:
    """The files NAME.EXT, or NAME.00000.EXT and on, in their order."""
    return sorted(file for file in folder.glob(f"{name}.*") if file.suffix in FORMATS)
