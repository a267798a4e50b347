"""Pieces of the kinds' JSON Schemas: closed objects, bounded integers and texts.

There are integers only, because a grammar made from a schema holds an integer to its bounds and
ignores those of a number. Reads and writes no file.
"""

from collections.abc import Iterator
from typing import Any

from tasks.core.kinds.wording import TEXT_LIMIT
from tasks.core.strategy.rules import EXPOSURES, MAX_LEVERAGE, NUMBERS, OVERNIGHT_PCT, REGIMES

Schema = dict[str, Any]


LEAST_TEXT_LIMIT, LEAST_REASONING_LIMIT = 120, 200
"""Every kind allows a text at least so many characters, and a `reasoning`: spoilt texts keep to
them, because a longer one would break the form, which is another flaw.
"""


def closed(**properties: Schema) -> Schema:
    """Returns the schema of an object with exactly these keys."""
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


def optional(schema: Schema, **properties: Schema) -> Schema:
    """Returns the object's schema with further keys that may be absent."""
    return {**schema, "properties": {**schema["properties"], **properties}}


def integer(low: int, high: int) -> Schema:
    """Returns the schema of an integer, both ends included."""
    return {"type": "integer", "minimum": low, "maximum": high}


def text(most: int = TEXT_LIMIT) -> Schema:
    """Returns the schema of a text of 10 to `most` characters."""
    return {"type": "string", "minLength": 10, "maxLength": most}


def one_of(*values: str) -> Schema:
    """Returns the schema of one of these words."""
    return {"type": "string", "enum": list(values)}


def listed(item: Schema, most: int, fewest: int = 0) -> Schema:
    """Returns the schema of a list of such items."""
    return {"type": "array", "items": item, "minItems": fewest, "maxItems": most}


def stock_entry(**properties: Schema) -> Schema:
    """Returns the schema of an object about one stock or ETF, which begins with ticker and name."""
    return closed(
        ticker={"type": "string", "minLength": 6, "maxLength": 6},
        name={"type": "string", "minLength": 1, "maxLength": 60},
        **properties,
    )


WORKING = {
    "type": "array",
    "items": {"type": "string", "minLength": 3, "maxLength": 280},
    "minItems": 1,
    "maxItems": 14,
}
"""The first key of every answer: its steps, a short line each (strategy.working)."""


def _within(bands: list[tuple[int, int]]) -> Schema:
    """Returns the schema of an exposure in % of NAV that lies in some regime's band, or between."""
    return integer(min(low for low, _ in bands), max(high for _, high in bands))


REGIME = one_of(*REGIMES)
CONFIDENCE = integer(0, 100)
NET = _within([allowed.net for allowed in EXPOSURES.values()])
LONG_GROSS = _within([allowed.long_gross for allowed in EXPOSURES.values()])
INDEX_SHORT = _within([allowed.index_short for allowed in EXPOSURES.values()])
LEVERAGE_CEILING = integer(0, int(100 * MAX_LEVERAGE))
"""In hundredths."""
OVERNIGHT = integer(*OVERNIGHT_PCT)
MISSING_INPUTS = listed(one_of(*NUMBERS), len(NUMBERS))
"""The market's numbers that the question does not state."""


# What a key is, by the piece that a kind gives it.

_PIECES_OF_PART = {
    "working": (WORKING,),
    "regime": (REGIME, MISSING_INPUTS, CONFIDENCE),
    "exposure": (NET, LONG_GROSS, INDEX_SHORT, LEVERAGE_CEILING, OVERNIGHT),
}
"""Which part of a grade judges the keys that have one of these pieces (the very object: an equal
one means something else); all other keys belong to the actions.
"""


def parts_of_keys(schema: Schema) -> dict[str, str]:
    """Returns the part of a grade that each key of an answer belongs to, if it is no action."""
    found = {}
    for part, pieces in _PIECES_OF_PART.items():
        for piece in pieces:
            found.update(dict.fromkeys(keys_with(piece, schema), part))
    return found


def keys_with(piece: Schema, schema: Schema) -> set[str]:
    """Returns the keys, at any depth, that have this very piece as their schema."""
    return {key for key, entry in _entries(schema) if entry is piece}


def plain_lists(schema: Schema) -> set[str]:
    """Returns the keys, at any depth, whose lists are of words or lines and not of entries."""
    lists = {key: entry["items"] for key, entry in _entries(schema) if "items" in entry}
    return {key for key, item in lists.items() if not any(_entries(item))}


def _entries(schema: Schema) -> Iterator[tuple[str, Schema]]:
    """Yields each key of the objects that a schema allows, at any depth, with its own schema."""
    for key, entry in schema.get("properties", {}).items():
        yield key, entry
        yield from _entries(entry)
    for either in schema.get("anyOf", ()):
        yield from _entries(either)
    if "items" in schema:
        yield from _entries(schema["items"])


def arranged(answer: Any, schema: Schema) -> Any:
    """Returns the answer with its keys in the schema's order, at any depth. Of `anyOf`, the schema
    is the first that has all of the answer's keys.
    """
    if isinstance(answer, dict):
        in_order = {}
        for either in schema.get("anyOf", ()):
            if answer.keys() <= either["properties"].keys():
                schema = either
                break
        for key, entry in schema["properties"].items():
            if key in answer:
                in_order[key] = arranged(answer[key], entry)
        return in_order
    if isinstance(answer, list):
        return [arranged(entry, schema["items"]) for entry in answer]
    return answer
