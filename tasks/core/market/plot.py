"""`kospilot market plot`: the index over bands of regime, with breadth and volatility below. Writes
one PNG.

Reads a market folder's days and, where one was imported, its index (see index.py).
"""

from datetime import date
from itertools import accumulate
from operator import mul
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import ListedColormap
from matplotlib.dates import AutoDateLocator, ConciseDateFormatter, date2num
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from tasks.core.errors import WorkError
from tasks.core.market.files import marks
from tasks.core.market.index import read_index
from tasks.core.market.snapshots import count_regimes, regime_of_day, snapshots
from tasks.core.records.market import Snapshot
from tasks.core.strategy.rules import REGIMES

COLORS = {
    "STRONG_BULL": "#2a9d63",
    "MILD_BULL": "#bfe3c6",
    "WEAKENING": "#f8e3a6",
    "SHORT_TERM_STRESS": "#f0a06a",
    "BEAR": "#b8322a",
}
INK, FAINT, LINE, GRID = "#1f2933", "#616e7c", "#12395b", "#d9dee3"
BREADTH_LIMITS, VOLATILITY_LIMIT = (30, 50, 65), 25
"""Limits of the regime rule, drawn as thin lines."""
MONTH = 20
"""Trading days of the mean that makes the noisy breadth readable."""


def draw_market(folder: Path, file: Path, start: str | None = None, end: str | None = None) -> None:
    """Draws the days from start to end. Raises RequestError as `snapshots` does, WorkError where it
    cannot write.
    """
    days = snapshots(folder, start, end)
    dates = date2num([date.fromisoformat(day.date) for day in days])
    figure = Figure(figsize=(14, 9), dpi=150, facecolor="white")
    FigureCanvasAgg(figure)
    panels = figure.subplots(3, 1, sharex=True, height_ratios=(3.4, 1.3, 1.3))
    figure.subplots_adjust(left=0.065, right=0.945, top=0.84, bottom=0.055, hspace=0.13)
    for panel, strength in zip(panels, (0.75, 0.35, 0.35), strict=True):
        _draw_bands(panel, days, dates, strength)
    _draw_index(panels[0], days, dates, _imported(folder, days))
    _draw_breadth(panels[1], days, dates)
    _draw_volatility(panels[2], days, dates)
    _draw_dates(panels[-1], dates)
    _write_head(figure, folder.resolve().name, days, marks(folder))
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(file, format="png", metadata={"Software": None})
    except OSError as error:
        raise WorkError(
            f"{file} cannot be written ({error.strerror}). Name another file with --out."
        ) from error


def own_index(days: list[Snapshot]) -> list[float]:
    """The market's cap-weighted index: 100 before the first day, then the days' returns on top of
    each other.
    """
    return [100 * level for level in accumulate((1 + day.return_pct / 100 for day in days), mul)]


def _imported(folder: Path, days: list[Snapshot]) -> dict[str, Any] | None:
    """The imported index of these days: {"name", "dates", "closes"}; None where there are not two
    of them.
    """
    first, last = date.fromisoformat(days[0].date), date.fromisoformat(days[-1].date)
    rows = [row for row in read_index(folder).to_pylist() if first <= row["date"] <= last]
    if len(rows) < 2:
        return None
    return {
        "name": rows[-1]["source"],
        "dates": date2num([row["date"] for row in rows]),
        "closes": [row["close"] for row in rows],
    }


def _draw_bands(axes: Axes, days: list[Snapshot], dates: np.ndarray, strength: float) -> None:
    """Each day's regime as a background stripe, from the trading day before: it holds the day's own
    move.
    """
    regimes = np.array([[REGIMES.index(regime_of_day(day)) for day in days]])
    colors = ListedColormap([COLORS[regime] for regime in REGIMES])
    edges = np.insert(dates, 0, dates[0] - 1)
    axes.pcolormesh(
        edges, (0, 1), regimes, cmap=colors, vmin=-0.5, vmax=len(REGIMES) - 0.5, alpha=strength,
        transform=axes.get_xaxis_transform(), zorder=0, linewidth=0, rasterized=True,
    )  # fmt: skip
    axes.set_xlim(edges[0], edges[-1])
    for side in ("top", "left", "right"):
        axes.spines[side].set_visible(False)
    axes.spines["bottom"].set_color(GRID)
    axes.tick_params(length=0, labelsize=10, labelcolor=INK)
    axes.grid(axis="y", color="white", linewidth=0.8, alpha=0.9, zorder=1)


