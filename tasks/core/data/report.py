"""What came in, what was left out and why, what the rows are like: report.json for programs, report.md for people."""

import re
import statistics
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tasks.core.data.chat import Chat
from tasks.core.digests import write_json

_HANGUL = re.compile("[\uac00-\ud7a3\u3131-\u318e]")
_OTHER_CJK = re.compile("[\u3040-\u30ff\u4e00-\u9fff]")
_LATIN = re.compile("[A-Za-z]")
_LANGUAGE_SAMPLE = 2_000  # characters looked at


@dataclass
class Texts:
    """Languages and lengths of the rows taken from one source."""

    languages: Counter[str] = field(default_factory=Counter)
    lengths: list[int] = field(default_factory=list)  # characters of a row, all messages

    def add(self, system: str, chat: Chat) -> None:
        self.languages[language_of(chat.user + "\n" + chat.assistant)] += 1
        self.lengths.append(len(system) + len(chat.user) + len(chat.assistant))


def language_of(text: str) -> str:
    """ko, en (Latin letters), or other. A Korean text full of English terms still counts as Korean: a fifth decides."""
    sample = text[:_LANGUAGE_SAMPLE]
    hangul, cjk, latin = (len(found.findall(sample)) for found in (_HANGUL, _OTHER_CJK, _LATIN))
    letters = hangul + cjk + latin
    if letters and hangul >= 0.2 * letters:
        return "ko"
    return "en" if letters and latin >= 0.5 * letters else "other"


def describe_lengths(lengths: Sequence[int]) -> dict[str, float]:
    """Least, mean, median, 95th percentile (nearest rank) and most; empty for no rows."""
    if not lengths:
        return {}
    ordered = sorted(lengths)
    return {
        "min": ordered[0],
        "mean": round(statistics.fmean(ordered), 1),
        "median": statistics.median(ordered),
        "p95": ordered[-(-95 * len(ordered) // 100) - 1],
        "max": ordered[-1],
    }


def write_report(report: Mapping[str, Any], out: Path) -> None:
    write_json(out / "report.json", report)
    (out / "report.md").write_text(render_report(report), encoding="utf-8")


def render_report(report: Mapping[str, Any]) -> str:
    """The report as Markdown tables."""
    sources = report["sources"]
    lines = [
        "# Stage 1 rows",
        "",
        f"{report['rows_in']:,} rows read, {report['rows']:,} taken of {report['asked']:,} asked for"
        + (f": {report['shortfall']:,} short." if report["shortfall"] else "."),
        "",
        *_table(
            ("source", "read", "dropped", "usable", "asked", "taken", "short", "topped up", "mended", "no own prompt"),
            [
                (name, entry["rows_in"], sum(entry["dropped"].values()), entry["usable"], entry["asked"])
                + (entry["taken"], entry["shortfall"], entry["topped_up"], entry["repaired"], entry["unprompted"])
                for name, entry in sources.items()
            ],
        ),
        "",
        "Dropped:",
        "",
        *_table(
            ("source", "reason", "rows"),
            [(name, reason, n) for name, entry in sources.items() for reason, n in entry["dropped"].items()],
        ),
        "",
        "Taken, in characters a row:",
        "",
        *_table(
            ("source", "languages", "min", "mean", "median", "p95", "max"),
            [
                (name, ", ".join(f"{n:,} {language}" for language, n in entry["languages"].items()))
                + tuple(entry["characters"].get(column, "") for column in ("min", "mean", "median", "p95", "max"))
                for name, entry in [*sources.items(), ("all", report)]
            ],
        ),
    ]
    return "\n".join(lines) + "\n"


def _table(header: Sequence[str], rows: Sequence[Sequence[Any]]) -> list[str]:
    if not rows:
        return ["none"]
    cells = [[f"{cell:,}" if isinstance(cell, int | float) else str(cell) for cell in row] for row in rows]
    return [f"| {' | '.join(row)} |" for row in [list(header), ["---"] * len(header), *cells]]
