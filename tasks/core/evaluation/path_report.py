"""The net-exposure path in words and figures, as table, page and JSON show it."""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from tasks.core.evaluation.exposure_path import (
    LEAST_FOR_SHARPE,
    LEAST_FOR_VOLATILITY,
    ExposurePath,
    Walk,
)
from tasks.core.evaluation.told_exposures import LIMIT_PCT

RULE, INDEX = "the rule", "the index"
"""What stands beside the models: the strategy's own targets, and the index bought and held."""

FEW_DAYS = 20
"""Asked days below which there is no path to speak of: a month."""

NO_PATH = (
    "No net-exposure path: no question asks for the net exposure of a held-out day whose numbers it"
    " states. A run with `evaluation.path_days=60` asks one question more about each of the last 60"
    " days, which then lie in days.jsonl beside its questions."
)

FIGURES = {
    "return_before_pct": "return before costs, %",
    "return_after_pct": "return after costs, %",
    "volatility_pct": "volatility after costs, % a year",
    "sharpe": "Sharpe ratio after costs, cash at 0 %",
    "drawdown_pct": "deepest drawdown after costs, %",
    "turnover_pct": "turnover, % of NAV a day",
    "days_in_market": "days in the market",
    "days_in_band": "days inside the rule's band",
}
"""Every figure of a walk in the JSON and in words."""

_OF_ORDERS = ("return_after_pct", "turnover_pct", "days_in_market", "days_in_band")
"""Figures that the index does not have: it is bought once, and nobody answers it."""

ANSWERS = {
    "days_asked": "days asked about",
    "days_answered": "days with a valid answer",
    "days_kept": "days that kept the exposure of the day before",
    "replies_without": "replies without a net exposure",
    "replies_beyond_limit": f"replies beyond ±{LIMIT_PCT:.0f} % of NAV, refused",
}
"""Every count of a model's answers in the JSON and in words."""


@dataclass(frozen=True)
class PathRow:
    """One line of the path's table: its cells are the models', the rule's and the index's."""

    words: str
    cells: list[str]


def path_rows(path: ExposurePath) -> list[PathRow]:
    """Returns the table of the path, line by line."""
    rows = []
    for name, words in FIGURES.items():
        cells = [_figure(walk, name) for walk in (*path.models.values(), path.rule)]
        cells.append("–" if name in _OF_ORDERS else _figure(path.index, name))
        rows.append(PathRow(words, cells))
    for name, words in ANSWERS.items():
        cells = [str(getattr(answers, name)) for answers in path.answers.values()]
        rows.append(PathRow(words, [*cells, "–", "–"]))
    return rows


def path_titles(path: ExposurePath) -> list[str]:
    """Returns the heads of the table's columns."""
    days = len(path.days)
    return [f"{days} day{'s' * (days != 1)}", *path.models, RULE, INDEX]


def path_notes(path: ExposurePath) -> list[str]:
    """Returns what one must know to read the path, the warning first."""
    first, last = path.days[0].date, path.days[-1].date
    notes = [_warning(path)]
    asked = max(answers.days_asked for answers in path.answers.values())
    if asked < FEW_DAYS:
        notes.append(
            f"Only {_days(asked)} of {len(path.days)} were asked about, too few for a path: on the"
            " others the exposure of the day before is kept. A run with `evaluation.path_days=60`"
            " asks one question more about each of the last 60 held-out days."
        )
    notes.append(
        f"From {first} to {last}: the net exposure that was answered about a day (the mean of"
        " several answers) is held from its close to the next day's, and earns the index's return."
        " A day without a valid answer keeps the exposure of the day before; at first that is cash."
        f" What is traded costs {path.cost_bp:g} basis points, an assumption for index funds: an"
        " online broker's commission and half the spread; their sale pays no transaction tax in"
        " Korea. Cash earns nothing, and fees, borrowing and dividends are left out. A volatility"
        f" needs {LEAST_FOR_VOLATILITY} returns, a Sharpe ratio {LEAST_FOR_SHARPE}."
    )
    return notes


def path_warning(path: ExposurePath) -> str:
    """Returns what so many days say about returns, in a few words."""
    days = len(path.days)
    if days == 1:
        return "One day proves nothing about returns"
    return f"{days} days prove {'little' if days > LEAST_FOR_SHARPE else 'nothing'} about returns"


def _warning(path: ExposurePath) -> str:
    warning = path_warning(path)
    returns = [day.return_pct for day in path.days[1:]]
    if len(returns) < LEAST_FOR_VOLATILITY:
        return f"{warning}."
    by_chance = 2 * float(np.std(returns, ddof=1)) * len(returns) ** 0.5
    return (
        f"{warning}: over so many, chance alone moves this index by up to ±{by_chance:.0f} % (two"
        " standard deviations). Read the path for what the answers would have held, not for what"
        " they would have earned."
    )


def _days(number: int) -> str:
    return f"{number} day{'s' * (number != 1)}"


def _figure(walk: Walk, name: str) -> str:
    value = getattr(walk, name)
    if value is None:
        return "–"
    if isinstance(value, int):
        return f"{value} ({100 * value / len(walk.exposure_pct):.0f} %)"
    digits: Callable[[float], str] = "{:.2f}".format if name == "sharpe" else "{:.1f}".format
    return digits(value + 0.0).replace("-", "−")


def models_as_json(path: ExposurePath | None) -> dict[str, dict[str, Any]]:
    """Returns each model's walk as path_as_json holds it; none without a path."""
    if path is None:
        return {}
    models = {}
    for model, walk in path.models.items():
        models[model] = _walk_as_json(walk) | {"answers": asdict(path.answers[model])}
    return models


def path_as_json(path: ExposurePath) -> dict[str, Any]:
    """Returns the path as path.json holds it: percentages of NAV, values from 100 on."""
    return {
        "days": [day.date for day in path.days],
        "index_return_pct": [day.return_pct for day in path.days],
        "band_pct": [list(day.band_pct) for day in path.days],
        "cost_bp": path.cost_bp,
        "models": models_as_json(path),
        "rule": _walk_as_json(path.rule),
        "index": _walk_as_json(path.index),
        "notes": path_notes(path),
    }


def _walk_as_json(walk: Walk) -> dict[str, Any]:
    return {
        "figures": {name: _rounded(getattr(walk, name)) for name in FIGURES},
        "exposure_pct": [round(exposure, 2) for exposure in walk.exposure_pct],
        "value_before": [round(value, 4) for value in walk.value_before],
        "value_after": [round(value, 4) for value in walk.value_after],
    }


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 4)
