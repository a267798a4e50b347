"""`kospilot market import`: price and market-cap tables into a market folder, month by month.

Reads tables (see tables.py), a listing's share counts and the months already there; writes
year=Y/month=M/data.parquet, each whole or not at all, MARKET.json where market caps come from a
listing, and index.parquet where a table is an index. Rows are joined by ticker and day: a new value
replaces an old one, an empty one does not. The same import again changes no byte.
"""

import re
from datetime import date
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa

from tasks.core.errors import RequestError
from tasks.core.files.json_files import write_json
from tasks.core.market.files import (
    DESCRIPTION,
    GENERATED,
    is_generated,
    partition_file,
    read_columns,
    read_description,
    write_partition,
)
from tasks.core.market.index import is_index, write_index
from tasks.core.market.rows import MEMORY, SEOUL, THREADS, sql, why_unreadable
from tasks.core.market.tables import read_table

FIXED = (
    "date",
    "ticker",
    "open",
    "high",
    "low",
    "close",
    "volume",
    "market_cap",
    "pe_ratio",
    "pb_ratio",
)
OPTIONAL = ("market_cap_listing", "rsi_14", "sma_5", "sma_10", "sma_20", "sma_60")
"""Columns that a partition has only where one of its rows has a value."""
UNDATED = "an undated listing"
NOTE = "Some market caps are closes times a later listing's share counts (market_cap_listing): weights, not history."


def import_tables(files: list[Path], folder: Path, listing: Path | None = None) -> dict[str, Any]:
    """Adds the tables to the market folder; says what was read, dropped and derived.

    listing: a table of codes and share counts, for market caps that the files do not give. Raises
    RequestError, with nothing written, for a file that cannot be used, a damaged month that would
    be extended, and a generated market.
    """
    if is_generated(folder):
        raise RequestError(
            f"{folder} is a generated market ({GENERATED}): import into another folder."
        )
    with duckdb.connect(config={"threads": THREADS, "memory_limit": MEMORY}) as connection:
        connection.execute(SEOUL).execute(sql("import_setup.sql"))
        names = [file.name for file in files]
        unused = {
            file.name: _read_rows(connection, file, place) for place, file in enumerate(files)
        }
        listing_date = _read_listing(connection, listing) if listing else None
        _merge(connection, folder, listing_date)
        report = _report(connection, names) | {
            "unused_columns": {name: ", ".join(unused[name]) for name in unused if unused[name]}
        }
        indices = connection.execute(
            "SELECT 1 FROM index_rows WHERE date IS NOT NULL AND close IS NOT NULL LIMIT 1"
        ).fetchall()
        if not report["rows"] and not indices:
            dropped = (
                "; ".join(f"{what} ({rows})" for what, rows in report["dropped"].items())
                or "the files are empty"
            )
            raise RequestError(
                f"Nothing to import into {folder}: {dropped}. Give tables of prices."
            )
        if indices:
            report["index_days"] = write_index(connection, folder, names)
        _describe(connection, folder)
        written, unchanged = _write_months(connection, folder)
    return {
        "folder": str(folder),
        **report,
        "months_written": written,
        "months_unchanged": unchanged,
    }


def _read_rows(connection: duckdb.DuckDBPyConnection, file: Path, place: int) -> list[str]:
    """Fills incoming, or index_rows from an index; returns the headers that were of no use."""
    table, unused = read_table(file, needed=("date",))
    columns = table.column_names
    if "ticker" not in columns and not is_index(file, columns):
        raise RequestError(
            f"{file} has no column for ticker: its headers are {', '.join([*columns, *unused])[:300]}."
            " Rename one to ticker; if it is an index, put `index` into its file name."
        )
    if not {"close", "pe_ratio", "pb_ratio"} & set(columns):
        raise RequestError(
            f"{file} has neither a close nor PER or PBR: there is nothing to import in it."
        )
    query = "import_index_rows.sql" if is_index(file, columns) else "import_rows.sql"
    connection.register(
        "source", table.append_column("row", pa.array(range(table.num_rows), pa.int64()))
    )
    connection.execute(sql(query), {"file": place})
    connection.unregister("source")
    return unused


