"""An imported stock index, such as the KOSPI: the plot draws it beside the market's own.

No step of the chain reads it. Reads and writes index.parquet at a market folder's root: date,
close, and the name of the file that gave the day.
"""

import re
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as parquet

from tasks.core.errors import RequestError
from tasks.core.files.foreign import refuse_pointer
from tasks.core.market.database import one_row, sql
from tasks.core.market.folder import INDEX, write_parquet

SCHEMA = pa.schema([("date", pa.date32()), ("close", pa.float64()), ("source", pa.string())])
HIGHEST = 20_000
"""Points that no Korean index has reached: closes above are a stock's, in won."""
_INDEX_NAME = re.compile(r"index|지수|kospi|kosdaq|코스피|코스닥|ks11|kq11|ks200", re.IGNORECASE)
_CODE_IN_NAME = re.compile(r"(?<![0-9])[0-9]{5}[0-9A-Z](?![0-9A-Za-z])")


def is_index(file: Path, columns: list[str]) -> bool:
    """Whether a table is an index: dates and closes of no ticker, and a file name that says so.

    A table without such a name, or with a stock's code in it, may be a stock's that lost its code,
    and counts as no index.
    """
    has_only_closes = "close" in columns and "ticker" not in columns
    names_stock = _CODE_IN_NAME.search(file.name) is not None
    return has_only_closes and not names_stock and _INDEX_NAME.search(file.name) is not None


def check_index(connection: duckdb.DuckDBPyConnection, file: Path, position: int) -> None:
    """Raises RequestError if the rows of a file in index_rows are no index's but a stock's."""
    (highest,) = one_row(
        connection.execute("SELECT max(close) FROM index_rows WHERE file = $1", [position])
    )
    if highest is not None and highest > HIGHEST:
        raise RequestError(
            f"{file} has no column for ticker, and closes up to {highest:,.0f}, which no index has:"
            " it is a stock's table. Add a column ticker with its code."
        )


def read_index(folder: Path) -> pa.Table:
    """Returns the index by date, as SCHEMA; it is empty if none was imported.

    Raises RequestError if the file is damaged.
    """
    file = folder / INDEX
    if not file.is_file():
        return SCHEMA.empty_table()
    refuse_pointer(file)
    try:
        return parquet.read_table(file, schema=SCHEMA)
    except (pa.ArrowException, OSError, ValueError) as error:
        reason = str(error).splitlines()[0]
        raise RequestError(
            f"{file} cannot be read ({reason}). Delete it and import the index again."
        ) from error


def add_to_index(connection: duckdb.DuckDBPyConnection, folder: Path, sources: list[str]) -> int:
    """Adds the rows of the connection's table index_rows to the folder's index.

    sources: the names of the files that index_rows numbers. Returns how many days the index has
    then.
    """
    connection.register("present_index", read_index(folder))
    days = connection.sql(sql("import_index_days.sql"), params={"names": sources})
    index = days.to_arrow_table().cast(SCHEMA)
    write_parquet(folder / INDEX, index)
    return index.num_rows
