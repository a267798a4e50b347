"""An imported stock index, kept beside the market's own for the plot. No step reads it.

Reads and writes index.parquet at a market folder's root: date, close and the name of the file that
gave it.
"""

import re
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as parquet

from tasks.core.errors import RequestError
from tasks.core.market.files import INDEX, write_partition
from tasks.core.market.rows import sql

SCHEMA = pa.schema([("date", pa.date32()), ("close", pa.float64()), ("source", pa.string())])
_NAMED = re.compile(r"index|지수|kospi|kosdaq|krx|ks11|kq11|ks200", re.IGNORECASE)


def is_index(file: Path, columns: list[str]) -> bool:
    """Whether a table is an index: dates and closes of no ticker, and a file name that says so.

    Without such a name it is refused as a stock's table that lost its code.
    """
    return "ticker" not in columns and "close" in columns and _NAMED.search(file.name) is not None


def read_index(folder: Path) -> pa.Table:
    """The index by date, empty where none was imported. Raises RequestError for a damaged file."""
    file = folder / INDEX
    if not file.is_file():
        return SCHEMA.empty_table()
    try:
        return parquet.read_table(file, schema=SCHEMA)
    except (pa.ArrowException, OSError, ValueError) as error:
        reason = str(error).splitlines()[0]
        raise RequestError(
            f"{file} cannot be read ({reason}). Delete it and import the index again."
        ) from error


def write_index(connection: duckdb.DuckDBPyConnection, folder: Path, names: list[str]) -> int:
    """Adds the rows of the connection's table index_rows to the folder's index; returns how many
    days it has then.
    """
    connection.register("present_index", read_index(folder))
    rows = (
        connection.sql(sql("import_index.sql"), params={"names": names})
        .to_arrow_table()
        .cast(SCHEMA)
    )
    write_partition(folder / INDEX, rows)
    return rows.num_rows
