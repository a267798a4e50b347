"""schema_violation: the same answer in a form that no program can use."""

import json
from collections.abc import Callable
from random import Random
from typing import Any

from tasks.core.kinds.base import Answer
from tasks.core.kinds.spoilt.places import Place, places
from tasks.core.kinds.texts import PROSE_KEYS, to_text

_MALFORMED_SHARE = 0.08
"""Broken JSON is rare here: a grammar, which serving has, cannot emit it."""

_WORDS_FOR_NUMBERS = ("high", "medium", "low")


def break_form(answer: Answer, rng: Random) -> str:
    """Returns the answer as text, in another form than its schema's."""
    if rng.random() < _MALFORMED_SHARE:
        return _malformed(to_text(answer), rng)
    broken = json.loads(to_text(answer))
    rng.choice(_WAYS)(broken, rng)
    return to_text(broken)


def _malformed(text: str, rng: Random) -> str:
    """Leaves out or adds one sign that JSON needs or forbids."""
    return rng.choice((text[:-1], f"{text[:-1]},}}", text.replace('"', "'"), f"{text}}}"))


def _number_as_text(broken: Answer, rng: Random) -> None:
    place = _number(broken, rng)
    value = place.value
    written = (str(value), f"{value}%", rng.choice(_WORDS_FOR_NUMBERS))
    place.put(rng.choice(written))


def _fraction_for_integer(broken: Answer, rng: Random) -> None:
    place = _number(broken, rng)
    if isinstance(place.value, int):
        place.put(place.value + rng.choice((0.5, 0.25)))
    else:  # the kind has no numbers
        _key_missing(broken, rng)


def _number(broken: Answer, rng: Random) -> Place:
    numbers = [place for place in places(broken) if isinstance(place.value, int)]
    return rng.choice(numbers) if numbers else Place(broken, next(reversed(broken)))


def _word_in_lower_case(broken: Answer, rng: Random) -> None:
    """Writes a word of a fixed set, such as a regime, as a text would."""
    words = [place for place in places(broken) if _is_word(place)]
    if words:
        place = rng.choice(words)
        place.put(place.value.lower().replace("_", " "))
    else:
        _key_missing(broken, rng)


def _is_word(place: Place) -> bool:
    """Whether a word of a fixed set stands there: no text, and no name such as KT&G."""
    free = (*PROSE_KEYS, "name", "ticker")
    return place.key not in free and isinstance(place.value, str) and place.value.isupper()


def _key_missing(broken: Answer, rng: Random) -> None:
    """Leaves out the shortest of some keys: a long one gone would show by the length alone."""
    place = _short_place(broken, rng)
    del place.container[place.key]


def _key_twice(broken: Answer, rng: Random) -> None:
    """Says one thing again under a key that the schema does not know."""
    place = _short_place(broken, rng)
    place.container[f"{place.key}_2"] = place.value


def _short_place(broken: Answer, rng: Random) -> Place:
    inside = [
        place
        for place in places(broken)
        if isinstance(place.key, str) and not isinstance(place.value, dict | list)
    ]
    return min(rng.sample(inside, min(4, len(inside))), key=lambda place: len(str(place.value)))


def _hoisted(broken: Answer, rng: Random) -> None:
    """Takes what an object holds one level up."""
    objects = [key for key, value in broken.items() if isinstance(value, dict)]
    if not objects:
        _listed(broken, rng)
        return
    inner: dict[str, Any] = broken.pop(rng.choice(objects))
    for key, value in inner.items():
        broken.setdefault(key, value)


def _listed(broken: Answer, rng: Random) -> None:
    """Makes a list of one value of what the schema wants alone."""
    place = Place(broken, rng.choice([key for key in broken if key != "working"]))
    place.put([place.value])


def _working_as_text(broken: Answer, rng: Random) -> None:
    broken["working"] = "; ".join(broken["working"])


_WAYS: tuple[Callable[[Answer, Random], None], ...] = (
    _number_as_text,
    _number_as_text,
    _fraction_for_integer,
    _word_in_lower_case,
    _key_missing,
    _key_twice,
    _hoisted,
    _listed,
    _working_as_text,
)