def _read_listing(connection: duckdb.DuckDBPyConnection, listing: Path) -> str:
    """Fills shares_listed; returns the day the listing is of, by its file name."""
    connection.register("source", read_table(listing, needed=("ticker", "shares"))[0])
    connection.execute(sql("import_listing.sql"))
    connection.unregister("source")
    match = re.search(r"(20\d\d)-?([01]\d)-?([0-3]\d)", listing.name)
    return "-".join(match.groups()) if match else UNDATED


def _merge(connection: duckdb.DuckDBPyConnection, folder: Path, listing_date: str | None) -> None:
    """Fills merged with all rows of the months that the incoming rows touch."""
    months = connection.execute(
        "SELECT DISTINCT date_trunc('month', date) FROM incoming WHERE reason IS NULL"
    ).fetchall()
    present = [
        file
        for (first,) in months
        if (file := partition_file(folder, first.year, first.month)).exists()
    ]
    for file in present:
        unknown = set(read_columns(file)) - {*FIXED, *OPTIONAL}
        if unknown:
            raise RequestError(
                f"{file} has columns that an import would lose: {', '.join(sorted(unknown))}. Import into a new folder."
            )
    if present:
        names = [str(file) for file in present]
        connection.read_parquet(names, union_by_name=True, hive_partitioning=False).create_view(
            "present_rows"
        )
    else:
        connection.register("present_rows", pa.table({"date": pa.array([], pa.date32())}))
    try:
        connection.execute(sql("import_merge.sql"), {"listing_date": listing_date})
    except duckdb.Error:
        reason = next(filter(None, map(why_unreadable, present)), None)
        if reason:
            raise RequestError(reason) from None
        raise


def _report(connection: duckdb.DuckDBPyConnection, names: list[str]) -> dict[str, Any]:
    totals = connection.execute(sql("import_totals.sql")).fetchone()
    parts: dict[str, dict[str, int]] = {"dropped": {}, "derived": {}, "missing": {}}
    for part, what, count in connection.execute(
        sql("import_report.sql"), {"names": names}
    ).fetchall():
        parts[part][what] = count
    return (
        dict(zip(("rows_read", "rows", "days", "tickers", "first", "last"), totals, strict=True))
        | parts
    )


def _describe(connection: duckdb.DuckDBPyConnection, folder: Path) -> None:
    """MARKET.json before the rows that it marks: an import that is cut off leaves none unmarked."""
    rows = connection.execute(
        "SELECT DISTINCT market_cap_listing FROM merged WHERE close IS NOT NULL"
    ).fetchall()
    known = set(read_description(folder).get("market_cap_listings", []))
    listings = sorted(known | {date for (date,) in rows if date})
    if listings:
        write_json(folder / DESCRIPTION, {"market_cap_listings": listings, "note": NOTE})


def _write_months(connection: duckdb.DuckDBPyConnection, folder: Path) -> tuple[int, int]:
    """Writes the merged months; returns how many changed and how many were the same already."""
    months = connection.execute(
        "SELECT DISTINCT date_trunc('month', date)::DATE FROM merged WHERE close IS NOT NULL ORDER BY 1"
    ).fetchall()
    changed = [_write_month(connection, folder, first) for (first,) in months]
    return sum(changed), len(changed) - sum(changed)


def _write_month(connection: duckdb.DuckDBPyConnection, folder: Path, first: date) -> bool:
    rows = connection.sql(sql("import_month.sql"), params={"first": first}).to_arrow_table()
    empty = [name for name in OPTIONAL if rows[name].null_count == rows.num_rows]
    return write_partition(
        partition_file(folder, first.year, first.month), rows.drop_columns(empty)
    )
