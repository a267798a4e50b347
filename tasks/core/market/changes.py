"""What is new in a market folder since an artifact was made of it: in words, for people.

Reads an artifact's two parts (see records/market_days.py), and builds the folder's present ones in
a scratch folder.
"""

from collections.abc import Sequence
from pathlib import Path

import duckdb

from tasks.core.files.scratch import scratch_folder
from tasks.core.market.artifact import build_market
from tasks.core.market.database import connect, sql
from tasks.core.records.market_days import read_snapshots
from tasks.core.settings.tree import Market

_PARTS = ("train", "holdout")
_TABLES = ("snapshots.parquet", "stocks.parquet")


def tell_changes(artifact: Path, folder: Path, market: Market) -> str:
    """Returns which days were added, revised or removed since the artifact was made.

    Raises what build_market raises if the folder cannot be read now.
    """
    with scratch_folder() as scratch:
        present = Path(scratch)
        build_market(folder, market, present)
        return _tell(artifact, present)


def _tell(artifact: Path, present: Path) -> str:
    before, now = _days(artifact), _days(present)
    try:
        changed = _changed_days(artifact, present)
    except duckdb.Error:  # an older version's tables have other columns
        changed = before & now
    counts = [
        _count(sorted(now - before), "added"),
        _count(sorted(changed & before & now), "of history revised"),
        _count(sorted(before - now), "gone"),
    ]
    return "; ".join(text for text in counts if text) or "no day changed"


def _days(artifact: Path) -> set[str]:
    days: set[str] = set()
    for part in _PARTS:
        days.update(snapshot.date for snapshot in read_snapshots(artifact / part))
    return days


def _changed_days(artifact: Path, present: Path) -> set[str]:
    days: set[str] = set()
    with connect() as connection:
        for table in _TABLES:
            both = {"earlier": _files(artifact, table), "present": _files(present, table)}
            rows = connection.execute(sql("changed_days.sql"), both).fetchall()
            days.update(day for (day,) in rows)
    return days


def _files(folder: Path, table: str) -> list[str]:
    return [str(folder / part / table) for part in _PARTS]


def _count(days: Sequence[str], what: str) -> str:
    """E.g. `3 days added (2026-12-03 to 2026-12-07)`; empty without days."""
    if not days:
        return ""
    if len(days) == 1:
        return f"1 day {what} ({days[0]})"
    return f"{len(days)} days {what} ({days[0]} to {days[-1]})"
