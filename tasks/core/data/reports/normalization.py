"""The report of normalize: what came in, what was left out and why, and what the rows are like,
source by source.

Writes report.json, report.md, report.html and two pictures.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from tasks.core.data.cleaning import Survey
from tasks.core.data.languages import LANGUAGES
from tasks.core.data.reports.charts import draw_counts, draw_lengths
from tasks.core.data.reports.pages import FIGURES, Table, describe_lengths, write_pages
from tasks.core.settings.data import Data

Chosen = Mapping[str, np.ndarray]
"""By source, the numbers of the usable rows that were taken."""

_SOURCE_COLUMNS = {
    "rows_in": "read",
    "usable": "usable",
    "asked": "asked",
    "taken": "taken",
    "left_over": "left over",
    "shortfall": "short",
    "topped_up": "topped up",
    "repaired": "mended",
    "unprompted": "no own prompt",
}
"""Figures of a source in report.json, and their headers in the table."""


def make_report(
    data: Data, asked: Mapping[str, int], surveys: Mapping[str, Survey], chosen: Chosen
) -> dict[str, Any]:
    """All figures.

    Per source, rows_in = taken + left_over + all dropped, and taken = asked - shortfall +
    topped_up.
    """
    sources = {}
    for name, survey in surveys.items():
        sources[name] = _describe_source(asked[name], survey, chosen[name])
    entries = list(sources.values())
    rows = _sum_of(entries, "taken")
    return {
        "asked": data.rows,
        "rows": rows,
        "rows_in": _sum_of(entries, "rows_in"),
        "dropped": _sum_by_value(entries, "dropped"),
        "left_over": _sum_of(entries, "left_over"),
        "languages": _sum_by_value(entries, "languages"),
        "characters": describe_lengths(lengths_of(surveys, chosen)),
        "seed": data.seed,
        "sources": sources,
        "shortfall": data.rows - rows,
    }


def lengths_of(surveys: Mapping[str, Survey], chosen: Chosen) -> np.ndarray:
    """The characters of every row taken, as one array."""
    return np.concatenate(
        [np.asarray(surveys[name].lengths)[numbers] for name, numbers in chosen.items()]
    )


def write_report(report: Mapping[str, Any], lengths: np.ndarray, out: Path) -> None:
    """Writes report.json, report.md, report.html and the two pictures in the page."""
    draw_lengths({"characters": lengths}, out / "lengths.png")
    taken = {name: entry["taken"] for name, entry in report["sources"].items()}
    panels = {
        "Rows taken, by source": taken,
        "Rows taken, by language": report["languages"],
        "Rows dropped, by reason": report["dropped"],
    }
    draw_counts(panels, out / "counts.png")
    write_pages("Stage 1 rows", _summary_of(report), _tables_of(report), report, out)


def _describe_source(asked: int, survey: Survey, chosen: np.ndarray) -> dict[str, Any]:
    accounted = survey.usable + survey.dropped.total()
    assert survey.rows_in == accounted, "every row read is usable or dropped"
    taken = len(chosen)
    return {
        "rows_in": survey.rows_in,
        "dropped": dict(sorted(survey.dropped.items())),
        "examples": dict(sorted(survey.examples.items())),
        "usable": survey.usable,
        "asked": asked,
        "taken": taken,
        "left_over": survey.usable - taken,
        "shortfall": max(0, asked - taken),
        "topped_up": max(0, taken - asked),
        "repaired": survey.repaired,
        "unprompted": survey.unprompted,
        "languages": _count_languages(np.asarray(survey.languages)[chosen]),
        "characters": describe_lengths(np.asarray(survey.lengths)[chosen]),
    }


def _count_languages(codes: np.ndarray) -> dict[str, int]:
    """Rows by language; a code is an index in LANGUAGES."""
    counts = Counter(codes.tolist())
    return {LANGUAGES[code]: rows for code, rows in sorted(counts.items())}


def _sum_of(entries: Iterable[Mapping[str, Any]], figure: str) -> int:
    return sum(entry[figure] for entry in entries)


def _sum_by_value(entries: Iterable[Mapping[str, Any]], figure: str) -> dict[str, int]:
    total: Counter[str] = Counter()
    for entry in entries:
        total.update(entry[figure])
    return dict(sorted(total.items()))


def _summary_of(report: Mapping[str, Any]) -> str:
    summary = (
        f"{report['rows_in']:,} rows read, {report['rows']:,} taken of {report['asked']:,} asked"
        " for"
    )
    if report["shortfall"]:
        return f"{summary}: {report['shortfall']:,} short."
    return f"{summary}."


def _tables_of(report: Mapping[str, Any]) -> list[Table]:
    sources = report["sources"]
    counts = []
    dropped = []
    taken = []
    for name, entry in sources.items():
        counts.append([name, *(entry[column] for column in _SOURCE_COLUMNS)])
        for reason, rows in entry["dropped"].items():
            dropped.append([name, reason, rows, entry["examples"][reason]])
        taken.append(_taken_row(name, entry))
    taken.append(_taken_row("all", report))
    return [
        Table("Sources", ("source", *_SOURCE_COLUMNS.values()), counts),
        Table("Dropped", ("source", "reason", "rows", "the first of them"), dropped),
        Table("Taken, in characters a row", ("source", "languages", *FIGURES), taken),
    ]


def _taken_row(name: str, entry: Mapping[str, Any]) -> list[Any]:
    languages = ", ".join(f"{rows:,} {language}" for language, rows in entry["languages"].items())
    lengths = [entry["characters"].get(figure, "") for figure in FIGURES]
    return [name, languages, *lengths]
