"""The net-exposure path: what a portfolio would have done that held, from each held-out day's
close to the next, what a model answered about that day.

It is the strategy's reading of the answers, not a trading simulator: cash earns nothing, and fees,
borrowing and the drift of weights within a day are left out. Writes no file.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from tasks.core.evaluation.path_days import PathDay
from tasks.core.evaluation.told_exposures import Told

DAYS_A_YEAR = 252

LEAST_FOR_VOLATILITY = 5
"""Returns that a volatility needs, as the market's own does."""

LEAST_FOR_SHARPE = 252
"""Returns that a Sharpe ratio needs: over so many its standard error is about 1 a year (Lo 2002,
for independent returns: the root of the years' reciprocal), and over fewer it is noise alone.
"""


@dataclass(frozen=True)
class Walk:
    """One portfolio along the path. Values are 100 before the first day's trade."""

    exposure_pct: tuple[float, ...]  # net, in % of NAV, from each day's close to the next
    value_before: tuple[float, ...]  # at each close, before costs
    value_after: tuple[float, ...]  # after costs
    turnover_pct: float  # traded a day, in % of NAV
    days_in_market: int  # with an exposure other than 0
    days_in_band: int  # with an exposure in the band of the day's regime

    @property
    def return_before_pct(self) -> float:
        """The whole path's return, before costs."""
        return self.value_before[-1] - 100

    @property
    def return_after_pct(self) -> float:
        """The whole path's return, after costs."""
        return self.value_after[-1] - 100

    @property
    def volatility_pct(self) -> float | None:
        """The annualised volatility of the daily returns after costs (sample standard deviation);
        None if there are fewer than LEAST_FOR_VOLATILITY.
        """
        returns = _changes(self.value_after)
        if len(returns) < LEAST_FOR_VOLATILITY:
            return None
        return 100 * float(np.std(returns, ddof=1)) * DAYS_A_YEAR**0.5

    @property
    def sharpe(self) -> float | None:
        """The annualised mean of the daily returns after costs by their volatility, against cash
        that earns nothing; None if there are fewer than LEAST_FOR_SHARPE or they do not vary.
        """
        volatility = self.volatility_pct
        returns = _changes(self.value_after)
        if len(returns) < LEAST_FOR_SHARPE or not volatility:
            return None
        return 100 * float(np.mean(returns)) * DAYS_A_YEAR / volatility

    @property
    def drawdown_pct(self) -> float:
        """The deepest fall of the value after costs from an earlier high, in % of that (0 or
        more).
        """
        values = np.array((100, *self.value_after))
        return 100 * float(np.max(1 - values / np.maximum.accumulate(values)))


@dataclass(frozen=True)
class Answers:
    """What a model's walk rests on, in days and replies."""

    days_asked: int
    days_answered: int  # with at least one valid answer
    days_kept: int  # the exposure of the day before was kept, for want of a valid answer
    replies_without: int  # they tell no net exposure
    replies_beyond_limit: int  # they tell one that nobody executes


@dataclass(frozen=True)
class ExposurePath:
    """The models, the rule and the index along the same days."""

    days: tuple[PathDay, ...]
    cost_bp: float  # of what is traded
    models: Mapping[str, Walk]
    answers: Mapping[str, Answers]
    rule: Walk
    index: Walk  # bought and held, without costs


def build_path(
    days: Sequence[PathDay], told: Mapping[str, Told], cost_bp: float
) -> ExposurePath | None:
    """Returns the path of the days, from the first that was asked about; None if none was.

    Before its first valid answer a model holds cash.
    """
    first = min((_first_asked(of_model) for of_model in told.values()), default=len(days))
    shown = tuple(days[first:])
    if not shown:
        return None
    models = {}
    answers = {}
    for model, of_model in told.items():
        answered = of_model.net_pct[first:]
        models[model] = _walk(shown, _held(answered), cost_bp)
        answers[model] = _answers(of_model, answered)
    rule = [float(day.rule_net_pct) for day in shown]
    return ExposurePath(
        days=shown,
        cost_bp=cost_bp,
        models=models,
        answers=answers,
        rule=_walk(shown, rule, cost_bp),
        index=_walk(shown, [100.0] * len(shown), 0.0),
    )


def _first_asked(told: Told) -> int:
    return next((number for number, asked in enumerate(told.asked) if asked), len(told.asked))


def _held(answered: Sequence[float | None]) -> list[float]:
    """Returns the exposure after each day: a day without an answer keeps that of the day before."""
    held = []
    exposure = 0.0
    for answer in answered:
        if answer is not None:
            exposure = answer
        held.append(exposure)
    return held


def _answers(told: Told, answered: Sequence[float | None]) -> Answers:
    return Answers(
        days_asked=sum(asked > 0 for asked in told.asked),
        days_answered=sum(answer is not None for answer in answered),
        days_kept=sum(answer is None for answer in answered),
        replies_without=told.without,
        replies_beyond_limit=told.beyond_limit,
    )


def _walk(days: Sequence[PathDay], held: Sequence[float], cost_bp: float) -> Walk:
    """Returns the walk of a portfolio that begins in cash.

    A day's return is the exposure decided at the close before, times the index's return of the
    day; what is traded at the day's own close is paid from it.
    """
    traded = [abs(after - before) for before, after in pairwise((0.0, *held))]
    inside = 0
    for day, exposure in zip(days, held, strict=True):
        low, high = day.band_pct
        inside += low <= exposure <= high
    earned = [0.0]
    for day, exposure in zip(days[1:], held, strict=False):
        earned.append(exposure * day.return_pct / 1e4)
    paid = [cost_bp * share / 1e6 for share in traded]
    return Walk(
        exposure_pct=tuple(held),
        value_before=_values(earned),
        value_after=_values([gain - cost for gain, cost in zip(earned, paid, strict=True)]),
        turnover_pct=sum(traded) / len(traded),
        days_in_market=sum(exposure != 0 for exposure in held),
        days_in_band=inside,
    )


def _values(returns: Sequence[float]) -> tuple[float, ...]:
    """Returns the values after these returns (shares of 1). One that is lost stays lost."""
    value = 100.0
    values = []
    for change in returns:
        value *= max(1 + change, 0.0)
        values.append(value)
    return tuple(values)


def _changes(values: Sequence[float]) -> list[float]:
    """Returns the daily returns, as shares of 1, between closes; none from a value of 0."""
    return [after / before - 1 for before, after in pairwise(values) if before]
