"""The kinds, found in the catalogue: a module there is a kind, and nothing else lists it.

KINDS are those whose questions are drawn from the market. The others' questions are given, by logs:
they are asked only where there are such.
"""

import importlib
import pkgutil
from typing import Any

from tasks.core.errors import RequestError
from tasks.core.kinds import catalog
from tasks.core.kinds.base import GivenKind, Kind


def _found() -> tuple[Any, ...]:
    """Returns the catalogue's kinds, those with the largest share of the rows first."""
    kinds: list[Any] = []
    for module in pkgutil.iter_modules(catalog.__path__):
        kinds.append(importlib.import_module(f"{catalog.__name__}.{module.name}"))
    return tuple(sorted(kinds, key=lambda kind: (-kind.share, kind.name)))


ALL_KINDS: tuple[Kind, ...] = _found()
KINDS = tuple(kind for kind in ALL_KINDS if not kind.needs.given)
GIVEN_KINDS: tuple[GivenKind, ...] = tuple(kind for kind in _found() if kind.needs.given)


def given_kind(name: str) -> GivenKind | None:
    """Returns the given kind of this name, or None if there is none."""
    return next((kind for kind in GIVEN_KINDS if kind.name == name), None)


def kind_named(name: str) -> Kind:
    """Returns the kind of this name. Raises RequestError if there is none."""
    for kind in ALL_KINDS:
        if kind.name == name:
            return kind
    known = ", ".join(kind.name for kind in ALL_KINDS)
    raise RequestError(f"There is no kind {name!r}. Kinds: {known}.")
