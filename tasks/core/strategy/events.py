"""The events of sector_analysis: US and world news, and which Korean sectors each helps or hurts.

Reads events.csv beside this file. Which sectors an event moves is a judgement about their business,
written once here: the generator tells it, the checker and the graders look it up.
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
        """POSITIVE, NEGATIVE, or None where the event does not move the sector."""
        return "POSITIVE" if sector in self.gains else "NEGATIVE" if sector in self.loses else None


@cache
def events() -> tuple[Event, ...]:
    """All events, in the order of the file."""
    text = (files("tasks.core.strategy") / "tables" / "events.csv").read_text(encoding="utf-8")
    return tuple(
        Event(**{**row, "gains": _sectors(row["gains"]), "loses": _sectors(row["loses"])})
        for row in csv.DictReader(text.splitlines())
    )


@cache
def event_named(name: str) -> Event:
    """The event of this name; KeyError for another."""
    return {found.name: found for found in events()}[name]


def _sectors(cell: str) -> frozenset[str]:
    return frozenset(cell.split(";")) if cell else frozenset()
