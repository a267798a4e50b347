"""What is in a training, synthetic or pair file: rows, languages, kinds, regimes, duplicates,
lengths, tokens.

Reads parquet, JSON lines or a JSON array with `messages`, or with `prompt`, `chosen` and
`rejected`, and, if rows have them, `source` and `metadata` (kind, regime, flaw). Writes
report.json, report.md, report.html and pictures.
"""

import hashlib
import os
from array import array
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from tasks.core.data.languages import language_of
from tasks.core.data.reports.charts import draw_counts, draw_lengths
from tasks.core.data.reports.conversations import Messages, conversations_of
from tasks.core.data.reports.pages import FIGURES, Table, describe_lengths, write_pages
from tasks.core.data.reports.tokens import TokenCounter
from tasks.core.data.tables import read_rows
from tasks.core.errors import RequestError

COUNTED = ("languages", "kinds", "regimes", "flaws", "sources", "unreadable")
"""What is counted by value, in the order of tables."""

_LABELS = {"kinds": "kind", "regimes": "regime", "flaws": "flaw", "sources": "source"}
_ROW_COUNTS = ("rows", "duplicates", "in_earlier_files")
_DRAWN = ("characters", "tokens")  # the units of the histograms
_BATCH_ROWS = 1_000  # tokenized together

Row = dict[str, Any] | str
"""A row of a file, or why there is none."""


def _no_counts() -> dict[str, Counter[str]]:
    return {name: Counter() for name in COUNTED}


@dataclass
class FileReport:
    """One file's figures. A pair is as long as its prompt with the longer of its two answers."""

    file: str
    limit: int  # tokens
    rows: int = 0
    duplicates: int = 0  # of an earlier row of this file
    in_earlier_files: int = 0  # also a row of a file named before this one
    counts: dict[str, Counter[str]] = field(default_factory=_no_counts)
    # by unit, one value a readable row
    lengths: dict[str, "array[int]"] = field(default_factory=dict)

    def add_length(self, unit: str, length: int) -> None:
        """Adds a readable row's length in a unit."""
        self.lengths.setdefault(unit, array("q")).append(length)

    def to_dict(self) -> dict[str, Any]:
        """The figures as report.json and `--json` hold them."""
        figures: dict[str, Any] = {"file": self.file}
        for name in _ROW_COUNTS:
            figures[name] = getattr(self, name)
        for name, counter in self.counts.items():
            figures[name] = dict(sorted(counter.items()))
        for unit, lengths in self.lengths.items():
            figures[unit] = describe_lengths(lengths)
        if "tokens" in self.lengths:
            figures["limit"] = self.limit
            figures["over_limit"] = sum(
                1 for tokens in self.lengths["tokens"] if tokens > self.limit
            )
        return figures


def report_files(
    files: Sequence[Path],
    tokenizer: Path | None,
    limit: int,
    tell: Callable[[str], None] = lambda text: None,
) -> list[FileReport]:
    """The report of every file; tell hears how far it is. limit: tokens that a row should not pass.

    Raises RequestError for what cannot be read, and if no row of a file is a training row.
    """
    counter = TokenCounter(tokenizer) if tokenizer else None
    earlier: set[bytes] = set()
    reports = []
    for file in files:
        report = FileReport(str(file), limit)
        digests: set[bytes] = set()
        for batch in _batches(read_rows(file)):
            readable = _add_rows(report, batch, digests, earlier)
            if counter:
                _add_tokens(report, readable, counter)
            tell(f"{file}: {report.rows:,} rows read")
        _refuse_unreadable(report)
        reports.append(report)
        earlier |= digests
    return reports


def write_file_reports(reports: Sequence[FileReport], out: Path) -> None:
    """Writes the tables as one page, and pictures of all files together."""
    out.mkdir(parents=True, exist_ok=True)
    draw_lengths(_all_lengths(reports), out / "lengths.png", reports[0].limit)
    draw_counts(_all_counts(reports), out / "counts.png")
    rows = sum(report.rows for report in reports)
    summary = f"{rows:,} rows in {len(reports)} files."
    document = {"files": [report.to_dict() for report in reports]}
    write_pages("Rows", summary, tables_of(reports), document, out)


def tables_of(reports: Sequence[FileReport]) -> list[Table]:
    """A column per file: its rows, what they are by value, and how long they are."""
    files = [report.to_dict() for report in reports]
    header = ("", *_short_names(reports))
    tables = [Table("Rows", header, _row_counts(files, reports[0].limit))]
    for name in COUNTED:
        counts = _counts_by_value(files, name)
        if counts:
            tables.append(Table(name.capitalize(), header, counts))
    for unit in _units_of(reports):
        described = _across(files, unit, {})
        lengths = [[figure, *_across(described, figure, "")] for figure in FIGURES]
        tables.append(Table(f"{unit.capitalize()} a row", header, lengths))
    return tables


