"""`kospilot market import`: price and market-cap tables into a market folder, month by month.

Reads tables (see source_tables.py), a listing's share counts and the months already there; writes
year=Y/month=M/data.parquet, each whole or not at all, MARKET.json if market caps come from a
listing, and index.parquet if a table is an index. Rows are joined by ticker and day: a new value
replaces an old one, an empty one does not. The same import again changes no byte.
"""

import glob
import re
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa

from tasks.core.errors import RequestError
from tasks.core.files.json_files import write_json
from tasks.core.market.database import (
    connect,
    define_partition_rows,
    one_row,
    refuse_unreadable,
    sql,
)
from tasks.core.market.folder import (
    DESCRIPTION,
    GENERATED,
    is_generated,
    locked,
    read_description,
    write_parquet,
)
from tasks.core.market.headers import check_needed, check_prices
from tasks.core.market.partitions import (
    Partition,
    find_partitions,
    month_file,
    numbered_partitions,
    read_columns,
)
from tasks.core.market.source_tables import (
    SourceTable,
    numbered_rows,
    open_table,
    unreadable,
)
from tasks.core.market.stock_index import add_to_index, check_index, is_index
from tasks.core.records.artifacts import Progress, no_progress

COLUMNS = (
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
"""Columns that every partition has."""
OPTIONAL = ("market_cap_listing", "rsi_14", "sma_5", "sma_10", "sma_20", "sma_60")
"""Columns that a partition has only if one of its rows has a value."""
SHOWN = 200
"""Characters of the lines above a header that the report shows."""
UNDATED = "an undated listing"
NOTE = (
    "Some market caps are closes times a later listing's share counts (market_cap_listing):"
    " weights, not history."
)


def import_tables(
    files: list[Path],
    folder: Path,
    listing: Path | None = None,
    progress: Progress = no_progress,
    allow_closed_days: bool = False,
) -> dict[str, Any]:
    """Adds the tables to the market folder; returns what was read, dropped and derived.

    listing: a table of codes and share counts, for market caps that the files do not give.
    allow_closed_days: take rows on weekends and on days to come too. Waits for another import into
    the folder. Raises RequestError, with nothing written, if a file cannot be used, a month that
    would be extended is damaged, or the market is a generated one.
    """
    if is_generated(folder):
        raise RequestError(
            f"{folder} is a generated market ({GENERATED}): import into another folder."
        )
    sources = _names_of(files)
    with connect() as connection:
        connection.execute(sql("cell_days.sql"))
        connection.execute(sql("import_cells.sql"))
        connection.execute(sql("import_setup.sql"))
        unused_columns: dict[str, str] = {}
        above: dict[str, str] = {}
        for position, file in enumerate(files):
            progress(position / len(files), f"reading {file.name}, {position} / {len(files)} files")
            table = open_table(file, needed=("date",))
            _read_file(connection, table, position)
            if not allow_closed_days:
                _refuse_closed_days(connection, table.file, position)
            if table.unused():
                unused_columns[sources[position]] = ", ".join(table.unused())
            if table.above:
                above[sources[position]] = " / ".join(table.above)[:SHOWN]
        listing_date = None
        if listing is not None:
            listing_date = _read_listing(connection, listing)
        _refuse_nothing(connection, folder, sources)
        with locked(folder, progress):
            present = _present_partitions(connection, folder)
            _merge(connection, present, listing_date)
            report = _report(connection, sources)
            listed = _listed(connection)
            if _has_index_days(connection):
                report["index_days"] = add_to_index(connection, folder, sources)
            elif not report["rows"]:
                raise RequestError(_nothing_to_import(folder, report["dropped"]))
            _describe(connection, folder)
            months = _write_months(connection, folder, present)
    notes: dict[str, Any] = {"unused_columns": unused_columns}
    if listing is not None:
        notes["listing"] = listed
    if above:
        notes["lines_above_header"] = above
    return {"folder": str(folder), **report, **notes, **months}


def _names_of(files: list[Path]) -> list[str]:
    """Returns what the report calls the files: their names, or their paths if two are the same."""
    names = [file.name for file in files]
    if len(set(names)) < len(names):
        return [str(file) for file in files]
    return names


def _read_file(connection: duckdb.DuckDBPyConnection, table: SourceTable, position: int) -> None:
    """Adds a table's rows to incoming, or an index's to index_rows."""
    columns = list(table.columns)
    holds_index = is_index(table.file, columns)
    if not holds_index:
        check_needed(table.file, table.headers, table.columns, ("ticker",))
    check_prices(table.file, table.headers, table.columns)
    if holds_index:
        _run_on(connection, table, "import_index_rows.sql", {"file": position})
        check_index(connection, table.file, position)
        return
    parameters = {"file": position, "unit": table.units()}
    _run_on(connection, table, "import_rows.sql", parameters)
    connection.execute(sql("import_signed.sql"), {"file": position})
    connection.execute(sql("import_floated.sql"), {"file": position})
    connection.execute(sql("import_repeated.sql"), {"file": position})
    _refuse_impossible(connection, table, position)


def _run_on(
    connection: duckdb.DuckDBPyConnection,
    table: SourceTable,
    query: str,
    parameters: dict[str, Any],
) -> None:
    """Runs a query that reads the relation source once, which streams the table's rows."""
    failures: list[RequestError] = []

    def rows() -> Iterator[pa.RecordBatch]:
        try:
            yield from numbered_rows(table)
        except RequestError as error:  # DuckDB would pass its text on, and not what it is
            failures.append(error)
            raise

    connection.register("source", pa.RecordBatchReader.from_batches(table.schema, rows()))
    try:
        connection.execute(sql(query), parameters)
    except duckdb.Error as error:
        if failures:
            raise failures[0] from error
        raise unreadable(table.file, error) from error
    finally:
        connection.unregister("source")


def _refuse_impossible(
    connection: duckdb.DuckDBPyConnection, table: SourceTable, position: int
) -> None:
    """Raises RequestError if a number is beyond all that it can be: the table is damaged."""
    rows = connection.execute(sql("import_impossible.sql"), {"file": position}).fetchall()
    for column, value, row in rows:
        name = table.columns[column].name if column in table.columns else column
        raise RequestError(
            f"{table.file}: {name} holds {value:g} in row {row}, which is too large to be true."
            " Mend the table, or leave the cell empty."
        )


def _refuse_closed_days(connection: duckdb.DuckDBPyConnection, file: Path, position: int) -> None:
    """Raises RequestError if rows lie on days on which KRX cannot have traded."""
    days = one_row(connection.execute(sql("import_closed_days.sql"), {"file": position}))
    weekends, to_come, day, row = days
    kinds = []
    if weekends:
        kinds.append(f"{weekends:,} on weekends")
    if to_come:
        kinds.append(f"{to_come:,} in the future")
    if kinds:
        raise RequestError(
            f"{file} has rows on days when KRX cannot have traded: {', '.join(kinds)}, e.g. {day}"
            f" in row {row}. Mend days that are mistaken or another zone's, leave out rows that"
            " only repeat the last price, or take all as they are: --allow-closed-days."
        )


def _read_listing(connection: duckdb.DuckDBPyConnection, listing: Path) -> str:
    """Fills the table shares_listed; returns the listing's day, which its file name says."""
    table = open_table(listing, needed=("ticker", "shares"))
    _run_on(connection, table, "import_shares.sql", {"unit": table.units()})
    (codes,) = one_row(connection.execute("SELECT count(*) FROM shares_listed"))
    if not codes:
        raise RequestError(
            f"{listing} has no row with a six-character code under"
            f" {table.columns['ticker'].name} and a number under {table.columns['shares'].name}."
        )
    match = re.search(r"(20\d\d)-?([01]\d)-?([0-3]\d)", listing.name)
    if match is None:
        return UNDATED
    return "-".join(match.groups())


def _listed(connection: duckdb.DuckDBPyConnection) -> str:
    """Returns how many of the tables' tickers the listing gives shares of."""
    counts = connection.execute(
        "SELECT count(*) FILTER (ticker IN (SELECT ticker FROM shares_listed)), count(*)"
        " FROM (SELECT DISTINCT ticker FROM incoming WHERE reason IS NULL)"
    )
    known, tickers = one_row(counts)
    return f"{known:,} of {tickers:,} tickers have a share count in it"


def _merge(
    connection: duckdb.DuckDBPyConnection, present: list[Partition], listing_date: str | None
) -> None:
    """Fills the table merged with all rows of the months that the incoming rows touch."""
    files = [partition.file for partition in present]
    for file in files:
        unknown = set(read_columns(file)) - {*COLUMNS, *OPTIONAL}
        if unknown:
            raise RequestError(
                f"{file} has columns that an import would lose: {', '.join(sorted(unknown))}."
                " Import into a new folder."
            )
    try:
        if files:
            define_partition_rows(connection, files, numbered_partitions(files))
            connection.execute(sql("import_present.sql"), {"files": [str(file) for file in files]})
        else:
            connection.register("present_rows", pa.table({"date": pa.array([], pa.date32())}))
        connection.execute(sql("import_merged.sql"), {"listing_date": listing_date})
    except duckdb.Error:
        refuse_unreadable(files)
        raise


def _present_partitions(connection: duckdb.DuckDBPyConnection, folder: Path) -> list[Partition]:
    """Returns the partitions that are there already of the months that incoming rows touch."""
    months = connection.execute(
        "SELECT DISTINCT year(date), month(date) FROM incoming WHERE reason IS NULL"
    ).fetchall()
    touched = set(months)
    partitions = find_partitions(folder)
    return [found for found in partitions if (found.year, found.month) in touched]


def _has_index_days(connection: duckdb.DuckDBPyConnection) -> bool:
    days = connection.execute(
        "SELECT 1 FROM index_rows WHERE date IS NOT NULL AND close IS NOT NULL LIMIT 1"
    ).fetchall()
    return bool(days)


def _report(connection: duckdb.DuckDBPyConnection, sources: list[str]) -> dict[str, Any]:
    totals = one_row(connection.execute(sql("import_totals.sql")))
    names = ("rows_read", "rows", "days", "tickers", "first", "last")
    report: dict[str, Any] = dict(zip(names, totals, strict=True))
    report |= {"dropped": _dropped(connection, sources), "unreadable": {}, "derived": {}}
    report |= {"missing": {}, "odd": {}}
    counts = connection.execute(sql("import_report.sql"), {"names": sources}).fetchall()
    for part, what, count in counts:
        report[part][what] = count
    return report


def _refuse_nothing(
    connection: duckdb.DuckDBPyConnection, folder: Path, sources: list[str]
) -> None:
    """Raises RequestError if no row is of use, before the folder is touched."""
    kept = connection.execute("SELECT 1 FROM incoming WHERE reason IS NULL LIMIT 1").fetchall()
    if not kept and not _has_index_days(connection):
        raise RequestError(_nothing_to_import(folder, _dropped(connection, sources)))


def _dropped(connection: duckdb.DuckDBPyConnection, sources: list[str]) -> dict[str, int]:
    rows = connection.execute(sql("import_dropped.sql"), {"names": sources}).fetchall()
    return dict(rows)


def _nothing_to_import(folder: Path, dropped: dict[str, int]) -> str:
    reasons = "; ".join(f"{reason} ({rows})" for reason, rows in dropped.items())
    return (
        f"Nothing to import into {folder}: {reasons or 'the files are empty'}."
        " Give tables of prices, with days as 2024-01-02, codes as 005930 and prices as 71300."
    )


def _describe(connection: duckdb.DuckDBPyConnection, folder: Path) -> None:
    """Writes MARKET.json before the rows that it marks: a cut-off import leaves none unmarked."""
    rows = connection.execute(
        "SELECT DISTINCT market_cap_listing FROM merged"
        " WHERE close IS NOT NULL AND market_cap_listing IS NOT NULL"
    ).fetchall()
    listings = set(read_description(folder).get("market_cap_listings", []))
    listings.update(listing for (listing,) in rows)
    if listings:
        write_json(folder / DESCRIPTION, {"market_cap_listings": sorted(listings), "note": NOTE})


def _write_months(
    connection: duckdb.DuckDBPyConnection, folder: Path, present: list[Partition]
) -> dict[str, int]:
    """Writes the merged months; returns how many changed and how many were the same already."""
    months = connection.execute(
        "SELECT DISTINCT date_trunc('month', date)::DATE FROM merged"
        " WHERE close IS NOT NULL ORDER BY 1"
    ).fetchall()
    written = 0
    for (first,) in months:
        file = month_file(folder, first.year, first.month, present)
        written += _write_month(connection, file, first)
        _remove_merged(file, present)
    return {"months_written": written, "months_unchanged": len(months) - written}


def _write_month(connection: duckdb.DuckDBPyConnection, file: Path, first: date) -> bool:
    """Writes the month that begins on `first`; returns False if it was the same already."""
    query = connection.sql(sql("import_month.sql"), params={"first": first})
    rows = query.to_arrow_table()
    empty = [name for name in OPTIONAL if rows[name].null_count == rows.num_rows]
    return write_parquet(file, rows.drop_columns(empty))


def _remove_merged(file: Path, present: list[Partition]) -> None:
    """Removes the month's other files: data.parquet, which counts alone, holds their rows now.

    So does what a killed import left beside it, which is hidden.
    """
    for partition in present:
        if partition.file.parent == file.parent and partition.file != file:
            partition.file.unlink(missing_ok=True)
    for unfinished in file.parent.glob(f".{glob.escape(file.name)}.*"):
        unfinished.unlink(missing_ok=True)
