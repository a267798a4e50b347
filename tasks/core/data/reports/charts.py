"""Pictures of rows: how long they are, and how many there are of each kind. Writes PNGs."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, MaxNLocator, NullLocator

COLORS = ("#1261a0", "#e08e0b", "#2d8a5f", "#b0413e")
INK, FAINT, GRID = "#1f2933", "#616e7c", "#e4e7eb"
_BINS = 60
_MOST_BARS = 12  # of a panel; the rest are one bar
_BAR, _PANEL = 0.3, 0.9
"""Inches of one bar, and of a panel's title and margins."""


def draw_lengths(lengths: Mapping[str, np.ndarray], file: Path, limit: int | None = None) -> None:
    """One histogram a unit (characters, tokens), side by side; limit, in tokens, is drawn where
    tokens are.
    """
    figure = _figure(6.5 * len(lengths), 3.6)
    for place, (unit, values) in enumerate(lengths.items()):
        axes = figure.add_subplot(1, len(lengths), place + 1)
        ends = (max(1, int(values.min())), int(values.max()) + 1) if len(values) else (1, 2)
        axes.hist(
            values, bins=np.geomspace(*ends, _BINS), color=COLORS[place % len(COLORS)], alpha=0.85
        )
        axes.set_xscale("log")
        axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.xaxis.set_minor_locator(NullLocator())
        axes.yaxis.set_major_locator(MaxNLocator(integer=True))
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_major_formatter(lambda value, _: f"{value:,.0f}")
        if limit and unit == "tokens":
            over = float(np.mean(values > limit)) if len(values) else 0.0
            axes.axvline(limit, color=COLORS[3], linewidth=1.6)
            axes.set_title(
                f"limit {limit:,}: {100 * over:.2f} % over",
                loc="right",
                fontsize=9.5,
                color=COLORS[3],
            )
        _dress(axes, f"Rows by length in {unit}")
        axes.grid(axis="y", color=GRID)
    figure.savefig(file, metadata={"Software": None})


def draw_counts(panels: Mapping[str, Mapping[str, int]], file: Path) -> None:
    """One panel of horizontal bars per title, one below the other; empty ones say so."""
    bars = {title: _most(counts) for title, counts in panels.items()}
    heights = [_PANEL + _BAR * max(1, len(rows)) for rows in bars.values()]
    figure = _figure(9, sum(heights))
    grid = figure.add_gridspec(len(bars), 1, height_ratios=heights)
    for place, (title, rows) in enumerate(bars.items()):
        axes = figure.add_subplot(grid[place])
        _draw_bars(axes, rows, COLORS[place % len(COLORS)])
        _dress(axes, title)
        axes.set_xticks([])
    figure.savefig(file, metadata={"Software": None})


def _most(counts: Mapping[str, int]) -> list[tuple[str, int]]:
    """The largest first; those beyond the last bar together."""
    ordered = sorted(counts.items(), key=lambda item: -item[1])
    if len(ordered) <= _MOST_BARS:
        return ordered
    rest = ordered[_MOST_BARS - 1 :]
    return [*ordered[: _MOST_BARS - 1], (f"{len(rest)} others", sum(count for _, count in rest))]


def _draw_bars(axes: Axes, rows: Sequence[tuple[str, int]], color: str) -> None:
    total = sum(count for _, count in rows)
    for place, (_, count) in enumerate(rows):
        axes.barh(place, count, height=0.7, color=color, alpha=0.85)
        text = f" {count:,} ({100 * count / max(total, 1):.1f} %)"
        axes.text(count, place, text, va="center", fontsize=9, color=INK)
    axes.set_yticks(range(len(rows)), [name for name, _ in rows])
    axes.set_ylim(max(len(rows), 1) - 0.4, -0.6)
    axes.set_xlim(0, 1.25 * max([count for _, count in rows], default=1))
    if not rows:
        axes.text(0, 0, "none", va="center", fontsize=9.5, color=FAINT)


def _figure(width: float, height: float) -> Figure:
    figure = Figure(figsize=(width, height), dpi=120, facecolor="white", layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def _dress(axes: Axes, title: str) -> None:
    axes.set_title(title, loc="left", fontsize=11, color=INK, fontweight="bold")
    axes.tick_params(length=0, labelsize=9, labelcolor=INK)
    axes.set_axisbelow(True)
    for spine in axes.spines.values():
        spine.set_visible(False)
