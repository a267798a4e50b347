"""Scenes: what a question is about, drawn from a part of the market artifact or simulated.

Reads the days, stocks and macro figures of a market part. Knows no kind by name: what a question
needs is what its kind says that it needs. All chance comes from the generator that the caller
gives, and the order of the draws decides the bytes of the rows.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from random import Random
from typing import Literal

from tasks.core.errors import WorkError
from tasks.core.kinds.base import Kind, Layout, Scene
from tasks.core.kinds.lexicon import CONTEXT
from tasks.core.kinds.simulate import (
    NEAR_A_LIMIT_PCT,
    OF_THE_WORLD,
    SIMULATED_STOCK_NUMBERS,
    simulate_market,
    simulate_nav,
    simulate_near,
    simulate_number,
    simulate_ratios,
    simulate_stock_number,
)
from tasks.core.records.facts import Facts, Language, StockFacts
from tasks.core.records.market import Snapshot, StockDay
from tasks.core.records.market_days import read_macro, read_snapshots, read_stocks
from tasks.core.strategy.borders import confidence_pct
from tasks.core.strategy.events import event_named, events
from tasks.core.strategy.rules import NUMBERS, REGIMES, SHOCKS, regime_of
from tasks.core.strategy.universe import (
    TIERS,
    Origin,
    beta_of,
    etfs,
    get_stock,
    tier_of,
    us_correlation_of,
)

Split = Literal["train", "evaluate"]
HELD_TEMPLATES = 4
"""The last templates of each kind and language: evaluation asks with them, training never does."""

_LAYOUTS: tuple[Layout, ...] = ("bullets", "sentence", "compact", "table")
_LAYOUT_WEIGHTS = (40, 20, 20, 20)
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


@dataclass(frozen=True)
class _Offer:
    """A stock or ETF that a question offers.

    `origins` says of tier, beta and US correlation whether they were measured, if the question
    states them.
    """

    stock: StockFacts
    origins: dict[str, Origin] = field(default_factory=dict)
    simulated: tuple[str, ...] = ()  # names of the ratios that come from no data
    market_cap: float = float("inf")  # won; a fund grows with what is bought


@dataclass(frozen=True)
class _Asked:
    """What decides which stocks are offered, and what is said of them."""

    kind: Kind
    words: Mapping[str, str]
    inventions: tuple[str, ...]  # ratios that are simulated where the data holds none


def draw_scene(kind: Kind, days: Days, draw: Draw, rng: Random) -> Scene:
    """Returns one scene.

    Regimes come up equally often, however rare their days. A question about simulated numbers, or
    about anything of a real day that the data does not hold, names no day. Raises WorkError if the
    market has too few stocks on its days.
    """
    day = _draw_day(days, draw, rng)
    real = draw.real and day.fits
    market = _market(day.snapshot) if real else _simulated_market(draw, rng)
    words = {name: _draw_word(name, rng) for name in kind.needs.words}
    known = _known_words(days, day.snapshot.date) if real else {}
    words |= {name: word for name, word in known.items() if name in words}
    measured = _macro(days, day.snapshot.date) if real else {}
    context = _draw_context(kind, market, words, rng)
    if real:
        context = _without_inventions(context, measured, kind)
    numbers = {**market, **{name: measured.get(name, value) for name, value in context.items()}}
    if draw.partial:
        _hurry(numbers, words, rng)
    simulated = [] if real else [name for name in NUMBERS if name in numbers]
    simulated += [name for name in context if name in numbers and name not in measured]
    simulated += [name for name in words if name in OF_THE_WORLD and name not in known]
    simulated += [name for name in kind.needs.stock_numbers if name in SIMULATED_STOCK_NUMBERS]
    names_its_day = real and not set(simulated) & set(OF_THE_WORLD)
    offers: list[_Offer] = []
    if not draw.partial:
        asked = _Asked(kind, words, () if names_its_day else _inventions_of_stocks(kind, rng))
        offers = _draw_offers(asked, days.stocks[day.snapshot.date], rng)
    simulated += sorted({name for offer in offers for name in offer.simulated})
    if offers and "nav_100m_krw" in numbers:
        smallest = min(offer.market_cap for offer in offers)
        numbers["nav_100m_krw"] = simulate_nav(rng, smallest)
    return Scene(
        kind=kind.name,
        language=draw.language,
        template=rng.choice(_templates(kind, draw)),
        layout="sentence" if draw.partial else rng.choices(_LAYOUTS, _LAYOUT_WEIGHTS)[0],
        date=day.snapshot.date if names_its_day else None,
        facts=Facts(numbers, tuple(offer.stock for offer in offers), words),
        simulated=tuple(simulated),
        origins=_joined_origins(offers),
        seed=rng.getrandbits(32),
        day=day.snapshot.date if real else None,
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
    """A day with stocks, and whether its own numbers are what the draw asks for."""

    snapshot: Snapshot
    fits: bool


def _draw_day(days: Days, draw: Draw, rng: Random) -> _Day:
    if not days.by_regime:
        raise WorkError(
            "The market has no day on which a stock of the universe traded; import more of it."
        )
    regime = draw.regime or rng.choice(list(days.by_regime))
    fitting = days.by_regime.get(regime, [])
    if draw.near:
        fitting = [day for day in fitting if confidence_pct(**_market(day)) <= NEAR_A_LIMIT_PCT]
    if fitting:
        return _Day(rng.choice(fitting), fits=True)
    return _Day(rng.choice(days.by_regime[rng.choice(list(days.by_regime))]), fits=False)


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


def _known_words(days: Days, date: str) -> dict[str, str]:
    """Returns the words that the data holds of a real day: the regime of the day before."""
    before = days.regimes_before.get(date)
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
    stated += [name for name in kind.needs.asides if rng.random() < _ASIDE_SHARE]
    regime = regime_of(**market)
    return {name: simulate_number(name, regime, market, words, rng) for name in stated}


_LEXICON_NAMES = {"sentiment_pct": "sentiment_points"}
"""What the lexicon calls a column of macro.parquet, if that is another name."""


def _macro(days: Days, date: str) -> dict[str, float]:
    """Returns what that day's macro.parquet says, rounded as it is printed."""
    measured = {}
    for column, value in days.macro.get(date, {}).items():
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


