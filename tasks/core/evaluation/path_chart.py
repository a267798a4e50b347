"""The picture of the net-exposure path: what was held over the rule's band, and its value below.

Writes a PNG.
"""

from datetime import date
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.dates import AutoDateLocator, ConciseDateFormatter, date2num
from matplotlib.figure import Figure

from tasks.core.colors import FAINT, GRID, INK
from tasks.core.evaluation.chart import model_color
from tasks.core.evaluation.exposure_path import ExposurePath
from tasks.core.evaluation.path_report import INDEX, RULE, path_warning

BAND = "#dfe9f2"
MARGIN_PCT = 12
"""Points of NAV above and below what was held."""
WIDTH, DENSE_DAYS = 1.8, 150
"""Points of a model's line. It is thinner over more than so many days, where steps lie close."""


def draw_path(path: ExposurePath, file: Path, toy: bool) -> None:
    """Draws the models, the rule and the index; `toy` puts the warning under the title."""
    figure = Figure(figsize=(12, 7.5), dpi=150, facecolor="white")
    FigureCanvasAgg(figure)
    held, value = figure.subplots(2, 1, sharex=True, height_ratios=(1.25, 1))
    figure.subplots_adjust(left=0.07, right=0.97, top=0.79, bottom=0.06, hspace=0.22)
    days = date2num([date.fromisoformat(day.date) for day in path.days])
    _draw_held(held, path, days)
    _draw_values(value, path, days)
    for panel in (held, value):
        _style(panel, days)
    _write_head(figure, held, path, toy)
    figure.savefig(file, metadata={"Software": None})


def _draw_held(axes: Axes, path: ExposurePath, days: np.ndarray) -> None:
    """Draws each exposure as steps: it is held from a day's close to the next."""
    edges = _edges(days)
    lows, highs = zip(*(day.band_pct for day in path.days), strict=True)
    axes.stairs(highs, edges, baseline=lows, fill=True, color=BAND, label="the rule's band")
    axes.stairs(path.rule.exposure_pct, edges, baseline=None, color=INK, ls="--", label=RULE)
    for index, (model, walk) in enumerate(path.models.items()):
        axes.stairs(
            walk.exposure_pct,
            edges,
            baseline=None,
            color=model_color(index),
            linewidth=_width(days),
            label=model,
        )
    axes.axhline(0, color=FAINT, linewidth=0.8)
    shown = [*lows, *highs]
    for walk in path.models.values():
        shown += walk.exposure_pct
    axes.set_ylim(min(shown) - MARGIN_PCT, max(shown) + MARGIN_PCT)
    _title(axes, "Net exposure from each close to the next, % of NAV")


def _draw_values(axes: Axes, path: ExposurePath, days: np.ndarray) -> None:
    dots = "o" if len(days) == 1 else None  # a line of one point cannot be seen
    axes.plot(days, path.index.value_after, color=FAINT, ls=":", marker=dots, label=INDEX)
    axes.plot(days, path.rule.value_after, color=INK, ls="--", marker=dots)
    for index, walk in enumerate(path.models.values()):
        color = model_color(index)
        axes.plot(days, walk.value_after, color=color, linewidth=_width(days), marker=dots)
    _title(axes, f"Value after costs of {path.cost_bp:g} basis points, 100 at the start")


def _width(days: np.ndarray) -> float:
    return WIDTH * min(1.0, (DENSE_DAYS / len(days)) ** 0.5)


def _edges(days: np.ndarray) -> np.ndarray:
    """Returns where the steps begin and end; the last day's is as long as the one before."""
    last = days[-1] - days[-2] if len(days) > 1 else 1.0
    return np.append(days, days[-1] + last)


def _title(axes: Axes, text: str) -> None:
    axes.set_title(text, loc="left", fontsize=11.5, color=INK, fontweight="bold", pad=8)


def _style(axes: Axes, days: np.ndarray) -> None:
    locator = AutoDateLocator(minticks=1, interval_multiples=False)
    axes.xaxis.set_major_locator(locator)
    axes.xaxis.set_major_formatter(ConciseDateFormatter(locator))
    axes.set_xlim(days[0] - 0.5, _edges(days)[-1] + 0.5)
    axes.tick_params(length=0, labelsize=9.5, labelcolor=INK)
    axes.grid(color=GRID)
    axes.set_axisbelow(True)
    for spine in axes.spines.values():
        spine.set_visible(False)


def _write_head(figure: Figure, held: Axes, path: ExposurePath, toy: bool) -> None:
    days = len(path.days)
    title = f"Net-exposure path over {days} held-out day{'s' * (days != 1)}"
    figure.text(0.02, 0.945, title, fontsize=16, color=INK, weight="bold")
    note = f"{path_warning(path)}: read what would have been held."
    if toy:
        note += " The model is the demo's toy."
    figure.text(0.02, 0.915, note, fontsize=9.5, color=FAINT)
    handles, _ = held.get_legend_handles_labels()
    handles += figure.axes[1].get_legend_handles_labels()[0]
    figure.legend(
        handles=handles,
        loc="upper left",
        bbox_to_anchor=(0.012, 0.9),
        frameon=False,
        fontsize=10,
        ncols=6,
    )
