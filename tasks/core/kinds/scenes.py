"""Scenes: what a question is about, drawn from a part of the market artifact or simulated.

Reads the days, stocks and macro figures of a market part. Knows no kind by name: what a question
needs is what its kind says that it needs. All chance comes from the generator that the caller
gives, and the order of the draws decides the bytes of the rows.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from random import Random
from typing import Literal

from tasks.core.errors import WorkError
from tasks.core.kinds.base import Kind, Layout, Scene
from tasks.core.kinds.lexicon import CONTEXT
from tasks.core.kinds.offers import (
    ASIDE_SHARE,
    Asked,
    Offer,
    draw_inventions,
    draw_offers,
    joined_origins,
)
from tasks.core.kinds.simulate import (
    NEAR_A_LIMIT_PCT,
    OF_THE_WORLD,
    SIMULATED_STOCK_NUMBERS,
    simulate_market,
    simulate_nav,
    simulate_near,
    simulate_number,
)
from tasks.core.records.facts import Facts, Language
from tasks.core.records.market import Snapshot, StockDay
from tasks.core.records.market_days import read_macro, read_snapshots, read_stocks
from tasks.core.strategy.borders import confidence_pct
from tasks.core.strategy.events import events
from tasks.core.strategy.rules import NUMBERS, REGIMES, SHOCKS, regime_of

Split = Literal["train", "evaluate"]
HELD_TEMPLATES = 4
"""The last templates of each kind and language: evaluation asks with them, training never does."""

_LAYOUTS: tuple[Layout, ...] = ("bullets", "sentence", "compact", "table")
_LAYOUT_WEIGHTS = (40, 20, 20, 20)


@dataclass(frozen=True)
class Days:
    """The days and stocks that scenes are drawn from."""

    snapshots: tuple[Snapshot, ...]
    stocks: dict[str, list[StockDay]]
    macro: dict[str, dict[str, float]] = field(default_factory=dict)
    invented: tuple["Days", ...] = ()
    """Markets whose days, without their dates, are what simulated scenes are about. Without them a
    simulated scene's numbers are drawn one by one.
    """

    @classmethod
    def read(cls, part: Path) -> "Days":
        """Reads them from a part of the market artifact: its folder train or holdout."""
        return cls(tuple(read_snapshots(part)), read_stocks(part), read_macro(part))

    @cached_property
    def by_regime(self) -> dict[str, list[Snapshot]]:
        """The days with stocks, by regime; a regime without a day is absent."""
        days: dict[str, list[Snapshot]] = {}
        for day in self.snapshots:
            if self.stocks.get(day.date):
                days.setdefault(regime_of(**_market(day)), []).append(day)
        return {regime: days[regime] for regime in REGIMES if regime in days}

    @cached_property
    def regimes_before(self) -> dict[str, str]:
        """The regime of the trading day before each day but the first, by the later one's date."""
        in_order = sorted(self.snapshots, key=lambda day: day.date)
        return {day.date: regime_of(**_market(before)) for before, day in pairwise(in_order)}


@dataclass(frozen=True)
class Draw:
    """What the one who draws decides, and not chance."""

    language: Language
    split: Split = "train"
    real: bool = True  # a real day's numbers, else simulated ones
    partial: bool = False  # state only some of the market's numbers
    regime: str | None = None  # simulated where no day has it; None draws one evenly
    near: bool = False  # near a limit of the regime


def draw_scene(kind: Kind, days: Days, draw: Draw, rng: Random) -> Scene:
    """Returns one scene.

    Regimes come up equally often, however rare their days. A question about simulated numbers, or
    about anything of a real day that the data does not hold, names no day. Raises WorkError if the
    market has too few stocks on its days.
    """
    day = _draw_day(days, draw, rng)
    said = _draw_said(kind, days, draw, day, rng)
    names_its_day = day.is_real and not set(said.simulated) & set(OF_THE_WORLD)
    offers: list[Offer] = []
    if not draw.partial:
        inventions = () if names_its_day else draw_inventions(kind, rng)
        asked = Asked(kind, said.words, inventions)
        offers = draw_offers(asked, day.stocks, rng)
    if offers and "nav_100m_krw" in said.numbers:
        smallest = min(offer.market_cap for offer in offers)
        said.numbers["nav_100m_krw"] = simulate_nav(rng, smallest)
    ratios = {name for offer in offers for name in offer.simulated}
    return Scene(
        kind=kind.name,
        language=draw.language,
        template=rng.choice(_templates(kind, draw)),
        layout="sentence" if draw.partial else rng.choices(_LAYOUTS, _LAYOUT_WEIGHTS)[0],
        date=day.date if names_its_day else None,
        facts=Facts(said.numbers, tuple(offer.stock for offer in offers), said.words),
        simulated=(*said.simulated, *sorted(ratios)),
        origins=joined_origins(offers),
        seed=rng.getrandbits(32),
        day=day.date if day.is_real else None,
    )


def _templates(kind: Kind, draw: Draw) -> range:
    count = len(kind.templates(draw.language))
    first_held = count - HELD_TEMPLATES
    if draw.split == "evaluate":
        return range(first_held, count)
    return range(first_held)


# The market's numbers and those beside them.


@dataclass(frozen=True)
class _Day:
    """A day with stocks. If it is real, the question is about it. If it is invented, the question
    takes its stocks and the market's numbers, but not its date. Otherwise the question takes its
    stocks alone, and its numbers are simulated.
    """

    snapshot: Snapshot
    stocks: list[StockDay]
    is_real: bool
    is_invented: bool = False

    @property
    def date(self) -> str:
        return self.snapshot.date


