"""The events of sector_analysis: US and world news, and which Korean sectors each helps or hurts.

Reads events.csv in the folder tables. Which sectors an event moves is a judgement about their
business, written once there: the generator says it in its answers, the checker and the graders look
it up.
"""

import csv
from dataclasses import dataclass
from functools import cache
from importlib.resources import files


@dataclass(frozen=True)
class Event:
    """One piece of news. `ko` and `en` are what a prompt says, without a full stop."""

    name: str
    ko: str
    en: str
    primary_sector: str  # universe.Sector.name
    direction: str  # POSITIVE or NEGATIVE: what it means for the primary sector
    gains: frozenset[str]
    loses: frozenset[str]

    def impact_on(self, sector: str) -> str | None:
        """Returns POSITIVE or NEGATIVE, or None if the event does not move the sector."""
        if sector in self.gains:
            return "POSITIVE"
        if sector in self.loses:
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
        gains=_sectors(row["gains"]),
        loses=_sectors(row["loses"]),
    )


def _sectors(cell: str) -> frozenset[str]:
    if not cell:
        return frozenset()
    return frozenset(cell.split(";"))
