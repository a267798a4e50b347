"""Offers: the stocks and ETFs of a question, and what it says of each.

Reads no file. All chance comes from the generator that the caller gives, and the order of the draws
decides the bytes of the rows.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from random import Random

from tasks.core.errors import WorkError
from tasks.core.kinds.base import Kind
from tasks.core.kinds.simulate import (
    SIMULATED_STOCK_NUMBERS,
    simulate_ratios,
    simulate_stock_number,
)
from tasks.core.records.facts import StockFacts
from tasks.core.records.market import StockDay
from tasks.core.strategy.events import event_named
from tasks.core.strategy.universe import (
    TIERS,
    Origin,
    beta_of,
    etfs,
    get_stock,
    tier_of,
    us_correlation_of,
)

ASIDE_SHARE = 0.3
"""Share of questions that mention each of their kind's asides."""


@dataclass(frozen=True)
class Offer:
    """A stock or ETF that a question offers.

    `origins` says of tier, beta and US correlation whether they were measured, if the question
    states them.
    """

    stock: StockFacts
    origins: dict[str, Origin] = field(default_factory=dict)
    simulated: tuple[str, ...] = ()  # names of the ratios that come from no data
    market_cap: float = float("inf")  # won; a fund grows with what is bought


@dataclass(frozen=True)
class Asked:
    """What decides which stocks are offered, and what is said of them."""

    kind: Kind
    words: Mapping[str, str]
    inventions: tuple[str, ...]  # ratios that are simulated where the data holds none


_RATIOS = ("per", "pbr")


def draw_inventions(kind: Kind, rng: Random) -> tuple[str, ...]:
    """Returns which ratios a question without a date invents where the data holds none."""
    ratios = [name for name in _RATIOS if name in kind.needs.stock_numbers]
    ratios += [name for name in kind.needs.stock_asides if rng.random() < ASIDE_SHARE]
    return tuple(ratios)


def draw_offers(asked: Asked, traded: list[StockDay], rng: Random) -> list[Offer]:
    """Returns the offered stocks, and after them one or two ETFs of each group that is needed."""
    kind = asked.kind
    fewest, most = kind.needs.stocks
    if len(traded) < fewest:
        raise WorkError(
            f"{kind.name} needs {fewest} stocks of the universe on a day, "
            f"and the market has {len(traded)}; import more of it."
        )
    count = min(rng.randint(fewest, most), len(traded))
    offers = [_offer(day, asked, rng) for day in _draw_stocks(traded, count, asked.words, rng)]
    for group in kind.needs.funds:
        tickers = [etf.ticker for etf in etfs() if etf.group == group]
        for ticker in rng.sample(tickers, rng.randint(1, 2)):
            offers.append(Offer(StockFacts(ticker)))
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


def _offer(day: StockDay, asked: Asked, rng: Random) -> Offer:
    """Returns what the kind's question says of one stock."""
    needs = asked.kind.needs
    numbers = _ratios_of(day)
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
    return Offer(StockFacts(day.ticker, stated, in_order), origins, invented, cap)


def _ratios_of(day: StockDay) -> dict[str, float]:
    """Returns PER and PBR as printed, if they mean something: 0.5 < PER < 200, 0.01 < PBR < 50."""
    ratios = {}
    if day.per is not None and 0.5 < day.per < 200:
        ratios["per"] = round(day.per, 1)
    if day.pbr is not None and 0.01 < day.pbr < 50:
        ratios["pbr"] = round(day.pbr, 2)
    return ratios


def joined_origins(offers: Sequence[Offer]) -> dict[str, str]:
    """Returns one text for each fact: "measured", "table", or "measured and table"."""
    origins: dict[str, set[str]] = {}
    for offer in offers:
        for name, origin in offer.origins.items():
            origins.setdefault(name, set()).add(origin)
    return {name: " and ".join(sorted(several)) for name, several in origins.items()}
