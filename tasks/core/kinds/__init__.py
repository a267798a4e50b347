"""The kinds, found in the catalogue: a module there is a kind, and nothing else lists it."""

import importlib
import pkgutil

from tasks.core.errors import RequestError
from tasks.core.kinds import catalog
from tasks.core.kinds.base import Kind


def _found() -> tuple[Kind, ...]:
    """Returns the catalogue's kinds, those with the largest share of the rows first."""
    kinds: list[Kind] = []
    for module in pkgutil.iter_modules(catalog.__path__):
        kinds.append(importlib.import_module(f"{catalog.__name__}.{module.name}"))
    return tuple(sorted(kinds, key=lambda kind: (-kind.share, kind.name)))


KINDS = _found()


def kind_named(name: str) -> Kind:
    """Returns the kind of this name. Raises RequestError if there is none."""
    for kind in KINDS:
        if kind.name == name:
            return kind
    known = ", ".join(kind.name for kind in KINDS)
    raise RequestError(f"There is no kind {name!r}. Kinds: {known}.")
