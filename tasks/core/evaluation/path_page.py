"""The net-exposure path as the page draws it: points of lines in an SVG, and its table.

The page may hold no picture of another file, so the lines are drawn by the page itself.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from tasks.core.evaluation.exposure_path import ExposurePath
from tasks.core.evaluation.path_report import PathRow, path_notes, path_rows, path_titles

WIDTH, HEIGHT = 1000, 200
"""The drawing's own units, which the page stretches to its width."""

_ROOM = 0.06
"""Share of the span that is left free above and below the lines."""


@dataclass(frozen=True)
class PathLine:
    """One line: its points, and the name of its colour and dashes in the page's style."""

    points: str  # "x,y x,y …"
    color: str
    dashes: str = ""


@dataclass(frozen=True)
class Tick:
    """A thin line across with its value."""

    text: str
    top_pct: float  # from the top of the drawing


@dataclass(frozen=True)
class Panel:
    """One drawing."""

    title: str
    ticks: list[Tick]
    lines: list[PathLine]
    area: str = ""  # the points of a shaded area


@dataclass(frozen=True)
class PathPart:
    """All that the page shows of a path."""

    titles: list[str]
    rows: list[PathRow]
    notes: list[str]
    panels: list[Panel]
    first: str
    last: str


def path_part(path: ExposurePath | None, colors: Sequence[str]) -> PathPart | None:
    """Returns the page's part about the path, the models in these colours; None without a path."""
    if path is None:
        return None
    return PathPart(
        titles=path_titles(path),
        rows=path_rows(path),
        notes=path_notes(path),
        panels=[_held_panel(path, colors), _value_panel(path, colors)],
        first=path.days[0].date,
        last=path.days[-1].date,
    )


@dataclass(frozen=True)
class _Scale:
    """Where days and values lie in a drawing."""

    days: int
    low: float
    high: float

    @classmethod
    def around(cls, days: int, values: Sequence[float]) -> "_Scale":
        """A scale that shows all of these values with some room."""
        room = _ROOM * (max(values) - min(values)) or 1.0
        return cls(days, min(values) - room, max(values) + room)

    def point(self, day: int, value: float) -> str:
        """A point at the close of the day with this number, from 0."""
        x = WIDTH * day / self.days
        return f"{x:.1f},{HEIGHT * self.share(value):.1f}"

    def share(self, value: float) -> float:
        """How far below the top a value lies, 0..1."""
        return (self.high - value) / (self.high - self.low)

    def tick(self, value: float, unit: str) -> Tick:
        """A tick at a value."""
        return Tick(f"{value:g}{unit}", 100 * self.share(value))


def _held_panel(path: ExposurePath, colors: Sequence[str]) -> Panel:
    lows = [float(day.band_pct[0]) for day in path.days]
    highs = [float(day.band_pct[1]) for day in path.days]
    shown = [0.0, 100.0, *lows, *highs]
    for walk in path.models.values():
        shown += walk.exposure_pct
    scale = _Scale.around(len(path.days), shown)
    lines = [PathLine(_steps(path.rule.exposure_pct, scale), "ink", "5 4")]
    for color, walk in zip(colors, path.models.values(), strict=True):
        lines.append(PathLine(_steps(walk.exposure_pct, scale), color))
    back = _steps(lows, scale).split(" ")[::-1]
    return Panel(
        title="Net exposure from each close to the next, % of NAV; shaded: the rule's band",
        ticks=[scale.tick(0, " %"), scale.tick(100, " %")],
        lines=lines,
        area=" ".join([_steps(highs, scale), *back]),
    )


def _value_panel(path: ExposurePath, colors: Sequence[str]) -> Panel:
    walks = [*path.models.values(), path.rule, path.index]
    shown = [100.0]
    for walk in walks:
        shown += walk.value_after
    scale = _Scale.around(len(path.days), shown)
    lines = [
        PathLine(_joined(path.index.value_after, scale), "faint", "1 4"),
        PathLine(_joined(path.rule.value_after, scale), "ink", "5 4"),
    ]
    for color, walk in zip(colors, path.models.values(), strict=True):
        lines.append(PathLine(_joined(walk.value_after, scale), color))
    ends = {round(min(shown), 1), 100.0, round(max(shown), 1)}
    return Panel(
        title=f"Value after costs of {path.cost_bp:g} basis points, 100 at the start",
        ticks=[scale.tick(value, "") for value in sorted(ends)],
        lines=lines,
    )


def _steps(values: Sequence[float], scale: _Scale) -> str:
    """Returns the points of steps: each value holds from its day's close to the next."""
    points = []
    for day, value in enumerate(values):
        points += [scale.point(day, value), scale.point(day + 1, value)]
    return " ".join(points)


def _joined(values: Sequence[float], scale: _Scale) -> str:
    return " ".join(scale.point(day, value) for day, value in enumerate(values))