def _draw_day(days: Days, draw: Draw, rng: Random) -> _Day:
    if not days.by_regime:
        raise WorkError(
            "The market has no day on which a stock of the universe traded; import more of it."
        )
    if days.invented and not draw.real and not draw.near:
        return _invented_day(rng.choice(days.invented), draw, rng)
    regime = draw.regime or rng.choice(list(days.by_regime))
    fitting = days.by_regime.get(regime, [])
    if draw.near:
        fitting = [day for day in fitting if confidence_pct(**_market(day)) <= NEAR_A_LIMIT_PCT]
    is_real = draw.real
    if not fitting:
        fitting, is_real = days.by_regime[rng.choice(list(days.by_regime))], False
    day = rng.choice(fitting)
    return _Day(day, days.stocks[day.date], is_real)


def _invented_day(market: Days, draw: Draw, rng: Random) -> _Day:
    """Returns one of an invented market's days, of the drawn regime if it has one."""
    regime = draw.regime or rng.choice(list(market.by_regime))
    fitting = market.by_regime.get(regime) or market.by_regime[rng.choice(list(market.by_regime))]
    day = rng.choice(fitting)
    return _Day(day, market.stocks[day.date], is_real=False, is_invented=True)


@dataclass(frozen=True)
class _Said:
    """What a question says beside its stocks, and the names of what of it comes from no data."""

    numbers: dict[str, float]
    words: dict[str, str]
    simulated: tuple[str, ...]


def _draw_said(kind: Kind, days: Days, draw: Draw, day: _Day, rng: Random) -> _Said:
    """Returns the market's numbers, those beside them and the words: what the data holds of a real
    day, and else simulated ones.
    """
    is_measured = day.is_real or day.is_invented
    market = _market(day.snapshot) if is_measured else _simulated_market(draw, rng)
    known, measured = _known_words(days, day), _macro(days, day)
    words = {name: _draw_word(name, rng) for name in kind.needs.words}
    words |= {name: word for name, word in known.items() if name in words}
    context = _draw_context(kind, market, words, rng)
    if day.is_real:
        context = _without_inventions(context, measured, kind)
    numbers = {**market, **{name: measured.get(name, value) for name, value in context.items()}}
    if draw.partial:
        _hurry(numbers, words, rng)
    simulated = [] if day.is_real else [name for name in NUMBERS if name in numbers]
    simulated += [name for name in context if name not in measured]
    simulated += [name for name in words if name in OF_THE_WORLD and name not in known]
    simulated += [name for name in kind.needs.stock_numbers if name in SIMULATED_STOCK_NUMBERS]
    return _Said(numbers, words, tuple(simulated))


def _simulated_market(draw: Draw, rng: Random) -> dict[str, float]:
    if draw.near:
        return simulate_near(rng, draw.regime)
    return simulate_market(rng, draw.regime)


def _without_inventions(
    context: dict[str, float], measured: Mapping[str, float], kind: Kind
) -> dict[str, float]:
    """Leaves out asides about a real day that the data does not hold. What the kind needs stays:
    such a question names no day.
    """
    return {
        name: value
        for name, value in context.items()
        if name in measured or name not in OF_THE_WORLD or name in kind.needs.numbers
    }


def _market(day: Snapshot) -> dict[str, float]:
    return {name: getattr(day, name) for name in NUMBERS}


def _known_words(days: Days, day: _Day) -> dict[str, str]:
    """Returns the words that the data holds of a real day: the regime of the day before."""
    before = days.regimes_before.get(day.date) if day.is_real else None
    return {"previous_regime": before} if before else {}


def _draw_word(name: str, rng: Random) -> str:
    if name == "previous_regime":
        return rng.choice(REGIMES)
    if name == "shock":
        return rng.choice(tuple(SHOCKS))
    assert name == "event", f"no such word: {name}"
    return rng.choice(events()).name


def _draw_context(
    kind: Kind, market: Mapping[str, float], words: Mapping[str, str], rng: Random
) -> dict[str, float]:
    """Returns simulated values of the numbers that the kind needs, and of some of its asides."""
    stated = [*kind.needs.numbers]
    stated += [name for name in kind.needs.asides if rng.random() < ASIDE_SHARE]
    regime = regime_of(**market)
    return {name: simulate_number(name, regime, market, words, rng) for name in stated}


_LEXICON_NAMES = {"sentiment_pct": "sentiment_points"}
"""What the lexicon calls a column of macro.parquet, if that is another name."""


def _macro(days: Days, day: _Day) -> dict[str, float]:
    """Returns what macro.parquet says of a real day, rounded as it is printed."""
    measured: dict[str, float] = {}
    if not day.is_real:
        return measured
    for column, value in days.macro.get(day.date, {}).items():
        name = _LEXICON_NAMES.get(column, column)
        if name in CONTEXT:
            measured[name] = round(value, CONTEXT[name].decimals) + 0.0  # no -0.0
    return measured


_REGIME_ALONE_SHARE = 0.15
_RETURN_HIDDEN_SHARE = 0.1
"""Shares of hurried questions: those that give the regime and no number, and those that leave out
the return.
"""


def _hurry(numbers: dict[str, float], words: dict[str, str], rng: Random) -> None:
    """Removes one to three of the market's numbers, seldom its return: what a hurried trader leaves
    out. Some give the regime instead of all numbers.
    """
    chance = rng.random()
    hidden = rng.sample(NUMBERS[1:], rng.randint(1, 3))
    if chance < _REGIME_ALONE_SHARE:
        words["current_regime"] = regime_of(**{name: numbers[name] for name in NUMBERS})
        hidden = list(NUMBERS)
    elif chance < _REGIME_ALONE_SHARE + _RETURN_HIDDEN_SHARE:
        hidden = ["return_pct", *rng.sample(NUMBERS[2:], rng.randint(0, 2))]
    for name in hidden:
        del numbers[name]
