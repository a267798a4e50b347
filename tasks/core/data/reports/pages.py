"""Reports on rows: what they are like in figures, as tables in Markdown, and as one HTML page that
needs no other file.

Writes report.json, report.md, report.html and the pictures that charts.py draws.
"""

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

import numpy as np

from tasks.core.files.json_files import write_json

FIGURES = ("min", "mean", "median", "p95", "max")
_STYLE = (
    "body{font:15px/1.5 system-ui,sans-serif;max-width:62rem;margin:2rem auto;padding:0 1rem;color:#1f2933}"
    "table{border-collapse:collapse;margin:.5rem 0 1.5rem}th,td{padding:.25rem .75rem;border-bottom:1px solid #e4e7eb;"
    "text-align:right}th:first-child,td:first-child{text-align:left}img{max-width:100%}"
)


@dataclass(frozen=True)
class Table:
    title: str
    header: Sequence[str]
    rows: Sequence[Sequence[Any]]

    @property
    def cells(self) -> list[list[str]]:
        """The rows as text, thousands marked."""
        return [
            [f"{cell:,}" if isinstance(cell, int | float) else str(cell) for cell in row]
            for row in self.rows
        ]


def describe_lengths(lengths: Sequence[int] | np.ndarray) -> dict[str, float]:
    """Least, mean, median, 95th percentile (nearest rank) and most; empty for no rows."""
    ordered = np.sort(np.asarray(lengths, dtype=np.int64))
    if not ordered.size:
        return {}
    return {
        "min": int(ordered[0]),
        "mean": round(float(ordered.mean()), 1),
        "median": float(np.median(ordered)),
        "p95": int(ordered[-(-95 * len(ordered) // 100) - 1]),
        "max": int(ordered[-1]),
    }


def write_pages(
    title: str, summary: str, tables: Sequence[Table], report: Mapping[str, Any], out: Path
) -> None:
    """report.json, report.md and report.html into out; the page holds the pictures that lie there."""
    write_json(out / "report.json", report)
    (out / "report.md").write_text(_render_markdown(title, summary, tables), encoding="utf-8")
    page = _render_html(title, summary, tables, sorted(out.glob("*.png")))
    (out / "report.html").write_text(page, encoding="utf-8")


def _render_markdown(title: str, summary: str, tables: Sequence[Table]) -> str:
    lines = [f"# {title}", "", summary]
    for table in tables:
        lines += ["", f"{table.title}:", ""]
        rows = [list(table.header), ["---"] * len(table.header), *table.cells]
        lines += [f"| {' | '.join(row)} |" for row in rows] if table.rows else ["none"]
    return "\n".join(lines) + "\n"


def _render_html(
    title: str, summary: str, tables: Sequence[Table], pictures: Sequence[Path]
) -> str:
    parts = [f"<h1>{escape(title)}</h1><p>{escape(summary)}</p>"]
    for picture in pictures:
        data = base64.b64encode(picture.read_bytes()).decode()
        parts.append(f'<img alt="{escape(picture.stem)}" src="data:image/png;base64,{data}">')
    for table in tables:
        parts.append(f"<h2>{escape(table.title)}</h2>")
        body = [_html_row("th", table.header), *(_html_row("td", row) for row in table.cells)]
        parts.append(f"<table>{''.join(body)}</table>" if table.rows else "<p>none</p>")
    head = f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{escape(title)}</title><style>{_STYLE}</style>'
    return head + "\n".join(parts) + "</html>\n"


def _html_row(tag: str, cells: Sequence[str]) -> str:
    return f"<tr>{''.join(f'<{tag}>{escape(cell)}</{tag}>' for cell in cells)}</tr>"
