"""A market folder's months: which files hold them, and which columns they have.

A month is a folder year=YYYY/month=M, by its number: month=01 is month=1. Its rows lie in
data.parquet, or, where there is none, in all of its .parquet files, as pandas and Spark write them.
What is hidden (.name or _name) is never read. Reads only.
"""

import re
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as parquet

from tasks.core.errors import RequestError
from tasks.core.market.folder import INDEX, MACRO
from tasks.core.market.foreign_files import refuse_other_kinds

REQUIRED = ("date", "ticker", "close", "market_cap")
"""Without these columns there is no cap-weighted return; every other column may be missing."""

MOST_ROWS = 1_000_000
"""Rows that no month has: 23 days of some 4,000 stocks and funds are a tenth of it."""

_DATA = "data.parquet"
_MONTH_PATH = re.compile(r"year=(\d{4})/month=0*([1-9]|1[0-2])")


@dataclass(frozen=True, order=True)
class Partition:
    """A file that holds rows of one month. Partitions sort by month."""

    year: int
    month: int
    file: Path


@dataclass(frozen=True)
class _Shape:
    """What a parquet file's footer says."""

    rows: int
    types: dict[str, pa.DataType]  # by the column's name in lower case


def find_partitions(folder: Path) -> list[Partition]:
    """Returns the folder's partitions, oldest first; there are none if it is not there.

    Raises RequestError if two folders are the same month.
    """
    partitions = []
    for month_folder in folder.glob("year=*/month=*"):
        match = _MONTH_PATH.fullmatch(month_folder.relative_to(folder).as_posix())
        if match is not None:
            for file in _files_of_month(month_folder):
                partitions.append(Partition(int(match[1]), int(match[2]), file))
    partitions.sort()
    _refuse_two_spellings(partitions)
    return partitions


def list_partitions(folder: Path) -> list[Partition]:
    """Returns the folder's partitions, oldest first.

    Raises RequestError if there is no such folder, no partition in it, or one month twice.
    """
    if not folder.is_dir():
        raise RequestError(
            f"There is no market folder {folder}."
            f" Make one with `kospilot market import FILE --market {folder}`,"
            " or use the generated one: market.dir=demo."
        )
    partitions = find_partitions(folder)
    if partitions:
        return partitions
    unread = unread_files(folder)
    if unread:
        raise RequestError(
            f"{folder} holds no year=YYYY/month=M/data.parquet, but other parquet files"
            f" ({len(unread):,}, e.g. {unread[0]})."
            f" Make a market of them: `kospilot market import {unread[0]} --market NEW`."
        )
    raise RequestError(
        f"{folder} holds no year=YYYY/month=M/data.parquet."
        f" Fill it with `kospilot market import FILE --market {folder}`,"
        " or use the generated one: market.dir=demo."
    )


def market_files(folder: Path) -> list[Path]:
    """Returns the partitions' files, oldest first. Raises RequestError as list_partitions does."""
    return [partition.file for partition in list_partitions(folder)]


def unread_files(folder: Path) -> list[Path]:
    """Returns the parquet files in the folder that nothing reads, hidden ones aside."""
    read = {partition.file for partition in find_partitions(folder)}
    read |= {folder / MACRO, folder / INDEX}
    files = []
    for file in sorted(folder.rglob("*.parquet")):
        if file.is_file() and file not in read and not _is_hidden(file.relative_to(folder)):
            files.append(file)
    return files


def sound_partitions(folder: Path, until: str) -> list[Path]:
    """Returns the partitions that may hold days up to `until` (YYYY-MM-DD); at least one.

    until: with EVER, all of the folder. Raises RequestError as list_partitions does, and for the
    first partition that cannot be read or lacks a column.
    """
    last_month = (int(until[:4]), int(until[5:7]))
    partitions = list_partitions(folder)
    files = [
        partition.file
        for partition in partitions
        if (partition.year, partition.month) <= last_month
    ]
    if not files:
        files = [partitions[0].file]
    for file in files:
        problem = column_problem(file)
        if problem is not None:
            raise RequestError(problem)
    return files


