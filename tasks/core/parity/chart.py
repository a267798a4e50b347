"""One picture of a proof: how far each hop is from what was trained, and what it still can.

Writes a PNG.
"""

from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_rgba
from matplotlib.figure import Figure

from tasks.core.colors import FAINT, GRID, INK, SERIES
from tasks.core.parity.figures import Estimate, Figures

_SHARES = {
    "same_top": "same top token",
    "greedy": "greedy reply",
    "ended": "ended",
    "schema": "obeys the schema",
    "grade": "mean grade",
}
_SMALLEST = 1e-9  # nats; a logarithmic axis has no 0
_COLORS = (*SERIES, "#6f4fa2")


def draw_chart(hops: list[Figures], labels: dict[str, str], file: Path) -> None:
    """Draws the hops from top to bottom, the reference first, in three panels side by side."""
    height = 1.9 + 0.55 * len(hops)
    figure = Figure(figsize=(13, height), dpi=150, facecolor="white")
    FigureCanvasAgg(figure)
    divergence, nats, shares = figure.subplots(1, 3, sharey=True)
    _draw_divergence(divergence, hops)
    _draw_nats(nats, hops)
    _draw_shares(shares, hops)
    divergence.set_yticks(range(len(hops)), [labels[hop.name] for hop in hops])
    divergence.set_ylim(len(hops) - 0.5, -0.5)
    figure.subplots_adjust(
        left=0.12, right=0.97, wspace=0.12, bottom=0.6 / height, top=1 - 1.25 / height
    )
    _write_head(figure, height)
    figure.savefig(file, metadata={"Software": None})


def _draw_divergence(axes: Axes, hops: list[Figures]) -> None:
    axes.set_xscale("log")
    for place, hop in enumerate(hops):
        if hop.kl_mean is None or hop.kl_high is None:
            axes.text(_SMALLEST * 2, place, "not told", color=FAINT, va="center", fontsize=9)
            continue
        mean, high = max(hop.kl_mean.value, _SMALLEST), max(hop.kl_high, _SMALLEST)
        axes.plot([mean, high], [place, place], color=SERIES[0], alpha=0.3, linewidth=7)
        axes.plot(mean, place, "o", color=SERIES[0], markersize=8)
        axes.plot(high, place, "|", color=SERIES[0], markersize=14, markeredgewidth=2)
    axes.set_xlim(_SMALLEST, 20)
    _style(axes, "KL to the adapter, nats: ● mean, | 99.9 %")


def _draw_nats(axes: Axes, hops: list[Figures]) -> None:
    for place, hop in enumerate(hops):
        if hop.nats is None:
            continue
        axes.errorbar(
            hop.nats.value,
            place,
            xerr=hop.nats.error,
            fmt="o",
            color=SERIES[2],
            markersize=8,
            elinewidth=6,
            ecolor=to_rgba(SERIES[2], 0.25),
        )
        axes.annotate(
            f"{hop.nats.value:.4f}",
            (hop.nats.value, place),
            (0, 9),
            textcoords="offset points",
            ha="center",
            fontsize=9,
            color=SERIES[2],
            fontweight="bold",
        )
    axes.margins(x=0.25)
    _style(axes, "Right answers, nats a token")


def _draw_shares(axes: Axes, hops: list[Figures]) -> None:
    for index, (name, words) in enumerate(_SHARES.items()):
        values, places = [], []
        for place, hop in enumerate(hops):
            estimate = _share(hop, name)
            if estimate is not None:
                values.append(estimate.value)
                places.append(place + (index - 2) * 0.14)
        axes.plot(values, places, "o", color=_COLORS[index], markersize=6, label=words)
    axes.set_xlim(-0.03, 1.03)
    ticks = (0, 0.25, 0.5, 0.75, 1)
    axes.set_xticks(ticks, [f"{100 * tick:.0f}" for tick in ticks])
    axes.legend(
        loc="lower center",
        bbox_to_anchor=(0.5, 1.1),
        ncols=3,
        frameon=False,
        fontsize=8.5,
        handletextpad=0.1,
        columnspacing=1.0,
    )
    _style(axes, "Share, %")


def _share(hop: Figures, name: str) -> Estimate | None:
    if name == "same_top":
        return hop.same_top
    estimate: Estimate | None = getattr(hop.replies, name)
    return estimate


def _style(axes: Axes, title: str) -> None:
    axes.set_title(title, loc="left", fontsize=11, color=INK, fontweight="bold", pad=10)
    axes.tick_params(length=0, labelsize=9.5, labelcolor=INK)
    axes.grid(axis="x", color=GRID)
    axes.set_axisbelow(True)
    for spine in axes.spines.values():
        spine.set_visible(False)


def _write_head(figure: Figure, height: float) -> None:
    title = "What was trained is what answers"
    figure.text(0.02, 1 - 0.42 / height, title, fontsize=16, color=INK, weight="bold")
