"""The kinds, in the order of their share. A new kind is one file, and one line in KINDS."""

from tasks.core.errors import RequestError
from tasks.core.kinds import (
    full_analysis,
    fx_impact,
    intraday_rebalancing,
    multi_step,
    opening_momentum,
    overnight_gap,
    regime_classification,
    regime_transition,
    risk_management,
    sector_analysis,
    stop_loss_management,
    what_if,
)
from tasks.core.kinds.base import Kind

KINDS: tuple[Kind, ...] = (
    full_analysis,
    regime_classification,
    overnight_gap,
    sector_analysis,
    risk_management,
    regime_transition,
    opening_momentum,
    fx_impact,
    stop_loss_management,
    intraday_rebalancing,
    what_if,
    multi_step,
)


def kind_named(name: str) -> Kind:
    """Returns the kind of this name. Raises RequestError if there is none."""
    for kind in KINDS:
        if kind.name == name:
            return kind
    known = ", ".join(kind.name for kind in KINDS)
    raise RequestError(f"There is no kind {name!r}. Kinds: {known}.")