# The stocks and ETFs.


_RATIOS = ("per", "pbr")


def _inventions_of_stocks(kind: Kind, rng: Random) -> tuple[str, ...]:
    """Returns which ratios a question without a date invents where the data holds none."""
    ratios = [name for name in _RATIOS if name in kind.needs.stock_numbers]
    ratios += [name for name in kind.needs.stock_asides if rng.random() < _ASIDE_SHARE]
    return tuple(ratios)


def _draw_offers(asked: _Asked, traded: list[StockDay], rng: Random) -> list[_Offer]:
    """Returns the offered stocks, and after them one or two ETFs of each group that is needed."""
    kind = asked.kind
    fewest, most = kind.needs.stocks
    if len(traded) < fewest:
        raise WorkError(
            f"{kind.name} needs {fewest} stocks of the universe on a day, "
            f"and the market has {len(traded)}."
        )
    count = min(rng.randint(fewest, most), len(traded))
    offers = [_offer(day, asked, rng) for day in _draw_stocks(traded, count, asked.words, rng)]
    for group in kind.needs.funds:
        tickers = [etf.ticker for etf in etfs() if etf.group == group]
        for ticker in rng.sample(tickers, rng.randint(1, 2)):
            offers.append(_Offer(StockFacts(ticker)))
    return offers


def _draw_stocks(
    traded: list[StockDay], count: int, words: Mapping[str, str], rng: Random
) -> list[StockDay]:
    """Returns stocks at random.

    About an event, the event moves half of them if possible, and at least one if any such traded.
    """
    if "event" not in words:
        return rng.sample(traded, count)
    event = event_named(words["event"])
    moved = [day for day in traded if event.impact_on(get_stock(day.ticker))]
    chosen = rng.sample(moved, min(len(moved), max(1, count // 2)))
    others = [day for day in traded if day not in chosen]
    chosen += rng.sample(others, count - len(chosen))
    rng.shuffle(chosen)
    return chosen


def _offer(day: StockDay, asked: _Asked, rng: Random) -> _Offer:
    """Returns what the kind's question says of one stock."""
    needs = asked.kind.needs
    numbers = ratios_of(day)
    invented = tuple(name for name in asked.inventions if name not in numbers)
    if invented:
        numbers |= simulate_ratios(day.ticker, invented, numbers, rng)
    words: dict[str, str] = {}
    origins: dict[str, Origin] = {}
    if "beta" in needs.stock_numbers:
        beta, origins["beta"] = beta_of(day)
        numbers["beta"] = round(beta, 2)
    if "us_correlation" in needs.stock_words:
        words["us_correlation"], origins["us_correlation"] = us_correlation_of(day)
    if "tier" in needs.stock_words:
        words["tier"], origins["tier"] = tier_of(day)
    for name in needs.stock_numbers:
        if name in SIMULATED_STOCK_NUMBERS:
            numbers[name] = simulate_stock_number(name, rng)
    stated = {name: numbers[name] for name in needs.stock_numbers if name in numbers}
    stated |= {name: numbers[name] for name in invented}
    in_order = {name: words[name] for name in needs.stock_words}
    cap = day.market_cap or TIERS[get_stock(day.ticker).tier][0]
    return _Offer(StockFacts(day.ticker, stated, in_order), origins, invented, cap)


def ratios_of(day: StockDay) -> dict[str, float]:
    """Returns PER and PBR as printed, if they mean something: 0.5 < PER < 200, 0.01 < PBR < 50."""
    ratios = {}
    if day.per is not None and 0.5 < day.per < 200:
        ratios["per"] = round(day.per, 1)
    if day.pbr is not None and 0.01 < day.pbr < 50:
        ratios["pbr"] = round(day.pbr, 2)
    return ratios


def _joined_origins(offers: Sequence[_Offer]) -> dict[str, str]:
    """Returns one text for each fact: "measured", "table", or "measured and table"."""
    origins: dict[str, set[str]] = {}
    for offer in offers:
        for name, origin in offer.origins.items():
            origins.setdefault(name, set()).add(origin)
    return {name: " and ".join(sorted(several)) for name, several in origins.items()}
