"""The events of sector_analysis: US and world news, and which Korean stocks each helps or hurts.

Reads events.csv in the folder tables. What an event moves is a judgement about the business, which
is written once there: by sector where it is true of the sector, by ticker where it is true of some.
The generator says it in its answers, the checker and the graders look it up.
"""

import csv
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from tasks.core.strategy.universe import Stock


@dataclass(frozen=True)
class Event:
    """One piece of news. `ko` and `en` are what a prompt says, without a full stop."""

    name: str
    ko: str
    en: str
    primary_sector: str  # universe.Sector.name
    direction: str  # POSITIVE or NEGATIVE: what it means for the primary sector
    gains: frozenset[str]  # sectors and tickers
    loses: frozenset[str]
    spared: frozenset[str]  # tickers of these sectors that it does not move

    def impact_on(self, stock: Stock) -> str | None:
        """Returns POSITIVE or NEGATIVE, or None if the event does not move the stock."""
        if stock.ticker in self.spared:
            return None
        named = {stock.ticker, stock.sector}
        if named & self.gains:
            return "POSITIVE"
        if named & self.loses:
            return "NEGATIVE"
        return None


@cache
def events() -> tuple[Event, ...]:
    """Returns all events, in the order of the file."""
    table = files("tasks.core.strategy") / "tables" / "events.csv"
    rows = csv.DictReader(table.read_text(encoding="utf-8").splitlines())
    return tuple(_event(row) for row in rows)


@cache
def event_named(name: str) -> Event:
    """Returns the event of this name. Raises KeyError for an unknown one."""
    return {event.name: event for event in events()}[name]


def _event(row: dict[str, str]) -> Event:
    return Event(
        name=row["name"],
        ko=row["ko"],
        en=row["en"],
        primary_sector=row["primary_sector"],
        direction=row["direction"],
        gains=_listed(row["gains"]),
        loses=_listed(row["loses"]),
        spared=_listed(row["spared"]),
    )


def _listed(cell: str) -> frozenset[str]:
    if not cell:
        return frozenset()
    return frozenset(cell.split(";"))
