"""What is in a training, synthetic or pair file: rows, languages, kinds, regimes, duplicates,
lengths, tokens.

Reads parquet, JSON lines or a JSON array with `messages`, or with `prompt`, `chosen` and
`rejected`, and, where rows have them, `source` and `metadata` (kind, regime, flaw). Writes
report.json, report.md, report.html and pictures.
"""

import hashlib
import os
from array import array
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from tasks.core.data.reports.charts import draw_counts, draw_lengths
from tasks.core.data.languages import language_of
from tasks.core.data.reports.pages import FIGURES, Table, describe_lengths, write_pages
from tasks.core.data.tables import read_rows
from tasks.core.data.reports.tokens import TokenCounter
from tasks.core.errors import RequestError

COUNTED = ("languages", "kinds", "regimes", "flaws", "sources", "unreadable")
"""What is counted by value, in the order of tables."""

_LABELS = {"kinds": "kind", "regimes": "regime", "flaws": "flaw", "sources": "source"}
_BATCH_ROWS = 1_000  # tokenized together

Messages = list[dict[str, Any]]


@dataclass
class FileReport:
    """One file's figures. A pair is as long as its prompt with the longer of its two answers."""

    file: str
    limit: int  # tokens
    rows: int = 0
    duplicates: int = 0  # of an earlier row of this file
    in_earlier_files: int = 0  # also a row of a file named before this one
    counts: dict[str, Counter[str]] = field(
        default_factory=lambda: {name: Counter() for name in COUNTED}
    )
    lengths: dict[str, array] = field(default_factory=dict)  # unit -> one value a readable row

    def to_dict(self) -> dict[str, Any]:
        found: dict[str, Any] = {
            "file": self.file,
            "rows": self.rows,
            "duplicates": self.duplicates,
            "in_earlier_files": self.in_earlier_files,
            **{name: dict(sorted(counter.items())) for name, counter in self.counts.items()},
            **{unit: describe_lengths(values) for unit, values in self.lengths.items()},
        }
        if tokens := self.lengths.get("tokens"):
            found |= {
                "limit": self.limit,
                "over_limit": sum(1 for value in tokens if value > self.limit),
            }
        return found


def report_files(
    files: Sequence[Path],
    tokenizer: Path | None,
    limit: int,
    tell: Callable[[str], None] = lambda text: None,
) -> list[FileReport]:
    """The report of every file; tell hears how far it is. limit: tokens that a row should not pass.

    Raises RequestError for what cannot be read, and where no row is a training row.
    """
    counter = TokenCounter(tokenizer) if tokenizer else None
    earlier: set[bytes] = set()
    reports = []
    for file in files:
        report, seen = FileReport(str(file), limit), set()
        for batch in _batches(read_rows(file)):
            conversations = [
                chat for row in batch if (chat := _add_row(report, row, seen, earlier))
            ]
            if counter:
                sides = counter.count([messages for chat in conversations for messages in chat])
                lengths = iter(sides)
                for chat in conversations:
                    _add_length(report, "tokens", max(next(lengths) for _ in chat))
            tell(f"{file}: {report.rows:,} rows read")
        if report.rows == report.counts["unreadable"].total():
            raise RequestError(
                f"{file}: none of its {report.rows} rows has `messages`, or `prompt`, `chosen` and `rejected`"
                f" ({dict(report.counts['unreadable'])}). Name a training, synthetic or pair file."
            )
        reports.append(report)
        earlier |= seen
    return reports


def write_file_reports(reports: Sequence[FileReport], out: Path) -> None:
    """The tables as one page, and pictures of all files together."""
    out.mkdir(parents=True, exist_ok=True)
    units = {unit for report in reports for unit in report.lengths}
    lengths = {
        unit: np.concatenate(
            [np.asarray(report.lengths.get(unit, ()), dtype=np.int64) for report in reports]
        )
        for unit in ("characters", "tokens")
        if unit in units
    }
    draw_lengths(lengths, out / "lengths.png", reports[0].limit)
    counts = {name: sum((report.counts[name] for report in reports), Counter()) for name in COUNTED}
    draw_counts(
        {name.capitalize(): counter for name, counter in counts.items() if counter},
        out / "counts.png",
    )
    rows = sum(report.rows for report in reports)
    document = {"files": [report.to_dict() for report in reports]}
    write_pages(
        "Rows", f"{rows:,} rows in {len(reports)} files.", tables_of(reports), document, out
    )


