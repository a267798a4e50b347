"""The table of events: its sectors are the universe's, and no text is part of another."""

import re

from tasks.core.strategy import universe
from tasks.core.strategy.events import events


def test_events_are_of_the_universes_sectors_and_say_no_number():
    known = {sector.name for sector in universe.sectors()}
    assert len(events()) >= 25 and len({event.name for event in events()}) == len(events())
    for event in events():
        assert event.gains | event.loses <= known and not event.gains & event.loses
        moved = event.gains if event.direction == "POSITIVE" else event.loses
        assert event.primary_sector in moved, event.name
        for text, korean in ((event.ko, True), (event.en, False)):
            assert not re.search(r"\d", text) and not text.endswith(".")
            assert bool(re.search("[가-힣]", text)) == korean


def test_no_events_text_is_part_of_anothers():
    """A question is read by finding an event's text in it."""
    for texts in ([event.ko for event in events()], [event.en for event in events()]):
        assert not [
            (one, other) for one in texts for other in texts if one is not other and one in other
        ]
