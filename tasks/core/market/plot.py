"""`kospilot market plot`: the index over bands of regime, with breadth and volatility below.

Reads a market folder's days and, if one was imported, its index (see stock_index.py). Writes one
PNG.
"""

from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import ListedColormap
from matplotlib.dates import AutoDateLocator, ConciseDateFormatter, date2num
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from tasks.core.colors import FAINT, INK
from tasks.core.errors import WorkError
from tasks.core.market.folder import marks_of
from tasks.core.market.regimes import count_regimes, regime_of_day
from tasks.core.market.snapshots import snapshots
from tasks.core.market.stock_index import read_index
from tasks.core.records.market import Snapshot
from tasks.core.strategy.rules import REGIMES

COLORS = {
    "STRONG_BULL": "#2a9d63",
    "MILD_BULL": "#bfe3c6",
    "WEAKENING": "#f8e3a6",
    "SHORT_TERM_STRESS": "#f0a06a",
    "BEAR": "#b8322a",
}
LINE = "#12395b"
GRID = "#d9dee3"
BREADTH_LIMITS = (30, 50, 65)
"""Limits of the regime rule for breadth in %, drawn as thin lines."""
VOLATILITY_LIMIT = 25
"""The regime rule's limit for volatility in % a year, drawn as a thin line."""
MONTH = 20
"""Trading days of the mean that makes the noisy breadth readable."""


@dataclass(frozen=True)
class ImportedIndex:
    """The days of an imported index that the plot shows."""

    name: str  # of the file that gave the last day
    dates: np.ndarray  # matplotlib's day numbers
    closes: np.ndarray  # in points


def draw_market(folder: Path, file: Path, start: str | None = None, end: str | None = None) -> None:
    """Draws the days from start to end (YYYY-MM-DD, both included).

    Raises RequestError as `snapshots` does, and WorkError if the file cannot be written.
    """
    days = snapshots(folder, start, end)
    dates = date2num([date.fromisoformat(day.date) for day in days])
    figure = Figure(figsize=(14, 9), dpi=150, facecolor="white")
    FigureCanvasAgg(figure)
    panels = figure.subplots(3, 1, sharex=True, height_ratios=(3.4, 1.3, 1.3))
    figure.subplots_adjust(left=0.065, right=0.945, top=0.84, bottom=0.055, hspace=0.13)
    for panel, strength in zip(panels, (0.75, 0.35, 0.35), strict=True):
        _draw_bands(panel, days, dates, strength)
    _draw_index(panels[0], days, dates, _imported_index(folder, days))
    _draw_breadth(panels[1], days, dates)
    _draw_volatility(panels[2], days, dates)
    _draw_dates(panels[-1])
    _write_head(figure, folder.resolve().name, days, marks_of(folder))
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(file, format="png", metadata={"Software": None})
    except OSError as error:
        raise WorkError(
            f"{file} cannot be written ({error.strerror}). Name another file with --out."
        ) from error


def own_index(days: list[Snapshot]) -> list[float]:
    """Returns the market's cap-weighted index: 100 before the first day, then one level a day."""
    level = 1.0
    levels = []
    for day in days:
        level *= 1 + day.return_pct / 100
        levels.append(100 * level)
    return levels


def _imported_index(folder: Path, days: list[Snapshot]) -> ImportedIndex | None:
    """Returns the imported index on these days, or None if it has fewer than two of them."""
    first, last = date.fromisoformat(days[0].date), date.fromisoformat(days[-1].date)
    rows = [row for row in read_index(folder).to_pylist() if first <= row["date"] <= last]
    if len(rows) < 2:
        return None
    return ImportedIndex(
        name=rows[-1]["source"],
        dates=date2num([row["date"] for row in rows]),
        closes=np.array([row["close"] for row in rows]),
    )


def _draw_bands(axes: Axes, days: list[Snapshot], dates: np.ndarray, strength: float) -> None:
    """Draws each day's regime as a background stripe.

    A stripe begins at the trading day before, because it holds the day's own move.
    """
    regimes = np.array([[REGIMES.index(regime_of_day(day)) for day in days]])
    edges = np.insert(dates, 0, dates[0] - 1)
    axes.pcolormesh(
        edges,
        (0, 1),
        regimes,
        cmap=ListedColormap([COLORS[regime] for regime in REGIMES]),
        vmin=-0.5,
        vmax=len(REGIMES) - 0.5,
        alpha=strength,
        transform=axes.get_xaxis_transform(),
        zorder=0,
        linewidth=0,
        rasterized=True,
    )
    axes.set_xlim(edges[0], edges[-1])
    for side in ("top", "left", "right"):
        axes.spines[side].set_visible(False)
    axes.spines["bottom"].set_color(GRID)
    axes.tick_params(length=0, labelsize=10, labelcolor=INK)
    axes.grid(axis="y", color="white", linewidth=0.8, alpha=0.9, zorder=1)