def _add_rows(
    report: FileReport, rows: Iterable[Row], digests: set[bytes], earlier: set[bytes]
) -> list[list[Messages]]:
    """Counts rows, and returns the conversations of each training row (a pair has two)."""
    readable = []
    for row in rows:
        report.rows += 1
        conversations = row if isinstance(row, str) else conversations_of(row)
        if isinstance(row, str) or isinstance(conversations, str):
            report.counts["unreadable"][str(conversations)] += 1
            continue
        digest = _digest_of(conversations)
        report.duplicates += digest in digests
        report.in_earlier_files += digest in earlier
        digests.add(digest)
        report.counts["languages"][_language_of(conversations[0])] += 1
        _count_labels(report, row)
        _add_characters(report, conversations)
        readable.append(conversations)
    return readable


def _digest_of(conversations: Iterable[Messages]) -> bytes:
    texts = []
    for messages in conversations:
        texts.append("\n".join(message["content"] for message in messages))
    content = "\0".join(texts).encode("utf-8", "replace")
    return hashlib.blake2b(content, digest_size=16).digest()


def _language_of(messages: Messages) -> str:
    spoken = [message["content"] for message in messages if message["role"] != "system"]
    return language_of("\n".join(spoken))


def _count_labels(report: FileReport, row: Mapping[str, Any]) -> None:
    """Counts the row's kind, regime, flaw and source, named by its metadata or by the row."""
    metadata = row.get("metadata")
    if not isinstance(metadata, dict):
        metadata = {}
    for name, label in _LABELS.items():
        value = metadata.get(label) or row.get(label)
        if value is not None:
            report.counts[name][str(value)] += 1


def _add_characters(report: FileReport, conversations: Sequence[Messages]) -> None:
    lengths = []
    for messages in conversations:
        lengths.append(sum(len(message["content"]) for message in messages))
    report.add_length("characters", max(lengths))
    if len(conversations) == 2:
        chosen, rejected = conversations
        report.add_length("characters, chosen", len(chosen[-1]["content"]))
        report.add_length("characters, rejected", len(rejected[-1]["content"]))


def _add_tokens(
    report: FileReport, readable: Sequence[Sequence[Messages]], counter: TokenCounter
) -> None:
    """Tokenizes the conversations of many rows together, and adds each row's longest."""
    together: list[Messages] = []
    for conversations in readable:
        together += conversations
    tokens = counter.count(together)
    first = 0
    for conversations in readable:
        end = first + len(conversations)
        report.add_length("tokens", max(tokens[first:end]))
        first = end


def _refuse_unreadable(report: FileReport) -> None:
    """Refuses a file in which no row is a training row."""
    unreadable = report.counts["unreadable"]
    if report.rows == unreadable.total():
        raise RequestError(
            f"{report.file}: none of its {report.rows} rows has `messages`, or `prompt`, `chosen`"
            f" and `rejected` ({dict(unreadable)}). Name a training, synthetic or pair file."
        )


def _all_lengths(reports: Sequence[FileReport]) -> dict[str, np.ndarray]:
    """The lengths of all files' rows, by the units that are drawn."""
    units = _units_of(reports)
    lengths = {}
    for unit in _DRAWN:
        if unit in units:
            parts = [np.asarray(report.lengths.get(unit, ()), np.int64) for report in reports]
            lengths[unit] = np.concatenate(parts)
    return lengths


def _all_counts(reports: Sequence[FileReport]) -> dict[str, Counter[str]]:
    """What is counted by value, in all files together, by its title."""
    panels = {}
    for name in COUNTED:
        total: Counter[str] = Counter()
        for report in reports:
            total += report.counts[name]
        if total:
            panels[name.capitalize()] = total
    return panels


def _row_counts(files: Sequence[Mapping[str, Any]], limit: int) -> list[list[Any]]:
    rows = [[name.replace("_", " "), *_across(files, name)] for name in _ROW_COUNTS]
    over_limit = _across(files, "over_limit", "")
    if any(count != "" for count in over_limit):
        rows.append([f"over {limit:,} tokens", *over_limit])
    return rows


def _counts_by_value(files: Sequence[Mapping[str, Any]], name: str) -> list[list[Any]]:
    """A row per value: the value, then how many rows of each file have it."""
    counts = _across(files, name)
    values = sorted(set().union(*counts))
    return [[value, *_across(counts, value, 0)] for value in values]


def _across(files: Sequence[Mapping[str, Any]], name: str, missing: Any = None) -> list[Any]:
    """A figure of each file, in the files' order."""
    return [file.get(name, missing) for file in files]


def _units_of(reports: Sequence[FileReport]) -> list[str]:
    """The units in which any file has lengths, in the order in which they come up."""
    units: dict[str, None] = {}
    for report in reports:
        units.update(dict.fromkeys(report.lengths))
    return list(units)


def _short_names(reports: Sequence[FileReport]) -> list[str]:
    """The files' names; if two are alike, with their folders, as far as they differ."""
    files = [report.file for report in reports]
    names = [Path(file).name for file in files]
    if len(set(names)) == len(set(files)):
        return names
    return [os.path.relpath(file, os.path.commonpath(files)) for file in files]


def _batches(rows: Iterable[Row]) -> Iterator[list[Row]]:
    batch: list[Row] = []
    for row in rows:
        batch.append(row)
        if len(batch) == _BATCH_ROWS:
            yield batch
            batch = []
    yield batch
