"""A model's reply as JSON, which any program that asked for it has to be able to read."""

import json
import re
from typing import Any

_DEEPEST = 64
"""Levels of a reply; no schema has ten."""
_FENCED = re.compile(r"```(?:json)?\s*\n(.*)\n\s*```", re.S)


def parse(reply: str) -> Any:
    """Returns the reply's value, which may stand in a code fence.

    Raises ValueError if it is no JSON or none that every program can hold: NaN, Infinity, a number
    beyond a double, half a character, or a thousand brackets.
    """
    try:
        fenced = _FENCED.fullmatch(reply.strip())
        value = json.loads(fenced[1] if fenced else reply.strip())
        json.dumps(value, ensure_ascii=False, allow_nan=False).encode()
        level = [value]
        for _ in range(_DEEPEST):
            if not level:
                break
            level = _below(level)
    except RecursionError:
        raise ValueError("it is nested too deep") from None
    except OverflowError:
        raise ValueError("a number is too large") from None
    if level:
        raise ValueError("it is nested too deep")
    return value


def _below(level: list[Any]) -> list[Any]:
    """What the values of one level hold. Raises OverflowError if a number fits no double."""
    below: list[Any] = []
    for entry in level:
        if isinstance(entry, dict):
            below += entry.values()
        elif isinstance(entry, list):
            below += entry
        elif isinstance(entry, int):
            float(entry)
    return below