def _draw_index(
    axes: Axes, days: list[Snapshot], dates: np.ndarray, imported: ImportedIndex | None
) -> None:
    levels = np.array(own_index(days))
    if imported is None:
        _draw_line(axes, dates, levels, 1.7)
        _title(axes, "Index of the market's own cap-weighted return", "first day's eve = 100")
        _fit_height(axes, levels)
        return
    start = min(np.searchsorted(dates, imported.dates[0]), len(levels) - 1)
    rebased = levels * imported.closes[0] / levels[start]  # both lines leave from the same point
    axes.plot(dates, rebased, color=FAINT, linewidth=1, linestyle=(0, (4, 2)), zorder=3)
    _draw_line(axes, imported.dates, imported.closes, 1.7)
    note = "points; dashed: the market's own cap-weighted return, same start"
    _title(axes, f"Index, {imported.name}", note)
    _fit_height(axes, np.append(rebased, imported.closes))


def _fit_height(axes: Axes, values: np.ndarray) -> None:
    """Leaves some room above and below the values, also if all are the same."""
    room = 0.06 * (values.max() - values.min())
    if room == 0:
        room = 1
    axes.set_ylim(values.min() - room, values.max() + room)
    axes.yaxis.set_major_formatter("{x:,.0f}")


def _draw_breadth(axes: Axes, days: list[Snapshot], dates: np.ndarray) -> None:
    breadth = np.array([day.breadth_pct for day in days])
    if len(days) < 2 * MONTH:
        _draw_line(axes, dates, breadth, 1.5, "{:.0f} %")
        note = "each day"
    else:
        axes.plot(dates, breadth, color=LINE, linewidth=0.5, alpha=0.3, zorder=2)
        mean = np.convolve(breadth, np.ones(MONTH) / MONTH, mode="valid")  # up to each day
        _draw_line(axes, dates[MONTH - 1 :], mean, 1.5, "{:.0f} %")
        note = f"thin: each day; bold: mean of {MONTH} days"
    _draw_limits(axes, BREADTH_LIMITS)
    axes.set_yticks([0, *BREADTH_LIMITS, 100])
    axes.set_ylim(0, 100)
    _title(axes, "Breadth, % of stocks that rose", note)


def _draw_volatility(axes: Axes, days: list[Snapshot], dates: np.ndarray) -> None:
    volatility = np.array([day.volatility_pct for day in days])
    axes.fill_between(
        dates,
        VOLATILITY_LIMIT,
        volatility,
        where=volatility > VOLATILITY_LIMIT,
        color=COLORS["BEAR"],
        alpha=0.35,
        interpolate=True,
        zorder=2,
        linewidth=0,
    )
    _draw_line(axes, dates, volatility, 1.3, "{:.0f} %")
    _draw_limits(axes, (VOLATILITY_LIMIT,))
    axes.set_yticks([0, VOLATILITY_LIMIT])
    axes.set_ylim(0, max(VOLATILITY_LIMIT * 1.4, volatility.max() * 1.08))
    _title(axes, "Volatility of the last 10 returns, % a year", f"red: above {VOLATILITY_LIMIT} %")


def _draw_line(
    axes: Axes, dates: np.ndarray, values: np.ndarray, width: float, form: str = "{:,.0f}"
) -> None:
    """Draws the line, and writes its last value at the right edge."""
    axes.plot(dates, values, color=LINE, linewidth=width, zorder=4)
    axes.annotate(
        form.format(values[-1]),
        (1, values[-1]),
        xycoords=axes.get_yaxis_transform(),
        xytext=(7, 0),
        textcoords="offset points",
        color=LINE,
        va="center",
        fontsize=10.5,
        fontweight="bold",
    )


def _draw_limits(axes: Axes, limits: tuple[int, ...]) -> None:
    for limit in limits:
        axes.axhline(limit, color=FAINT, linewidth=0.8, linestyle=(0, (2, 3)), zorder=3)


def _title(axes: Axes, text: str, note: str) -> None:
    title = axes.annotate(
        text,
        (0, 1),
        xycoords="axes fraction",
        xytext=(0, 6),
        textcoords="offset points",
        fontsize=11.5,
        fontweight="bold",
        color=INK,
    )
    axes.annotate(
        note,
        (1, 0.5),
        xycoords=title,
        xytext=(9, -0.5),
        textcoords="offset points",
        va="center",
        fontsize=10,
        color=FAINT,
    )


def _draw_dates(axes: Axes) -> None:
    locator = AutoDateLocator(minticks=6, maxticks=14)
    axes.xaxis.set_major_locator(locator)
    axes.xaxis.set_major_formatter(ConciseDateFormatter(locator))


def _write_head(figure: Figure, name: str, days: list[Snapshot], marks: dict[str, Any]) -> None:
    figure.text(0.065, 0.955, "Market regimes", fontsize=19, color=INK, weight="bold")
    note = f"{name}: {len(days):,} trading days, {days[0].date} to {days[-1].date}."
    if marks["market_cap_listings"]:
        note += f" Weights from share counts of {', '.join(marks['market_cap_listings'])}."
    if marks["generated"]:
        note += " The prices are invented: a generated demo market."
    figure.text(0.065, 0.928, note, fontsize=11, color=FAINT)
    handles = []
    for regime, count in count_regimes(days).items():
        share = 100 * count / len(days)
        label = f"{regime}  {count:,} d, {share:.0f} %"
        handles.append(Patch(facecolor=COLORS[regime], label=label))
    figure.legend(
        handles=handles,
        loc="upper left",
        bbox_to_anchor=(0.058, 0.92),
        ncols=5,
        frameon=False,
        fontsize=10.5,
        handlelength=1.4,
        handleheight=1.0,
        columnspacing=2.2,
        handletextpad=0.6,
    )
