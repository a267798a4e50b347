"""`kospilot market check`: every partition read to the last row; what is wrong and what is odd.

Reads a market folder; changes nothing.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb

from tasks.core.errors import RequestError
from tasks.core.market.database import one_row, open_market, rows_until, sql, why_unreadable
from tasks.core.market.folder import marks_of, read_description
from tasks.core.market.macro import load_macro
from tasks.core.market.partitions import column_problem, market_files, unread_files
from tasks.core.market.stock_index import read_index
from tasks.core.strategy.universe import Etf, Stock, etfs, stocks


@dataclass(frozen=True)
class Findings:
    """What is wrong or odd in a market folder, one short text each, and what it holds."""

    errors: list[str]  # they make the market's numbers wrong, or keep it from being read
    warnings: list[str]  # odd, and without effect on the market's numbers
    summary: dict[str, Any]  # of the partitions that can be read; {} if there are none


def check_market(folder: Path) -> Findings:
    """Returns what is wrong, what is odd, and what the folder holds.

    The summary's keys are "partitions", "rows", "days", "tickers", "first", "last", "with_…_pct"
    and the folder's marks. Its rows are those that count: halts and rows without a price are left
    out. Raises RequestError only if there is nothing to look at: no folder, or no partition in it.
    """
    partitions = market_files(folder)
    unusable = _unusable_files(partitions)
    sound = [file for file in partitions if file not in unusable]
    beside = _problems_beside(folder)
    errors = [*_grouped(unusable), *beside]
    warnings = _unread_files(folder)
    summary: dict[str, Any] = {}
    with open_market(sound) as connection:
        errors += _macro_problem(connection, folder)
        if sound:
            found = [*_row_problems(connection, sound), *_repeated_rows(connection, sound)]
            found += _market_problems(connection, sound, is_whole=not unusable)
            errors += [text for severity, text in found if severity == "error"]
            warnings += [text for severity, text in found if severity == "warning"]
            summary = {"partitions": len(sound), **_summary(connection, sound)}
    if not beside:
        summary |= marks_of(folder)
    return Findings(errors, warnings, summary)


def _summary(connection: duckdb.DuckDBPyConnection, files: list[Path]) -> dict[str, Any]:
    result = connection.execute(sql("folder_summary.sql"), rows_until(files))
    names = [column[0] for column in result.description]
    return dict(zip(names, one_row(result), strict=True))


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


def _grouped(unusable: dict[Path, str]) -> list[str]:
    """Returns the reasons why files are of no use; one that many files share is shown once."""
    alike: dict[str, list[str]] = {}
    for file, reason in unusable.items():
        alike.setdefault(reason.replace(str(file), ""), []).append(reason)
    texts = []
    for first, *others in alike.values():
        more = f" (So it is with {len(others):,} more files.)" if others else ""
        texts.append(first + more)
    return texts


def _unread_files(folder: Path) -> list[str]:
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


def _row_problems(
    connection: duckdb.DuckDBPyConnection, files: list[Path]
) -> list[tuple[str, str]]:
    """Returns severity and text of the kinds of wrong and odd rows, each with an example."""
    names = {"files": [str(file) for file in files]}
    connection.execute(sql("checked_rows.sql"), names)
    rows = connection.execute(sql("row_problems.sql")).fetchall()
    return [
        (severity, f"rows that {problem}: {count:,}, e.g. {example} in {file}.")
        for severity, problem, count, example, file in rows
    ]


def _repeated_rows(
    connection: duckdb.DuckDBPyConnection, files: list[Path]
) -> list[tuple[str, str]]:
    count, example, held_by = one_row(
        connection.execute(sql("repeated_rows.sql"), rows_until(files))
    )
    if not count:
        return []
    return [("error", f"rows that repeat a ticker's day: {count:,}, e.g. {example} in {held_by}.")]


def _market_problems(
    connection: duckdb.DuckDBPyConnection, files: list[Path], is_whole: bool
) -> list[tuple[str, str]]:
    """Returns severity and text of what no row alone shows: gaps, units, days that cannot be.

    is_whole: whether all of the folder's files are among these; else a month may only seem missing.
    """
    if not is_whole:
        return [("warning", "The market as a whole was not looked at: not all files can be read.")]
    connection.execute(sql("checked_moves.sql"), rows_until(files))
    rows = connection.execute(sql("market_problems.sql")).fetchall()
    return [
        (severity, f"{what}: {often:,}, e.g. {example}. {remedy}")
        for severity, what, often, example, remedy in rows
    ]


def _macro_problem(connection: duckdb.DuckDBPyConnection, folder: Path) -> list[str]:
    try:
        load_macro(connection, folder)
    except RequestError as error:
        return [str(error)]
    return []
