"""A key of an answer is known by the piece of a schema that its kind gives it, and not by name."""

from tasks.core.kinds.schemas import (
    CONFIDENCE,
    NET,
    REGIME,
    WORKING,
    closed,
    integer,
    keys_with,
    listed,
    one_of,
    optional,
    parts_of_keys,
    plain_lists,
    stock_entry,
)

ENTRY = stock_entry(mood_then=REGIME, weight=integer(0, 100))
SCHEMA = optional(
    closed(
        steps=WORKING,
        mood=REGIME,
        tilt_pct=NET,
        book=closed(picks=listed({"anyOf": [ENTRY, closed(name=one_of("cash"))]}, 3)),
        sure_pct=CONFIDENCE,
        share_pct=integer(0, 100),
    ),
    sources=listed(one_of("news", "prices"), 2),
)


def test_a_key_belongs_to_the_part_of_its_piece():
    assert parts_of_keys(SCHEMA) == {
        "steps": "working",
        "mood": "regime",
        "mood_then": "regime",
        "sure_pct": "regime",
        "tilt_pct": "exposure",
    }
    assert keys_with(REGIME, SCHEMA) == {"mood", "mood_then"}


def test_lists_of_words_are_told_from_lists_of_entries():
    assert plain_lists(SCHEMA) == {"steps", "sources"}
