"""Where the values of an answer stand, so that one of them can be changed."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from tasks.core.kinds.base import Answer
from tasks.core.kinds.texts import free_texts


@dataclass(frozen=True)
class Place:
    """Where a value of an answer stands: a dict and its key, or a list and its index."""

    container: Any
    key: Any

    @property
    def value(self) -> Any:
        """What stands there."""
        return self.container[self.key]

    def put(self, value: Any) -> None:
        """Puts another value there."""
        self.container[self.key] = value


def places(value: Any) -> Iterator[Place]:
    """Yields the place of everything in an answer, at any depth, but for its working."""
    keys: list[Any] = []
    if isinstance(value, dict):
        keys = [key for key in value if key != "working"]
    elif isinstance(value, list):
        keys = list(range(len(value)))
    for key in keys:
        yield Place(value, key)
        yield from places(value[key])


def texts(answer: Answer) -> list[Place]:
    """Returns the places of the texts that are written freely."""
    return [Place(found.holder, found.key) for found in free_texts(answer)]


def lists_of_entries(answer: Answer, fewest: int) -> list[list[dict[str, Any]]]:
    """Returns the lists of at least so many objects."""
    found = []
    for place in places(answer):
        entries = place.value
        if not isinstance(entries, list) or len(entries) < fewest:
            continue
        if all(isinstance(entry, dict) for entry in entries):
            found.append(entries)
    return found


def entries_with_ticker(answer: Answer) -> list[dict[str, Any]]:
    """Returns every object of an answer that is about one stock or ETF."""
    return [
        place.value
        for place in places(answer)
        if isinstance(place.value, dict) and "ticker" in place.value
    ]