def tables_of(reports: Sequence[FileReport]) -> list[Table]:
    """A column a file: its rows, what they are by value, and how long they are."""
    found, names = [report.to_dict() for report in reports], _short_names(reports)
    rows = [
        (what.replace("_", " "), *(f[what] for f in found))
        for what in ("rows", "duplicates", "in_earlier_files")
    ]
    if any("over_limit" in f for f in found):
        rows.append(
            (f"over {reports[0].limit:,} tokens", *(f.get("over_limit", "") for f in found))
        )
    tables = [Table("Rows", ("", *names), rows)]
    for what in COUNTED:
        values = sorted({value for f in found for value in f[what]})
        rows = [(value, *(f[what].get(value, 0) for f in found)) for value in values]
        if rows:
            tables.append(Table(what.capitalize(), ("", *names), rows))
    units = {unit: None for report in reports for unit in report.lengths}
    for unit in units:
        rows = [(figure, *(f.get(unit, {}).get(figure, "") for f in found)) for figure in FIGURES]
        tables.append(Table(f"{unit.capitalize()} a row", ("", *names), rows))
    return tables


def _short_names(reports: Sequence[FileReport]) -> list[str]:
    """The files' names; where two are alike, with their folders, as far as they differ."""
    files = [report.file for report in reports]
    names = [Path(file).name for file in files]
    if len(set(names)) == len(set(files)):
        return names
    return [os.path.relpath(file, os.path.commonpath(files)) for file in files]


def _batches(rows: Iterable[Any]) -> Iterable[list[Any]]:
    batch: list[Any] = []
    for row in rows:
        batch.append(row)
        if len(batch) == _BATCH_ROWS:
            yield batch
            batch = []
    yield batch


def _add_row(
    report: FileReport, row: Any, seen: set[bytes], earlier: set[bytes]
) -> list[Messages] | None:
    """Counts a row and returns its conversations (a pair has two), or None if it is no training
    row.
    """
    report.rows += 1
    chats = row if isinstance(row, str) else conversations_of(row)
    if isinstance(chats, str):
        report.counts["unreadable"][chats] += 1
        return None
    texts = ["\n".join(message["content"] for message in chat) for chat in chats]
    digest = hashlib.blake2b("\0".join(texts).encode("utf-8", "replace"), digest_size=16).digest()
    report.duplicates += digest in seen
    report.in_earlier_files += digest in earlier
    seen.add(digest)
    spoken = (message["content"] for message in chats[0] if message["role"] != "system")
    report.counts["languages"][language_of("\n".join(spoken))] += 1
    metadata = row.get("metadata") if isinstance(row.get("metadata"), dict) else {}
    for name, label in _LABELS.items():
        if (value := metadata.get(label) or row.get(label)) is not None:
            report.counts[name][str(value)] += 1
    _add_length(
        report,
        "characters",
        max(sum(len(message["content"]) for message in chat) for chat in chats),
    )
    if len(chats) == 2:
        for side in ("chosen", "rejected"):
            _add_length(
                report, f"characters, {side}", len(_messages(row[side], "assistant")[-1]["content"])
            )
    return chats


def _add_length(report: FileReport, unit: str, length: int) -> None:
    report.lengths.setdefault(unit, array("q")).append(length)


def conversations_of(row: dict[str, Any]) -> list[Messages] | str:
    """The row's conversation, or its prompt with each of two answers; or what is wrong with the
    row.
    """
    if row.get("messages") is not None:
        chats = [_messages(row["messages"], "user") if isinstance(row["messages"], list) else []]
    elif row.get("prompt") is not None and "chosen" in row:
        prompt = _messages(row["prompt"], "user")
        sides = [_messages(row.get(side), "assistant") for side in ("chosen", "rejected")]
        chats = [prompt and side and prompt + side for side in sides]
    else:
        return "no messages, and no prompt with chosen and rejected"
    return "not text in a message" if not all(chats) else chats


def _messages(value: Any, role: str) -> Messages:
    """A list of messages as it is, a plain text as one message of the role; empty for anything
    else.
    """
    if isinstance(value, str):
        return [{"role": role, "content": value}]
    whole = isinstance(value, list) and all(
        isinstance(m, dict) and isinstance(m.get("content"), str) and isinstance(m.get("role"), str)
        for m in value
    )
    return value if whole else []
