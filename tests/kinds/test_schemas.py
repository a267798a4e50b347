"""A key of an answer is known by the piece of a schema that its kind gives it, and not by name."""

import pytest

from tasks.core.kinds import ALL_KINDS
from tasks.core.kinds.schemas import (
    CONFIDENCE,
    LEAST_REASONING_LIMIT,
    LEAST_TEXT_LIMIT,
    NET,
    REGIME,
    WORKING,
    _entries,
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
from tasks.core.kinds.texts import PROSE_KEYS

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


@pytest.mark.parametrize("kind", ALL_KINDS, ids=lambda kind: kind.name)
def test_every_text_may_be_as_long_as_spoilt_ones_are(kind):
    texts = {key: entry for key, entry in _entries(kind.schema) if key in PROSE_KEYS}
    assert texts
    for key, entry in texts.items():
        least = LEAST_REASONING_LIMIT if key == "reasoning" else LEAST_TEXT_LIMIT
        assert entry["maxLength"] >= least