def _draw_index(
    axes: Axes, days: list[Snapshot], dates: np.ndarray, imported: dict[str, Any] | None
) -> None:
    drawn = levels = np.array(own_index(days))
    if imported is None:
        _draw_line(axes, dates, levels, 1.7)
        _title(axes, "Index of the market's own cap-weighted return", "first day's eve = 100")
    else:
        closes = np.array(imported["closes"])
        started = np.searchsorted(
            dates, imported["dates"][0]
        )  # both lines leave from the same point
        rebased = levels * closes[0] / levels[min(started, len(levels) - 1)]
        drawn = np.append(rebased, closes)
        axes.plot(dates, rebased, color=FAINT, linewidth=1, linestyle=(0, (4, 2)), zorder=3)
        _draw_line(axes, imported["dates"], closes, 1.7)
        _title(
            axes,
            f"Index, {imported['name']}",
            "points; dashed: the market's own cap-weighted return, same start",
        )
    room = 0.06 * (drawn.max() - drawn.min()) or 1
    axes.set_ylim(drawn.min() - room, drawn.max() + room)
    axes.yaxis.set_major_formatter("{x:,.0f}")


def _draw_breadth(axes: Axes, days: list[Snapshot], dates: np.ndarray) -> None:
    breadth = np.array([day.breadth_pct for day in days])
    note = "each day"
    if len(days) < 2 * MONTH:
        _draw_line(axes, dates, breadth, 1.5, "{:.0f} %")
    else:
        axes.plot(dates, breadth, color=LINE, linewidth=0.5, alpha=0.3, zorder=2)
        mean = np.convolve(
            breadth, np.ones(MONTH) / MONTH, mode="valid"
        )  # of the days up to each day
        _draw_line(axes, dates[MONTH - 1 :], mean, 1.5, "{:.0f} %")
        note = f"thin: each day; bold: mean of {MONTH} days"
    _draw_limits(axes, BREADTH_LIMITS)
    axes.set_ylim(0, 100)
    _title(axes, "Breadth, % of stocks that rose", note)


def _draw_volatility(axes: Axes, days: list[Snapshot], dates: np.ndarray) -> None:
    volatility = np.array([day.volatility_pct for day in days])
    axes.fill_between(dates, VOLATILITY_LIMIT, volatility, where=volatility > VOLATILITY_LIMIT, color=COLORS["BEAR"],
                      alpha=0.35, interpolate=True, zorder=2, linewidth=0)  # fmt: skip
    _draw_line(axes, dates, volatility, 1.3, "{:.0f} %")
    _draw_limits(axes, (VOLATILITY_LIMIT,))
    axes.set_ylim(0, max(VOLATILITY_LIMIT * 1.4, volatility.max() * 1.08))
    _title(axes, "Volatility of the last 10 returns, % a year", f"red: above {VOLATILITY_LIMIT} %")


def _draw_line(
    axes: Axes, dates: np.ndarray, values: np.ndarray, width: float, form: str = "{:,.0f}"
) -> None:
    """The line, and its last value at the right edge."""
    axes.plot(dates, values, color=LINE, linewidth=width, zorder=4)
    axes.annotate(form.format(values[-1]), (1, values[-1]), xycoords=axes.get_yaxis_transform(), xytext=(7, 0),
                  textcoords="offset points", color=LINE, va="center", fontsize=10.5, fontweight="bold")  # fmt: skip


def _draw_limits(axes: Axes, limits: tuple[int, ...]) -> None:
    for limit in limits:
        axes.axhline(limit, color=FAINT, linewidth=0.8, linestyle=(0, (2, 3)), zorder=3)
    axes.set_yticks(sorted({0, *limits, *((100,) if max(limits) > 50 else ())}))


def _title(axes: Axes, text: str, note: str) -> None:
    said = axes.annotate(text, (0, 1), xycoords="axes fraction", xytext=(0, 6), textcoords="offset points",
                         fontsize=11.5, fontweight="bold", color=INK)  # fmt: skip
    axes.annotate(note, (1, 0.5), xycoords=said, xytext=(9, -0.5), textcoords="offset points", va="center", fontsize=10,
                  color=FAINT)  # fmt: skip


def _draw_dates(axes: Axes, dates: np.ndarray) -> None:
    locator = AutoDateLocator(minticks=6, maxticks=14)
    axes.xaxis.set_major_locator(locator)
    axes.xaxis.set_major_formatter(ConciseDateFormatter(locator))


def _write_head(figure: Figure, name: str, days: list[Snapshot], said: dict[str, Any]) -> None:
    figure.text(0.065, 0.955, "Market regimes", fontsize=19, color=INK, weight="bold")
    note = f"{name}: {len(days):,} trading days, {days[0].date} to {days[-1].date}."
    if said["market_cap_listings"]:
        note += f" Weights from share counts of {', '.join(said['market_cap_listings'])}."
    if said["generated"]:
        note += " The prices are invented: a generated demo market."
    figure.text(0.065, 0.928, note, fontsize=11, color=FAINT)
    counts = count_regimes(days)
    handles = [
        Patch(
            facecolor=COLORS[regime],
            label=f"{regime}  {counts[regime]:,} d, {100 * counts[regime] / len(days):.0f} %",
        )
        for regime in REGIMES
    ]
    figure.legend(
        handles=handles, loc="upper left", bbox_to_anchor=(0.058, 0.92), ncols=5, frameon=False, fontsize=10.5,
        handlelength=1.4, handleheight=1.0, columnspacing=2.2, handletextpad=0.6,
    )  # fmt: skip
