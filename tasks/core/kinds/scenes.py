"""Scenes: what a question is about, drawn from a part of the market artifact or simulated. Knows no kind by name."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from random import Random
from typing import Literal

from tasks.core.errors import WorkError
from tasks.core.kinds.base import NUMBERS, Kind, Language, Scene
from tasks.core.market_days import read_snapshots, read_stocks
from tasks.core.records import Snapshot, StockDay
from tasks.core.strategy import REGIMES, regime_of

Split = Literal["train", "evaluate"]
HELD_TEMPLATES = 2
"""The last templates of each kind and language: evaluation asks with them, training never does."""

_LAYOUTS, _LAYOUT_WEIGHTS = ("bullets", "sentence", "compact", "table"), (40, 20, 20, 20)
_SIMULATED = {  # return, breadth, momentum, volatility: ranges in % around each regime's corner of the rule
    "BEAR": ((-5.0, -2.01), (8.0, 29.9), (-14.0, -5.01), (18.0, 48.0)),
    "SHORT_TERM_STRESS": ((-3.8, -1.01), (12.0, 34.9), (-7.0, 2.0), (14.0, 42.0)),
    "WEAKENING": ((-0.99, -0.01), (22.0, 50.0), (-4.0, 3.0), (9.0, 24.0)),
    "MILD_BULL": ((0.01, 1.4), (45.0, 70.0), (-3.0, 5.0), (8.0, 22.0)),
    "STRONG_BULL": ((1.01, 3.8), (65.1, 90.0), (3.01, 12.0), (10.0, 30.0)),
}


@dataclass(frozen=True)
class Days:
    """The days and stocks that scenes are drawn from."""

    snapshots: tuple[Snapshot, ...]
    stocks: dict[str, list[StockDay]]

    @classmethod
    def read(cls, part: Path) -> "Days":
        return cls(tuple(read_snapshots(part)), read_stocks(part))

    @cached_property
    def by_regime(self) -> dict[str, list[Snapshot]]:
        """Days with stocks, by regime; a regime without a day is absent."""
        found: dict[str, list[Snapshot]] = {}
        for day in self.snapshots:
            if self.stocks.get(day.date):
                found.setdefault(regime_of(*(getattr(day, name) for name in NUMBERS)), []).append(day)
        return {regime: found[regime] for regime in REGIMES if regime in found}


def draw_scene(kind: Kind, days: Days, language: Language, rng: Random, split: Split, real: bool = True) -> Scene:
    """One scene. Regimes come up equally often, however rare their days; a simulated day has no date."""
    if not days.by_regime:
        raise WorkError("The market has no day on which a stock of the universe traded; import more of it.")
    day = rng.choice(days.by_regime[rng.choice(list(days.by_regime))])
    snapshot = day if real else simulate(rng)
    partial = rng.random() < kind.partial_share
    templates = range(len(kind.templates(language)))
    held = list(templates)[-HELD_TEMPLATES:]
    return Scene(
        kind=kind.name,
        language=language,
        template=rng.choice(held if split == "evaluate" else [number for number in templates if number not in held]),
        layout="sentence" if partial else rng.choices(_LAYOUTS, _LAYOUT_WEIGHTS)[0],
        snapshot=snapshot,
        given=_some(rng) if partial else NUMBERS,
        stocks=_stocks(kind, days.stocks[day.date], rng),
        simulated=() if real else NUMBERS,
        seed=rng.getrandbits(32),
    )


def simulate(rng: Random) -> Snapshot:
    """A day that could be, of a regime drawn evenly: numbers as prompts print them. Its date is empty."""
    regime = rng.choice(REGIMES)
    while True:
        r, b, m, v = (rng.uniform(*span) for span in _SIMULATED[regime])
        snapshot = Snapshot("", round(r, 2), round(b, 1), round(m, 2), round(v, 2))
        if regime_of(*(getattr(snapshot, name) for name in NUMBERS)) == regime:
            return snapshot


def _some(rng: Random) -> tuple[str, ...]:
    chosen = rng.sample(NUMBERS[1:], rng.randint(0, 2))
    return tuple(name for name in NUMBERS if name == "return_pct" or name in chosen)


def _stocks(kind: Kind, traded: list[StockDay], rng: Random) -> tuple[StockDay, ...]:
    fewest, most = kind.stocks
    if len(traded) < fewest:
        raise WorkError(
            f"{kind.name} needs {fewest} stocks of the universe on a day, and the market has {len(traded)}."
        )
    return tuple(rng.sample(traded, min(rng.randint(fewest, most), len(traded))))
