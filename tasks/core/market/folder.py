"""A market folder: its monthly partitions and what it says about itself.

Reads year=YYYY/month=M/data.parquet, and at the folder's root GENERATED.json (the prices are
invented), MARKET.json (market caps that come from a later listing's share count), macro.parquet
(see macro.py) and index.parquet (an imported index, for the plot). Every other file is ignored.
Writes partitions and the index, each file whole or not at all.
"""

import io
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as parquet

from tasks.core.errors import RequestError, WorkError
from tasks.core.files.atomic import replacing
from tasks.core.files.json_files import read_json
from tasks.core.settings.tree import Market

GENERATED = "GENERATED.json"
DESCRIPTION = "MARKET.json"
MACRO = "macro.parquet"
INDEX = "index.parquet"
REQUIRED = ("date", "ticker", "close", "market_cap")
"""Without these columns there is no cap-weighted return; every other column may be missing."""

_PARTITION_PATH = re.compile(r"year=(\d{4})/month=(\d{1,2})/data\.parquet")


def named_folder(market: Market, home: Path) -> Path:
    """Returns the folder that the settings name; the demo's lies under KOSPILOT_HOME."""
    if market.dir == "demo":
        return home / "market" / "demo"
    return Path(market.dir).expanduser()


@dataclass(frozen=True, order=True)
class Partition:
    """The file that holds one month's rows. Partitions sort by month."""

    year: int
    month: int
    file: Path


def list_partitions(folder: Path) -> list[Partition]:
    """Returns the folder's partitions, oldest first.

    Raises RequestError if there is no such folder or no partition in it.
    """
    if not folder.is_dir():
        raise RequestError(
            f"There is no market folder {folder}."
            f" Make one with `kospilot market import FILE --market {folder}`,"
            " or use the generated one: market.dir=demo."
        )
    partitions = []
    for file in folder.glob("year=*/month=*/data.parquet"):
        partition = _partition_at(folder, file)
        if partition is not None:
            partitions.append(partition)
    if not partitions:
        raise RequestError(
            f"{folder} holds no year=YYYY/month=M/data.parquet."
            f" Fill it with `kospilot market import FILE --market {folder}`,"
            " or use the generated one: market.dir=demo."
        )
    return sorted(partitions)


def _partition_at(folder: Path, file: Path) -> Partition | None:
    """Returns the partition at a path, or None if the path names no month."""
    match = _PARTITION_PATH.fullmatch(file.relative_to(folder).as_posix())
    if match is None:
        return None
    year, month = int(match[1]), int(match[2])
    if not 1 <= month <= 12:
        return None
    return Partition(year, month, file)


def market_files(folder: Path) -> list[Path]:
    """Returns the partitions' files, oldest first. Raises RequestError as list_partitions does."""
    return [partition.file for partition in list_partitions(folder)]


def sound_partitions(folder: Path, until: str) -> list[Path]:
    """Returns the files of the months up to that of `until` (YYYY-MM-DD).

    A later month cannot matter, broken or not. If all months are later, the first one stands for
    the folder. Raises RequestError as list_partitions does, and for the first partition that cannot
    be read or lacks a column.
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
        missing = missing_columns(file)
        if missing:
            raise RequestError(
                f"{file} has no column {', '.join(missing)}."
                f" A partition needs {', '.join(REQUIRED)}; `kospilot market import` writes them,"
                " market_cap with `--listing CSV` if the source has none."
            )
    return files


def partition_file(folder: Path, year: int, month: int) -> Path:
    """Returns where a month's rows lie in a market folder, whether or not they are there."""
    return folder / f"year={year}" / f"month={month}" / "data.parquet"


def missing_columns(file: Path) -> list[str]:
    """Returns the required columns that a partition lacks.

    Raises RequestError, which names the file, if it is not whole parquet.
    """
    columns = read_columns(file)
    return [name for name in REQUIRED if name not in columns]


def read_columns(file: Path) -> list[str]:
    """Returns a partition's column names, in lower case.

    Raises RequestError, which names the file, if it is not whole parquet.
    """
    try:
        return [name.lower() for name in parquet.read_schema(file).names]
    except (pa.ArrowException, OSError) as error:
        reason = str(error).splitlines()[0]
        raise RequestError(
            f"{file} cannot be read as parquet ({reason}). It was cut short or is something else:"
            " delete it and import its month again with `kospilot market import`."
        ) from error


def write_parquet(file: Path, table: pa.Table) -> bool:
    """Writes a table whole or not at all; returns False if these very bytes are there already.

    Raises WorkError if the file cannot be written.
    """
    sink = io.BytesIO()
    parquet.write_table(table.combine_chunks(), sink, compression="zstd")
    content = sink.getvalue()
    try:
        if file.exists() and file.read_bytes() == content:
            return False
        with replacing(file) as neighbour:
            neighbour.write_bytes(content)
    except OSError as error:
        raise WorkError(
            f"{file} cannot be written ({error.strerror})."
            " What was written before it stays: make room or give access, then do the same again."
        ) from error
    return True


def is_generated(folder: Path) -> bool:
    """Whether the folder's prices are invented."""
    return (folder / GENERATED).is_file()


def described_by(folder: Path) -> list[Path]:
    """Returns the files at the folder's root that shape the market artifact, partitions aside."""
    files = [folder / name for name in (GENERATED, DESCRIPTION, MACRO)]
    return [file for file in files if file.is_file()]


def read_description(folder: Path) -> dict[str, Any]:
    """Returns what MARKET.json says, or {} if there is none.

    Raises RequestError if the file is not JSON.
    """
    file = folder / DESCRIPTION
    if not file.is_file():
        return {}
    try:
        return read_json(file)
    except ValueError as error:
        raise RequestError(
            f"{file} is not JSON ({error}). Delete it and import the market's files again."
        ) from error


def marks_of(folder: Path) -> dict[str, Any]:
    """Returns what must be said wherever the folder's numbers go.

    The marks are {"generated": bool, "market_cap_listings": [date, ...]}: whether the prices are
    invented, and which listings market caps come from.
    """
    listings = read_description(folder).get("market_cap_listings", [])
    return {"generated": is_generated(folder), "market_cap_listings": listings}
