"""The kinds, in the order of their share. A new one is one file and one line here."""

from tasks.core.errors import RequestError
from tasks.core.kinds import full_analysis, regime_classification, stop_loss_management
from tasks.core.kinds.base import Kind

KINDS: tuple[Kind, ...] = (full_analysis, regime_classification, stop_loss_management)


def kind(name: str) -> Kind:
    """The kind of this name. Raises RequestError for another."""
    for known in KINDS:
        if known.name == name:
            return known
    raise RequestError(f"There is no kind {name!r}. Kinds: {', '.join(known.name for known in KINDS)}.")
