"""The report of normalize: what came in, what was left out and why, what the rows are like, source
by source.
"""

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from tasks.core.data.reports.charts import draw_counts, draw_lengths
from tasks.core.data.cleaning import Survey
from tasks.core.data.languages import LANGUAGES
from tasks.core.data.reports.pages import FIGURES, Table, describe_lengths, write_pages
from tasks.core.settings.tree import Data

Chosen = Mapping[str, np.ndarray]  # source -> the numbers of the usable rows that were taken


def make_report(
    data: Data, asked: Mapping[str, int], surveys: Mapping[str, Survey], chosen: Chosen
) -> dict[str, Any]:
    """All figures. Per source: rows_in = taken + left_over + all dropped, and taken = asked -
    shortfall + topped_up.
    """
    sources = {
        name: _describe_source(asked[name], found, chosen[name]) for name, found in surveys.items()
    }
    entries = sources.values()
    report = {
        "asked": data.rows,
        "rows": sum(entry["taken"] for entry in entries),
        "rows_in": sum(entry["rows_in"] for entry in entries),
        "dropped": _add_up(entry["dropped"] for entry in entries),
        "left_over": sum(entry["left_over"] for entry in entries),
        "languages": _add_up(entry["languages"] for entry in entries),
        "characters": describe_lengths(lengths_of(surveys, chosen)),
        "seed": data.seed,
        "sources": sources,
    }
    return {**report, "shortfall": report["asked"] - report["rows"]}


def lengths_of(surveys: Mapping[str, Survey], chosen: Chosen) -> np.ndarray:
    """Characters of every row taken."""
    return np.concatenate(
        [np.asarray(surveys[name].lengths)[numbers] for name, numbers in chosen.items()]
    )


def write_report(report: Mapping[str, Any], lengths: np.ndarray, out: Path) -> None:
    """report.json, report.md, report.html and the two pictures in them."""
    draw_lengths({"characters": lengths}, out / "lengths.png")
    counts = {
        "Rows taken, by source": {
            name: entry["taken"] for name, entry in report["sources"].items()
        },
        "Rows taken, by language": report["languages"],
        "Rows dropped, by reason": report["dropped"],
    }
    draw_counts(counts, out / "counts.png")
    missing = f": {report['shortfall']:,} short." if report["shortfall"] else "."
    summary = f"{report['rows_in']:,} rows read, {report['rows']:,} taken of {report['asked']:,} asked for{missing}"
    write_pages("Stage 1 rows", summary, _tables(report), report, out)


def _describe_source(asked: int, found: Survey, chosen: np.ndarray) -> dict[str, Any]:
    assert found.rows_in == found.usable + found.dropped.total(), (
        "every row read is usable or dropped"
    )
    taken = len(chosen)
    languages = Counter(np.asarray(found.languages)[chosen].tolist())
    return {
        "rows_in": found.rows_in,
        "dropped": dict(sorted(found.dropped.items())),
        "usable": found.usable,
        "asked": asked,
        "taken": taken,
        "left_over": found.usable - taken,
        "shortfall": max(0, asked - taken),
        "topped_up": max(0, taken - asked),
        "repaired": found.repaired,
        "unprompted": found.unprompted,
        "languages": {LANGUAGES[code]: rows for code, rows in sorted(languages.items())},
        "characters": describe_lengths(np.asarray(found.lengths)[chosen]),
    }


def _add_up(counts: Any) -> dict[str, int]:
    return dict(sorted(sum(map(Counter, counts), Counter()).items()))


def _tables(report: Mapping[str, Any]) -> list[Table]:
    sources = report["sources"]
    columns = (
        "rows_in",
        "usable",
        "asked",
        "taken",
        "left_over",
        "shortfall",
        "topped_up",
        "repaired",
        "unprompted",
    )
    names = (
        "read",
        "usable",
        "asked",
        "taken",
        "left over",
        "short",
        "topped up",
        "mended",
        "no own prompt",
    )
    reasons = [
        (name, reason, n)
        for name, entry in sources.items()
        for reason, n in entry["dropped"].items()
    ]
    texts = [
        (name, ", ".join(f"{n:,} {language}" for language, n in entry["languages"].items()))
        + tuple(entry["characters"].get(figure, "") for figure in FIGURES)
        for name, entry in [*sources.items(), ("all", report)]
    ]
    return [
        Table(
            "Sources",
            ("source", *names),
            [(name, *(entry[c] for c in columns)) for name, entry in sources.items()],
        ),
        Table("Dropped", ("source", "reason", "rows"), reasons),
        Table("Taken, in characters a row", ("source", "languages", *FIGURES), texts),
    ]
