"""`kospilot market check`: every partition read to the last row, and what is wrong or odd in it.

Reads a market folder; changes nothing.
"""

from pathlib import Path
from typing import Any

import duckdb

from tasks.core.errors import RequestError
from tasks.core.market.database import one_row, open_market, rows_until, sql, why_unreadable
from tasks.core.market.folder import marks_of, read_description
from tasks.core.market.macro import load_macro
from tasks.core.market.partitions import (
    Partition,
    column_problem,
    list_partitions,
    market_files,
    unread_files,
)
from tasks.core.market.stock_index import read_index
from tasks.core.strategy.universe import Etf, Stock, etfs, stocks


def check_market(folder: Path) -> list[str]:
    """Returns what is wrong, one short text for each problem; nothing wrong gives an empty list.

    Raises RequestError only if there is nothing to look at: no folder, or no partition in it.
    """
    partitions = list_partitions(folder)
    unusable = _unusable_files([partition.file for partition in partitions])
    sound = [partition for partition in partitions if partition.file not in unusable]
    files = [partition.file for partition in sound]
    problems = [*unusable.values(), *_unread_problem(folder), *_problems_beside(folder)]
    with open_market(files) as connection:
        for partition in sound:
            problems += _odd_rows(connection, partition)
        problems += _macro_problem(connection, folder)
        if files:
            problems += _repeated_across_files(connection, files)
            problems += _market_problems(connection, files)
            problems += _returns_beyond_limit(connection, files)
    return problems


def summarize_market(folder: Path) -> dict[str, Any]:
    """Returns what the folder holds, and its marks.

    The keys are "partitions", "rows", "days", "tickers", "first", "last" and "with_…_pct". Rows are
    those that count: halts and rows without a price are left out. Raises RequestError as
    `snapshots` does.
    """
    files = market_files(folder)
    with open_market(files) as connection:
        result = connection.execute(sql("folder_summary.sql"), rows_until(files))
        names = [column[0] for column in result.description]
        summary = dict(zip(names, one_row(result), strict=True))
    return {"partitions": len(files), **summary, **marks_of(folder)}


def check_names(listed: dict[str, str]) -> list[str]:
    """Returns where the universe differs from KRX, whose names by code are `listed`.

    A code that KRX does not list is a problem, and so is a name that is not KRX's own.
    """
    entries: tuple[Stock | Etf, ...] = (*stocks(), *etfs())
    problems = []
    for entry in entries:
        name = listed.get(entry.ticker)
        if name is None:
            problems.append(f"{entry.ticker} {entry.name_ko}: KRX lists no such code.")
        elif "".join(name.split()) != "".join(entry.name_ko.split()):
            problems.append(f"{entry.ticker} {entry.name_ko}: KRX calls it {name}.")
    return problems


def _unusable_files(files: list[Path]) -> dict[Path, str]:
    """Returns the partitions whose rows cannot be read, each with what is wrong with it."""
    unusable = {}
    for file in files:
        reason = _why_unusable(file)
        if reason is not None:
            unusable[file] = reason
    whole = [file for file in files if file not in unusable]
    if not whole or why_unreadable(whole) is None:  # all at once first: one by one takes seconds
        return unusable
    for file in whole:
        reason = why_unreadable([file])
        if reason is not None:
            unusable[file] = reason
    return unusable


def _why_unusable(file: Path) -> str | None:
    """Returns why a partition's schema is of no use, or None."""
    try:
        return column_problem(file)
    except RequestError as error:
        return str(error)


def _unread_problem(folder: Path) -> list[str]:
    unread = unread_files(folder)
    if not unread:
        return []
    return [
        f"{len(unread):,} parquet files are not read, e.g. {unread[0]}: a month's rows lie in"
        " year=YYYY/month=M/data.parquet, or in its other files if there is no data.parquet."
        f" Add them with `kospilot market import {unread[0]} --market {folder}`,"
        " then move them out of the folder."
    ]


def _problems_beside(folder: Path) -> list[str]:
    """Returns what is wrong with the description and the index, which lie beside the months."""
    problems = []
    for read in (read_description, read_index):
        try:
            read(folder)
        except RequestError as error:
            problems.append(str(error))
    return problems


def _odd_rows(connection: duckdb.DuckDBPyConnection, partition: Partition) -> list[str]:
    """Returns the kinds of odd rows in a partition, with their number and an example of each."""
    file = partition.file
    parameters = {"files": [str(file)], "year": partition.year, "month": partition.month}
    rows = connection.execute(sql("partition_problems.sql"), parameters).fetchall()
    return [
        f"{file}: {count:,} rows {problem}, e.g. {example}." for problem, count, example in rows
    ]


def _repeated_across_files(connection: duckdb.DuckDBPyConnection, files: list[Path]) -> list[str]:
    """Returns the rows that two files hold; those that one file repeats are among its odd rows."""
    result = connection.execute(sql("repeated_across_files.sql"), rows_until(files))
    count, example, held_by = one_row(result)
    if not count:
        return []
    return [f"{count:,} days of tickers lie in more than one file, e.g. {example} in {held_by}."]


def _market_problems(connection: duckdb.DuckDBPyConnection, files: list[Path]) -> list[str]:
    """Returns what no file alone shows: gaps, units, days that cannot be."""
    rows = connection.execute(sql("market_problems.sql"), rows_until(files)).fetchall()
    return [f"{problem.strip()} {example}." for problem, example in rows]


def _macro_problem(connection: duckdb.DuckDBPyConnection, folder: Path) -> list[str]:
    try:
        load_macro(connection, folder)
    except RequestError as error:
        return [str(error)]
    return []


def _returns_beyond_limit(connection: duckdb.DuckDBPyConnection, files: list[Path]) -> list[str]:
    result = connection.execute(sql("returns_beyond_limit.sql"), rows_until(files))
    count, example = one_row(result)
    if not count:
        return []
    return [
        f"{count:,} returns are beyond KRX's daily limit of 30 %, e.g. {example}:"
        " splits or mergers in unadjusted prices."
        " They distort the market's return; adjusted prices do not."
    ]
