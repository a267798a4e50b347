"""Scenes: what a question is about, drawn from a part of the market artifact or simulated. Knows no
kind by name.
"""

from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from random import Random
from typing import Literal

from tasks.core.errors import WorkError
from tasks.core.kinds.base import Kind, Language, Scene
from tasks.core.kinds.lexicon import CONTEXT
from tasks.core.kinds.simulate import (
    SIMULATED_STOCK_NUMBERS,
    simulate_market,
    simulate_number,
    simulate_stock_number,
)
from tasks.core.records.facts import Facts, StockFacts
from tasks.core.records.market import Snapshot, StockDay
from tasks.core.records.market_days import read_macro, read_snapshots, read_stocks
from tasks.core.strategy.events import event_named, events
from tasks.core.strategy.rules import NUMBERS, REGIMES, SHOCKS, regime_of
from tasks.core.strategy.universe import beta_of, etfs, get_stock, tier_of, us_correlation_of

Split = Literal["train", "evaluate"]
HELD_TEMPLATES = 2
"""The last templates of each kind and language: evaluation asks with them, training never does."""

_LAYOUTS, _LAYOUT_WEIGHTS = ("bullets", "sentence", "compact", "table"), (40, 20, 20, 20)
_ASIDE_SHARE = 0.3
"""Share of questions that mention each of their kind's asides."""


@dataclass(frozen=True)
class Days:
    """The days and stocks that scenes are drawn from."""

    snapshots: tuple[Snapshot, ...]
    stocks: dict[str, list[StockDay]]
    macro: dict[str, dict[str, float]] = field(default_factory=dict)

    @classmethod
    def read(cls, part: Path) -> "Days":
        return cls(tuple(read_snapshots(part)), read_stocks(part), read_macro(part))

    @cached_property
    def by_regime(self) -> dict[str, list[Snapshot]]:
        """Days with stocks, by regime; a regime without a day is absent."""
        found: dict[str, list[Snapshot]] = {}
        for day in self.snapshots:
            if self.stocks.get(day.date):
                found.setdefault(regime_of(**_market(day)), []).append(day)
        return {regime: found[regime] for regime in REGIMES if regime in found}


@dataclass(frozen=True)
class Draw:
    """What the one who draws decides, and not chance."""

    language: Language
    split: Split = "train"
    real: bool = True  # a real day's numbers, else simulated ones
    partial: bool = False  # state only some of the market's numbers


def draw_scene(kind: Kind, days: Days, draw: Draw, rng: Random) -> Scene:
    """One scene. Regimes come up equally often, however rare their days; a simulated day has no
    date.
    """
    if not days.by_regime:
        raise WorkError(
            "The market has no day on which a stock of the universe traded; import more of it."
        )
    day = rng.choice(days.by_regime[rng.choice(list(days.by_regime))])
    market = _market(day) if draw.real else simulate_market(rng)
    regime = regime_of(**market)
    words = {name: _word(name, rng) for name in kind.needs.words}
    extra = [
        *kind.needs.numbers,
        *(name for name in kind.needs.asides if rng.random() < _ASIDE_SHARE),
    ]
    numbers = dict(market)
    known = _macro(days, day.date) if draw.real else {}
    for name in extra:
        drawn = simulate_number(name, regime, numbers, words, rng)
        numbers[name] = known.get(name, drawn)
    for name in _hidden(rng) if draw.partial else ():
        del numbers[name]
    lines, origins = _lines(kind, days.stocks[day.date], words, rng)
    drawn_up = [name for name in kind.needs.stock_numbers if name in SIMULATED_STOCK_NUMBERS]
    invented = (
        *(() if draw.real else NUMBERS),
        *(name for name in extra if name not in known),
        *drawn_up,
    )
    return Scene(
        kind=kind.name,
        language=draw.language,
        template=rng.choice(_templates(kind, draw)),
        layout="sentence" if draw.partial else rng.choices(_LAYOUTS, _LAYOUT_WEIGHTS)[0],
        date=day.date if draw.real else None,
        facts=Facts(numbers, lines, words),
        simulated=invented,
        origins=origins,
        seed=rng.getrandbits(32),
    )


def _market(day: Snapshot) -> dict[str, float]:
    return {name: getattr(day, name) for name in NUMBERS}


