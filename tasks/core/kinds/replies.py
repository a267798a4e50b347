"""A model's reply as JSON, which any program that asked for it has to be able to read."""

import json
import re
from math import isinf
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
        text = fenced[1] if fenced else reply.strip()
        value = _DECODER.decode(text)
        _require_whole_characters(text, value)
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


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is no number of JSON")


def _finite(digits: str) -> float:
    """Returns a number. Raises OverflowError if it fits no double."""
    number = float(digits)
    if isinf(number):
        raise OverflowError
    return number


_DECODER = json.JSONDecoder(parse_constant=_refuse_constant, parse_float=_finite)


def _require_whole_characters(text: str, value: Any) -> None:
    """Raises ValueError if there is half a character, as it is or escaped."""
    text.encode()
    if "\\u" in text:
        json.dumps(value, ensure_ascii=False).encode()


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
