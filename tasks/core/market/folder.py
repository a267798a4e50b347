"""A market folder: its monthly partitions and what it says about itself.

Reads the months (see partitions.py), and at the folder's root GENERATED.json (the prices are
invented), MARKET.json (market caps that come from a later listing's share count), macro.parquet
(see macro.py) and index.parquet (an imported index, for the plot). Writes parquet, each file whole
or not at all. What writes into a folder holds its lock.
"""

import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as parquet
from filelock import FileLock, Timeout

from tasks.core.errors import RequestError, WorkError
from tasks.core.files.atomic import replacing
from tasks.core.files.foreign import refuse_pointer
from tasks.core.files.json_files import read_json
from tasks.core.records.artifacts import Progress
from tasks.core.settings.tree import Market

GENERATED = "GENERATED.json"
DESCRIPTION = "MARKET.json"
MACRO = "macro.parquet"
INDEX = "index.parquet"
_LOCK = ".lock"


def named_folder(market: Market, home: Path) -> Path:
    """Returns the folder that the settings name; the demo's lies under KOSPILOT_HOME."""
    if market.dir == "demo":
        return home / "market" / "demo"
    return Path(market.dir).expanduser()


@contextmanager
def locked(folder: Path, progress: Progress) -> Iterator[None]:
    """Holds the folder's lock in the block: only one process at a time changes the market.

    Makes the folder if it is not there. Waits for whoever holds the lock, and tells `progress` so;
    the system frees it when its holder ends, however that happens. Raises WorkError if the folder
    cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(folder / _LOCK)
        try:
            lock.acquire(timeout=0)
        except Timeout:
            progress(0.0, f"waiting for the import or update that is writing {folder}")
            lock.acquire()
    except OSError as error:
        raise WorkError(
            f"{folder} cannot be written ({error.strerror})."
            " Nothing was changed: give access or name another folder."
        ) from error
    try:
        yield
    finally:
        lock.release()


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
    refuse_pointer(file)
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
