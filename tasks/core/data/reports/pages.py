"""Reports on rows: figures as tables in Markdown, and as one HTML page that needs no other file.

Writes report.json, report.md and report.html; the page holds the pictures that charts.py drew.
"""

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

import numpy as np

from tasks.core.files.json_files import write_json
from tasks.core.scripts import visible

FIGURES = ("min", "mean", "median", "p95", "max")
"""The keys of describe_lengths, in their order."""

_STYLE = (
    "body{font:15px/1.5 system-ui,sans-serif;max-width:62rem;margin:2rem auto;padding:0 1rem;"
    "color:#1f2933}"
    "table{border-collapse:collapse;margin:.5rem 0 1.5rem}"
    "th,td{padding:.25rem .75rem;border-bottom:1px solid #e4e7eb;text-align:right}"
    "th:first-child,td:first-child{text-align:left}"
    "img{max-width:100%}"
)


@dataclass(frozen=True)
class Table:
    """A table of a report: numbers and texts below a header."""

    title: str
    header: Sequence[str]
    rows: Sequence[Sequence[Any]]

    @property
    def cells(self) -> list[list[str]]:
        """The rows as text, thousands marked."""
        return [list(map(_cell_text, row)) for row in self.rows]


def describe_lengths(lengths: Sequence[int] | np.ndarray) -> dict[str, float]:
    """Least, mean, median, 95th percentile (nearest rank) and most; empty for no rows."""
    ordered = np.sort(np.asarray(lengths, dtype=np.int64))
    if not ordered.size:
        return {}
    p95_rank = -(-95 * len(ordered) // 100)  # rounded up
    return {
        "min": int(ordered[0]),
        "mean": round(float(ordered.mean()), 1),
        "median": float(np.median(ordered)),
        "p95": int(ordered[p95_rank - 1]),
        "max": int(ordered[-1]),
    }


def write_pages(
    title: str, summary: str, tables: Sequence[Table], report: Mapping[str, Any], out: Path
) -> None:
    """Writes report.json, report.md and report.html into out, with the pictures that lie there."""
    write_json(out / "report.json", report)
    (out / "report.md").write_text(_render_markdown(title, summary, tables), encoding="utf-8")
    page = _render_html(title, summary, tables, sorted(out.glob("*.png")))
    (out / "report.html").write_text(page, encoding="utf-8")


def _cell_text(cell: Any) -> str:
    if isinstance(cell, int | float):
        return f"{cell:,}"
    return str(cell)


def _render_markdown(title: str, summary: str, tables: Sequence[Table]) -> str:
    lines = [f"# {title}", "", summary]
    for table in tables:
        lines += ["", f"{table.title}:", ""]
        if not table.rows:
            lines.append("none")
            continue
        rule = ["---"] * len(table.header)
        for row in (table.header, rule, *table.cells):
            lines.append(f"| {' | '.join(map(_markdown_cell, row))} |")
    return "\n".join(lines) + "\n"


def _markdown_cell(text: str) -> str:
    """Returns other people's text as a cell shows it, with no HTML, cell or line of its own."""
    return escape(visible(text), quote=False).replace("|", r"\|").replace("\n", " ")


def _render_html(
    title: str, summary: str, tables: Sequence[Table], pictures: Sequence[Path]
) -> str:
    head = (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{escape(title)}</title>'
        f"<style>{_STYLE}</style>"
    )
    parts = [f"<h1>{escape(title)}</h1><p>{escape(summary)}</p>"]
    for picture in pictures:
        data = base64.b64encode(picture.read_bytes()).decode()
        parts.append(f'<img alt="{escape(picture.stem)}" src="data:image/png;base64,{data}">')
    for table in tables:
        parts.append(f"<h2>{escape(table.title)}</h2>")
        parts.append(_html_table(table))
    return head + "\n".join(parts) + "</html>\n"


def _html_table(table: Table) -> str:
    if not table.rows:
        return "<p>none</p>"
    rows = [_html_row("th", table.header)]
    for row in table.cells:
        rows.append(_html_row("td", row))
    return f"<table>{''.join(rows)}</table>"


def _html_row(tag: str, cells: Sequence[str]) -> str:
    return "<tr>" + "".join(f"<{tag}>{escape(cell)}</{tag}>" for cell in cells) + "</tr>"
