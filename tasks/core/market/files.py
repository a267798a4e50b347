"""A market folder: its daily partitions and what it says about itself.

Reads year=YYYY/month=M/data.parquet, and at the folder's root GENERATED.json (the prices are
invented), MARKET.json (market caps that come from a later listing's share count), macro.parquet
(see macro.py) and index.parquet (an imported index, for the plot). Every other file is ignored.
"""

import contextlib
import io
import json
import os
import re
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as parquet

from tasks.core.errors import RequestError, WorkError

GENERATED = "GENERATED.json"
DESCRIPTION = "MARKET.json"
MACRO = "macro.parquet"
INDEX = "index.parquet"
REQUIRED = ("date", "ticker", "close", "market_cap")
"""Without these there is no cap-weighted return; every other column may be missing."""

_PARTITION = re.compile(r"year=(\d{4})/month=(\d{1,2})/data\.parquet")


def market_files(folder: Path) -> list[Path]:
    """The partitions, oldest first. Raises RequestError where there is no folder, or no partition
    in it.
    """
    if not folder.is_dir():
        raise RequestError(
            f"There is no market folder {folder}. Make one with `kospilot market import FILE --market {folder}`,"
            " or use the generated one: market.dir=demo."
        )
    found = [
        (partition_month(file, folder), file) for file in folder.glob("year=*/month=*/data.parquet")
    ]
    files = [file for month, file in sorted(entry for entry in found if entry[0])]
    if not files:
        raise RequestError(
            f"{folder} holds no year=YYYY/month=M/data.parquet."
            f" Fill it with `kospilot market import FILE --market {folder}`, or use the generated one: market.dir=demo."
        )
    return files


def partition_month(file: Path, folder: Path) -> tuple[int, int] | None:
    """(year, month) that a partition's path names, or None for a path that is none."""
    match = _PARTITION.fullmatch(file.relative_to(folder).as_posix())
    return (int(match[1]), int(match[2])) if match and 1 <= int(match[2]) <= 12 else None


def partition_file(folder: Path, year: int, month: int) -> Path:
    return folder / f"year={year}" / f"month={month}" / "data.parquet"


def read_columns(file: Path) -> list[str]:
    """A partition's column names, in lower case. Raises RequestError naming a file that is not
    whole parquet.
    """
    try:
        return [name.lower() for name in parquet.read_schema(file).names]
    except (pa.ArrowException, OSError) as error:
        reason = str(error).splitlines()[0]
        raise RequestError(
            f"{file} cannot be read as parquet ({reason}). It was cut short or is something else:"
            " delete it and import its month again with `kospilot market import`."
        ) from error


def missing_columns(file: Path) -> list[str]:
    """The required columns that a partition lacks."""
    columns = read_columns(file)
    return [name for name in REQUIRED if name not in columns]


def sound_partitions(folder: Path, until: str) -> list[Path]:
    """The partitions of the months up to that of `until` (YYYY-MM-DD): a later one cannot matter,
    broken or not.

    Raises RequestError as market_files does, and for the first partition that cannot be read or
    lacks a column.
    """
    month = (int(until[:4]), int(until[5:7]))
    everything = market_files(folder)
    files = [file for file in everything if partition_month(file, folder) <= month] or everything[
        :1
    ]
    for file in files:
        missing = missing_columns(file)
        if missing:
            raise RequestError(
                f"{file} has no column {', '.join(missing)}. A partition needs {', '.join(REQUIRED)};"
                " `kospilot market import` writes them, market_cap with `--listing CSV` where the source has none."
            )
    return files


def write_partition(file: Path, rows: pa.Table) -> bool:
    """Writes a partition whole or not at all; False where these very bytes are there already.

    Raises WorkError where the disk does not take it.
    """
    sink = io.BytesIO()
    parquet.write_table(rows.combine_chunks(), sink, compression="zstd")
    neighbour = file.with_name(f".{file.name}.{os.getpid()}")
    try:
        if file.exists() and file.read_bytes() == sink.getvalue():
            return False
        file.parent.mkdir(parents=True, exist_ok=True)
        neighbour.write_bytes(sink.getvalue())
        os.replace(neighbour, file)
    except OSError as error:
        with contextlib.suppress(OSError):
            neighbour.unlink()
        raise WorkError(
            f"{file} cannot be written ({error.strerror})."
            " What was written before it stays: make room or give access, then do the same again."
        ) from error
    return True


def is_generated(folder: Path) -> bool:
    """Whether the folder's prices are invented."""
    return (folder / GENERATED).is_file()


def described_by(folder: Path) -> list[Path]:
    """The files at the folder's root that shape the market artifact beside the partitions."""
    return [file for name in (GENERATED, DESCRIPTION, MACRO) if (file := folder / name).is_file()]


def read_description(folder: Path) -> dict[str, Any]:
    """MARKET.json, or {} where there is none. Raises RequestError where it is not JSON."""
    file = folder / DESCRIPTION
    try:
        return json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}
    except ValueError as error:
        raise RequestError(
            f"{file} is not JSON ({error}). Delete it and import the market's files again."
        ) from error


def marks(folder: Path) -> dict[str, Any]:
    """What must be said wherever the folder's numbers go: invented prices, and listings behind
    market caps.
    """
    listings = read_description(folder).get("market_cap_listings", [])
    return {"generated": is_generated(folder), "market_cap_listings": listings}
