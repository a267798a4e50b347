"""One picture of an evaluation: each measure's share with its interval, and the grade per kind.

Writes a PNG.
"""

from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from tasks.core.colors import FAINT, GRID, INK, SERIES
from tasks.core.evaluation.measures import Figures, Row, grade_rows, share_rows

COLORS = ("#8d99a6", *SERIES, "#6f4fa2")
"""Grey for the first model, the one compared with; the others stand out from it."""
HEAD, FOOT, ROW = 1.15, 0.45, 0.27
"""Inches: title and legend above the panels, the axis below them, and each model's line of a
row.
"""


def draw_chart(scores: dict[str, Figures], file: Path, toy: bool) -> None:
    """Draws the models' scores (score.score's) side by side; `toy` puts the warning under the
    title.
    """
    models = list(scores.values())
    shares = share_rows(models)
    grades = grade_rows(models)
    rows = max(len(shares), len(grades))
    head = HEAD + 0.22 * (len(models) + toy)
    height = head + FOOT + rows * ROW * (len(models) + 1)
    figure = Figure(figsize=(12, height), dpi=150, facecolor="white")
    FigureCanvasAgg(figure)
    left, right = figure.subplots(1, 2)
    _draw_panel(left, shares, rows, percent=True)
    _draw_panel(right, grades, rows, percent=False)
    figure.subplots_adjust(
        left=0.215, right=0.955, wspace=0.72, bottom=FOOT / height, top=1 - head / height
    )
    _write_head(figure, scores, toy)
    figure.savefig(file, metadata={"Software": None})


def _draw_panel(axes: Axes, rows: list[Row], most_rows: int, percent: bool) -> None:
    """Draws one row per measure, in it one line per model, the first model on top."""
    labels = []
    for number, row in enumerate(rows):
        labels.append(f"{row.words.replace('_', ' ')}\nn = {row.estimates[0]['n']}")
        step = 1 / (len(row.estimates) + 1)
        for index, estimate in enumerate(row.estimates):
            height = number + (index - (len(row.estimates) - 1) / 2) * step
            _draw_estimate(axes, height, estimate, model_color(index), percent)
    axes.set_yticks(range(len(rows)), labels)
    axes.set_ylim(most_rows - 0.5, -0.5)  # the same pitch in both panels
    _style_panel(axes, percent)


def _style_panel(axes: Axes, percent: bool) -> None:
    ticks = (0, 0.25, 0.5, 0.75, 1)
    if percent:
        title = "Share of replies, %"
        labels = [f"{100 * tick:.0f}" for tick in ticks]
    else:
        title = "Mean grade, 0 to 1"
        labels = [f"{tick:g}" for tick in ticks]
    axes.set_xlim(0, 1)
    axes.set_xticks(ticks, labels)
    axes.set_title(title, loc="left", fontsize=11.5, color=INK, fontweight="bold", pad=10)
    axes.tick_params(length=0, labelsize=9.5, labelcolor=INK)
    axes.grid(axis="x", color=GRID)
    axes.set_axisbelow(True)
    for spine in axes.spines.values():
        spine.set_visible(False)


def _draw_estimate(
    axes: Axes, height: float, estimate: dict[str, Any], color: str, percent: bool
) -> None:
    """Draws a line to the mean, the interval as a band, and the figure itself at the right."""
    value = estimate["value"]
    axes.text(
        1.04,
        height,
        _figure_text(value, percent),
        color=color,
        va="center",
        ha="left",
        fontsize=9.5,
        fontweight="bold",
    )
    if value is None:
        return
    axes.plot(
        [estimate["low"], estimate["high"]],
        [height, height],
        color=color,
        alpha=0.25,
        linewidth=9,
        solid_capstyle="butt",
        clip_on=False,
    )
    axes.plot([0, value], [height, height], color=color, linewidth=1.6, alpha=0.75)
    axes.plot(value, height, "o", color=color, markersize=7, clip_on=False, zorder=3)


def _figure_text(value: float | None, percent: bool) -> str:
    if value is None:
        return "–"
    if percent:
        return f"{100 * value:.0f}"
    return f"{value:.2f}"


def model_color(index: int) -> str:
    """Returns the colour of the model with this number, counted from 0."""
    return COLORS[index % len(COLORS)]


def _write_head(figure: Figure, scores: dict[str, Figures], toy: bool) -> None:
    """Writes the title, the note under it and the legend of the models."""
    height = figure.get_figheight()
    questions = next(iter(scores.values()))["questions"]["n"]
    title = f"Evaluation on {questions} frozen question{'s' * (questions != 1)}"
    figure.text(0.02, 1 - 0.38 / height, title, fontsize=16, color=INK, weight="bold")
    note = "Point: mean. Band: 95 % bootstrap interval. n: questions that a figure applies to."
    if toy:
        note += "\nThe model is the demo's toy: this picture proves the chain, not the skill."
    figure.text(0.02, 1 - 0.5 / height, note, fontsize=9.5, color=FAINT, va="top", linespacing=1.4)
    handles = []
    for index, (model, figures) in enumerate(scores.items()):
        label = _legend_text(model, figures["speed"])
        handles.append(
            Line2D([], [], color=model_color(index), marker="o", linewidth=1.6, label=label)
        )
    below = 0.62 + 0.22 * toy
    figure.legend(
        handles=handles,
        loc="upper left",
        bbox_to_anchor=(0.012, 1 - below / height),
        frameon=False,
        fontsize=10,
    )


def _legend_text(model: str, speed: dict[str, Any]) -> str:
    if speed["tokens_per_s"] is None:
        return model
    median = f"median {speed['latency_p50_s']:.1f} s a reply"
    return f"{model}: {median}, {speed['tokens_per_s']:.0f} tokens/s"
