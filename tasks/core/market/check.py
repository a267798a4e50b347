"""`kospilot market check`: every partition read to the last row, and what is wrong or odd in it.

Reads a market folder; changes nothing.
"""

from pathlib import Path
from typing import Any

import duckdb

from tasks.core.errors import RequestError
from tasks.core.market.files import market_files, marks, missing_columns, partition_month
from tasks.core.market.macro import load_macro
from tasks.core.market.rows import EVER, database, sql, why_unreadable
from tasks.core.strategy.universe import etfs, stocks


def check_market(folder: Path) -> list[str]:
    """What is wrong, one short text each, naming the partition; empty where nothing is.

    Raises RequestError only where there is nothing to look at: no folder, or no partition in it.
    """
    partitions = market_files(folder)
    unusable = {file: reason for file in partitions if (reason := _why_unusable(file))}
    sound = [file for file in partitions if file not in unusable]
    if sound and why_unreadable(*sound):  # all at once first: one by one takes seconds
        unusable |= {file: reason for file in sound if (reason := why_unreadable(file))}
        sound = [file for file in sound if file not in unusable]
    problems = list(unusable.values())
    with database(sound) as connection:
        for file in sound:
            year, month = partition_month(file, folder)
            values = {"files": [str(file)], "year": year, "month": month}
            for problem, count, example in connection.execute(sql("check.sql"), values).fetchall():
                problems.append(f"{file}: {count:,} rows {problem}, e.g. {example}.")
        return [
            *problems,
            *_macro_problem(connection, folder),
            *(_leaps(connection, sound) if sound else []),
        ]


def summarize_market(folder: Path) -> dict[str, Any]:
    """{"partitions", "rows", "days", "tickers", "first", "last", "with_…_pct"} and the folder's
    marks.

    Rows are those that count: halts and rows without a price are left out. Raises RequestError as
    `snapshots` does.
    """
    partitions = market_files(folder)
    with database(partitions) as connection:
        cursor = connection.execute(
            sql("summary.sql"), {"files": [str(file) for file in partitions], "until": EVER}
        )
        names = [column[0] for column in cursor.description]
        return {
            "partitions": len(partitions),
            **dict(zip(names, cursor.fetchone(), strict=True)),
            **marks(folder),
        }


def check_names(listed: dict[str, str]) -> list[str]:
    """Where the universe differs from KRX: codes that are not listed, and names that are not KRX's
    own.
    """
    problems = []
    for entry in (*stocks(), *etfs()):
        name = listed.get(entry.ticker)
        if name is None:
            problems.append(f"{entry.ticker} {entry.name_ko}: KRX lists no such code.")
        elif "".join(name.split()) != "".join(entry.name_ko.split()):
            problems.append(f"{entry.ticker} {entry.name_ko}: KRX calls it {name}.")
    return problems


def _why_unusable(file: Path) -> str | None:
    try:
        missing = missing_columns(file)
    except RequestError as error:
        return str(error)
    return f"{file} has no column {', '.join(missing)}." if missing else None


def _macro_problem(connection: duckdb.DuckDBPyConnection, folder: Path) -> list[str]:
    try:
        load_macro(connection, folder)
    except RequestError as error:
        return [str(error)]
    return []


def _leaps(connection: duckdb.DuckDBPyConnection, partitions: list[Path]) -> list[str]:
    values = {"files": [str(file) for file in partitions], "until": EVER}
    count, example = connection.execute(sql("leaps.sql"), values).fetchone()
    if not count:
        return []
    return [
        f"{count:,} returns are beyond KRX's daily limit of 30 %, e.g. {example}:"
        " splits or mergers in unadjusted prices. They distort the market's return; adjusted prices do not."
    ]
