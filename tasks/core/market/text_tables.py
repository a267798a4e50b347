"""CSV and its kin as spreadsheets and brokers write them.

UTF-8, CP949 or UTF-16; commas, tabs, semicolons or bars; lines above the header. Reads a file in
bounded memory, every cell as text: a code read as a number loses its leading zeros.
"""

import codecs
import csv as python_csv
import io
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.csv as csv

from tasks.core.errors import RequestError
from tasks.core.market.headers import count_known

SEPARATORS = (",", "\t", ";", "|")
_START = 1 << 16  # bytes in which the header must stand
_LINES_ABOVE = 30  # lines above the header that are passed over at most
_BLOCK = 4 << 20  # bytes that are parsed at a time
_EXCERPT = 80  # characters of a line in a message


@dataclass(frozen=True)
class Layout:
    """How a text file is written."""

    encoding: str
    separator: str
    headers: list[str]
    header_ends: int  # number of the header's last line, from 1
    above: list[str]  # the lines above the header that are not empty


def find_layout(file: Path) -> Layout:
    """Returns how a text file is written.

    The header is the first line with two headers that we know, or else the first line that is not
    empty. Raises RequestError if the file is empty, in none of the encodings, or without a header.
    """
    encoding = _encoding_of(file)
    start = _decode_start(file, encoding)
    if not start.strip():
        raise RequestError(f"{file} is empty: fetch or write it again.")
    for separator in SEPARATORS:
        layout = _layout_with(start, encoding, separator, least_known=2)
        if layout is not None:
            return layout
    first = next(line for line in start.splitlines() if line.strip())
    counts = {separator: first.count(separator) for separator in SEPARATORS}
    separator = max(counts, key=lambda candidate: counts[candidate])
    layout = _layout_with(start, encoding, separator, least_known=0)
    if layout is None:  # a line's quote may be open, so that all lines are one
        raise RequestError(
            f"{file} has no header in its first {_LINES_ABOVE} lines: it begins with"
            f" {first[:_EXCERPT]!r}. Let it begin with the names of its columns, and close every"
            " quote."
        )
    return layout


def read_text(file: Path, layout: Layout, positions: list[int]) -> Iterator[pa.RecordBatch]:
    """Yields the rows under the header: the columns at these positions, as text.

    The columns are named by their positions. Raises RequestError for a line with another number of
    fields than the header; pa.ArrowException, OSError or UnicodeError for damage.
    """
    names = [str(position) for position in range(len(layout.headers))]
    chosen = [str(position) for position in positions]
    reading = csv.ReadOptions(
        encoding=layout.encoding,
        skip_rows=layout.header_ends,
        column_names=names,
        block_size=_BLOCK,
    )
    parsing = csv.ParseOptions(delimiter=layout.separator, newlines_in_values=True)
    conversion = csv.ConvertOptions(
        column_types=dict.fromkeys(chosen, pa.string()), include_columns=chosen
    )
    try:
        with _open(file) as stream:
            yield from csv.open_csv(stream, reading, parsing, conversion)
    except pa.ArrowInvalid as error:
        if "Empty CSV file" in str(error):
            return  # a header and nothing below it
        reason = _odd_line(file, layout)
        if reason is None:
            raise
        raise RequestError(f"{file}, {reason}") from error


def _open(file: Path) -> pa.NativeFile:
    with file.open("rb") as stream:
        packed = stream.read(2) == b"\x1f\x8b"
    return pa.input_stream(file, compression="gzip" if packed else None)


def _encoding_of(file: Path) -> str:
    """Returns the encoding that the first bytes beyond ASCII show: a file may begin with many."""
    with _open(file) as stream:
        chunk = stream.read(_START)
        if chunk.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
            return "utf-16"
        if b"\0" in chunk:
            return "utf-16-le" if b"\0" in chunk[1:40:2] else "utf-16-be"
        while chunk:
            if not chunk.isascii():
                return _encoding_of_bytes(file, chunk)
            chunk = stream.read(1 << 20)
    return "utf-8"


def _encoding_of_bytes(file: Path, chunk: bytes) -> str:
    for encoding in ("utf-8", "cp949"):
        try:
            # A chunk may end within a character, and with this decoder that is no error.
            codecs.getincrementaldecoder(encoding)().decode(chunk)
        except UnicodeDecodeError:
            continue
        return encoding
    raise RequestError(f"{file} is neither UTF-8, CP949 nor UTF-16 text: save it as UTF-8.")


def _decode_start(file: Path, encoding: str) -> str:
    with _open(file) as stream:
        start = stream.read(_START)
    return codecs.getincrementaldecoder(encoding)().decode(start).removeprefix("\ufeff")


def _layout_with(start: str, encoding: str, separator: str, least_known: int) -> Layout | None:
    """Returns the layout with the first line that holds enough headers that we know, or None."""
    reader = python_csv.reader(io.StringIO(start, newline=""), delimiter=separator)
    above: list[str] = []
    try:
        for cells in reader:
            if reader.line_num > _LINES_ABOVE:
                return None
            headers = [cell.strip() for cell in cells]
            if any(headers) and count_known(headers) >= least_known:
                return Layout(encoding, separator, headers, reader.line_num, above)
            if any(headers):
                above = [*above, separator.join(cells)[:_EXCERPT]]
    except python_csv.Error:  # a field longer than any header
        return None
    return None


def _odd_line(file: Path, layout: Layout) -> str | None:
    """Returns what is odd in the first line with another number of fields than the header."""
    expected = len(layout.headers)
    with _open(file) as stream, io.TextIOWrapper(stream, layout.encoding, newline="") as text:
        reader = python_csv.reader(text, delimiter=layout.separator)
        for cells in reader:
            if reader.line_num > layout.header_ends and cells and len(cells) != expected:
                excerpt = layout.separator.join(cells)[:_EXCERPT]
                return (
                    f"line {reader.line_num}, has {_fields(len(cells))}, the header has {expected}:"
                    f" {excerpt!r}. {_advice(cells, expected)}"
                )
    return None


def _fields(count: int) -> str:
    return f"{count} field" if count == 1 else f"{count} fields"


def _advice(cells: list[str], expected: int) -> str:
    if len(cells) > expected and not any(cells[expected:]):
        return "Remove the separator at the line's end."
    if len(cells) > expected:
        return "Put a value that holds the separator into double quotes."
    return "The line was cut short or is no row: complete or remove it."