def month_file(folder: Path, year: int, month: int, present: list[Partition]) -> Path:
    """Returns where an import writes a month: beside the month's files that are there, if any."""
    for partition in present:
        if (partition.year, partition.month) == (year, month):
            return partition.file.with_name(_DATA)
    return partition_file(folder, year, month)


def partition_file(folder: Path, year: int, month: int) -> Path:
    """Returns where a month's rows lie in a market folder that kospilot makes."""
    return folder / f"year={year}" / f"month={month}" / _DATA


def column_problem(file: Path) -> str | None:
    """Returns which required columns a partition lacks and what to do about it, or None.

    Raises RequestError, which names the file, if it is not whole parquet.
    """
    columns = read_columns(file)
    missing = [name for name in REQUIRED if name not in columns]
    if not missing:
        return None
    return (
        f"{file} has no column {', '.join(missing)}: it has {', '.join(columns)[:300]}."
        f" A partition needs {', '.join(REQUIRED)}. {import_anew(file)},"
        " market_cap with `--listing CSV` if the source has none."
    )


def numbered_partitions(files: list[Path]) -> list[Path]:
    """Returns the files whose days are not days but numbers or text, such as 20240102.

    Raises RequestError as `read_columns` does.
    """
    numbered = []
    for file in files:
        kind = _read_types(file).get("date")
        if kind is not None and not pa.types.is_temporal(kind):
            numbered.append(file)
    return numbered


def read_columns(file: Path) -> list[str]:
    """Returns a partition's column names, in lower case.

    Raises RequestError, which names the file, if it is not whole parquet, or holds more rows than a
    month can have: few bytes may unpack to gigabytes.
    """
    return list(_read_types(file))


def _read_types(file: Path) -> dict[str, pa.DataType]:
    """Returns the type of each column, by its name in lower case."""
    try:
        stat = file.stat()
        shape = _shape_of(file, stat.st_size, stat.st_mtime_ns)
    except (pa.ArrowException, OSError) as error:
        reason = str(error).splitlines()[0]
        raise RequestError(
            f"{file} cannot be read as parquet ({reason}). It was cut short or is something else:"
            " delete it and import its month again with `kospilot market import`."
        ) from error
    if shape.rows > MOST_ROWS:
        raise RequestError(
            f"{file} holds {shape.rows:,} rows; no month of KRX has {MOST_ROWS:,}."
            " It is another kind of table: move it out of the market folder."
        )
    return shape.types


@lru_cache(maxsize=4096)
def _shape_of(file: Path, size: int, modified: int) -> _Shape:
    """Returns a file's shape; it is remembered while size and time of change are the same."""
    refuse_other_kinds(file)
    metadata = parquet.read_metadata(file)
    schema = metadata.schema.to_arrow_schema()
    return _Shape(metadata.num_rows, {field.name.lower(): field.type for field in schema})


def import_anew(file: Path) -> str:
    """Returns the advice for a partition whose rows are whole, but written in another form."""
    return f"`kospilot market import {file} --market NEW` writes it so"


def _files_of_month(month_folder: Path) -> list[Path]:
    """Returns the files that hold a month's rows. What lies beside data.parquet does not count."""
    data = month_folder / _DATA
    if data.is_file():
        return [data]
    files = []
    for file in sorted(month_folder.glob("*.parquet")):
        if file.is_file() and not _is_hidden(file.relative_to(month_folder)):
            files.append(file)
    return files


def _is_hidden(path: Path) -> bool:
    return any(part.startswith((".", "_")) for part in path.parts)


def _refuse_two_spellings(partitions: list[Partition]) -> None:
    """Raises RequestError if a month lies in two folders, such as month=1 and month=01."""
    folders: dict[tuple[int, int], Path] = {}
    for partition in partitions:
        month = (partition.year, partition.month)
        here = partition.file.parent
        first = folders.setdefault(month, here)
        if first != here:
            raise RequestError(
                f"{first} and {here} are the same month: which rows count cannot be known."
                " Move one of them out of the market folder, then join its files:"
                " `kospilot market import FILE --market DIR`."
            )