def _templates(kind: Kind, draw: Draw) -> range:
    number = len(kind.templates(draw.language))
    held = number - HELD_TEMPLATES
    return range(held, number) if draw.split == "evaluate" else range(held)


def _hidden(rng: Random) -> list[str]:
    """One to three of the market's numbers, never its return: what a hurried trader leaves out."""
    return rng.sample(NUMBERS[1:], rng.randint(1, 3))


def _word(name: str, rng: Random) -> str:
    choices = {
        "previous_regime": REGIMES,
        "shock": tuple(SHOCKS),
        "event": tuple(found.name for found in events()),
    }
    return rng.choice(choices[name])


def _macro(days: Days, date: str) -> dict[str, float]:
    """What that day's macro.parquet says, rounded as printed."""
    found = {CALLED.get(name, name): value for name, value in days.macro.get(date, {}).items()}
    return {
        name: round(value, CONTEXT[name].decimals) + 0.0
        for name, value in found.items()
        if name in CONTEXT
    }


CALLED = {"sentiment_pct": "sentiment_points"}
"""What the lexicon calls a measure of macro.parquet otherwise."""


def _lines(
    kind: Kind, traded: list[StockDay], words: dict[str, str], rng: Random
) -> tuple[tuple, dict[str, str]]:
    """The offered stocks and ETFs with their numbers, and where tier, beta and US correlation come
    from.
    """
    fewest, most = kind.needs.stocks
    if len(traded) < fewest:
        raise WorkError(
            f"{kind.name} needs {fewest} stocks of the universe on a day, and the market has {len(traded)}."
        )
    chosen = _chosen(traded, min(rng.randint(fewest, most), len(traded)), words, rng)
    found = [_line(day, kind, rng) for day in chosen]
    lines = [line for line, _ in found]
    for group in kind.needs.funds:
        offered = [found.ticker for found in etfs() if found.group == group]
        lines += [StockFacts(ticker) for ticker in rng.sample(offered, rng.randint(1, 2))]
    origins = {name: {told[name] for _, told in found} for name in (found[0][1] if found else ())}
    return tuple(lines), {name: " and ".join(sorted(told)) for name, told in origins.items()}


def _chosen(
    traded: list[StockDay], number: int, words: dict[str, str], rng: Random
) -> list[StockDay]:
    """Stocks at random; about an event, at least one that it moves where any traded, and half of
    them if possible.
    """
    if "event" not in words:
        return rng.sample(traded, number)
    moves = event_named(words["event"]).impact_on
    moved = [day for day in traded if moves(get_stock(day.ticker).sector)]
    picked = rng.sample(moved, min(len(moved), max(1, number // 2)))
    rest = [day for day in traded if day not in picked]
    picked += rng.sample(rest, number - len(picked))
    rng.shuffle(picked)
    return picked


def _line(day: StockDay, kind: Kind, rng: Random) -> tuple[StockFacts, dict[str, str]]:
    """One stock's facts, and for what data or the shipped table may give which of the two it was."""
    needs, numbers = kind.needs, dict(ratios_of(day))
    measured = {
        "beta": beta_of(day),
        "us_correlation": us_correlation_of(day),
        "tier": tier_of(day),
    }
    told = {
        name: found
        for name, found in measured.items()
        if name in (*needs.stock_numbers, *needs.stock_words)
    }
    if "beta" in told:
        numbers["beta"] = round(told["beta"][0], 2)
    for name in needs.stock_numbers:
        if name in SIMULATED_STOCK_NUMBERS:
            numbers[name] = simulate_stock_number(name, rng)
    facts = StockFacts(
        day.ticker,
        {name: numbers[name] for name in needs.stock_numbers if name in numbers},
        {name: told[name][0] for name in needs.stock_words},
    )
    return facts, {name: found[1] for name, found in told.items()}


def ratios_of(day: StockDay) -> dict[str, float]:
    """PER and PBR as printed, where they mean something (0.5 < PER < 200, 0.01 < PBR < 50)."""
    found = {}
    if day.per is not None and 0.5 < day.per < 200:
        found["per"] = round(day.per, 1)
    if day.pbr is not None and 0.01 < day.pbr < 50:
        found["pbr"] = round(day.pbr, 2)
    return found
