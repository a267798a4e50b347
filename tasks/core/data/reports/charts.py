"""Pictures of rows: how long they are, and how many there are of each kind. Writes PNGs."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, MaxNLocator, NullLocator

from tasks.core.colors import FAINT, GRID, INK, SERIES

_LIMIT_COLOR = SERIES[3]
_BINS = 60
_MOST_BARS = 12  # of a panel; the rest are one bar
_BAR, _PANEL = 0.3, 0.9
"""Inches of one bar, and of a panel's title and margins."""


def draw_lengths(lengths: Mapping[str, np.ndarray], file: Path, limit: int | None = None) -> None:
    """Draws one histogram per unit (characters, tokens), side by side.

    The limit is in tokens; it is drawn in their histogram.
    """
    figure = _new_figure(6.5 * len(lengths), 3.6)
    for index, (unit, values) in enumerate(lengths.items()):
        axes = figure.add_subplot(1, len(lengths), index + 1)
        _draw_histogram(axes, values, SERIES[index % len(SERIES)])
        if limit and unit == "tokens":
            _draw_limit(axes, values, limit)
        _dress(axes, f"Rows by length in {unit}")
        axes.grid(axis="y", color=GRID)
    _save(figure, file)


def draw_counts(panels: Mapping[str, Mapping[str, int]], file: Path) -> None:
    """Draws one panel of horizontal bars per title, one below the other; empty ones say so."""
    bars = {title: _largest(counts) for title, counts in panels.items()}
    heights = [_PANEL + _BAR * max(1, len(counts)) for counts in bars.values()]
    figure = _new_figure(9, sum(heights))
    grid = figure.add_gridspec(len(bars), 1, height_ratios=heights)
    for index, (title, counts) in enumerate(bars.items()):
        axes = figure.add_subplot(grid[index])
        _draw_bars(axes, counts, SERIES[index % len(SERIES)])
        _dress(axes, title)
        axes.set_xticks([])
    _save(figure, file)


def _draw_histogram(axes: Axes, values: np.ndarray, color: str) -> None:
    shortest, longest = 1, 2
    if len(values):
        shortest, longest = max(1, int(values.min())), int(values.max()) + 1
    edges = np.geomspace(shortest, longest, _BINS).tolist()
    axes.hist(values, bins=edges, color=color, alpha=0.85)
    axes.set_xscale("log")
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_major_locator(MaxNLocator(integer=True))
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter(lambda value, _: f"{value:,.0f}")


def _draw_limit(axes: Axes, tokens: np.ndarray, limit: int) -> None:
    over = float(np.mean(tokens > limit)) if len(tokens) else 0.0
    axes.axvline(limit, color=_LIMIT_COLOR, linewidth=1.6)
    title = f"limit {limit:,}: {100 * over:.2f} % over"
    axes.set_title(title, loc="right", fontsize=9.5, color=_LIMIT_COLOR)


def _largest(counts: Mapping[str, int]) -> dict[str, int]:
    """The largest first; those beyond the last bar together."""
    names = sorted(counts, key=lambda name: -counts[name])
    if len(names) > _MOST_BARS:
        names = names[: _MOST_BARS - 1]
    bars = {name: counts[name] for name in names}
    others = len(counts) - len(bars)
    if others:
        bars[f"{others} others"] = sum(counts.values()) - sum(bars.values())
    return bars


def _draw_bars(axes: Axes, counts: Mapping[str, int], color: str) -> None:
    total = sum(counts.values())
    for index, count in enumerate(counts.values()):
        axes.barh(index, count, height=0.7, color=color, alpha=0.85)
        text = f" {count:,} ({100 * count / max(total, 1):.1f} %)"
        axes.text(count, index, text, va="center", fontsize=9, color=INK)
    axes.set_yticks(range(len(counts)), list(counts))
    axes.set_ylim(max(len(counts), 1) - 0.4, -0.6)
    axes.set_xlim(0, 1.25 * max(counts.values(), default=1))
    if not counts:
        axes.text(0, 0, "none", va="center", fontsize=9.5, color=FAINT)


def _new_figure(width: float, height: float) -> Figure:
    figure = Figure(figsize=(width, height), dpi=120, facecolor="white", layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def _save(figure: Figure, file: Path) -> None:
    """Writes the picture without matplotlib's version, so that it keeps its bytes."""
    figure.savefig(file, metadata={"Software": None})


def _dress(axes: Axes, title: str) -> None:
    axes.set_title(title, loc="left", fontsize=11, color=INK, fontweight="bold")
    axes.tick_params(length=0, labelsize=9, labelcolor=INK)
    axes.set_axisbelow(True)
    for spine in axes.spines.values():
        spine.set_visible(False)
