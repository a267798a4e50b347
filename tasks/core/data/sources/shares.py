"""Which sources Stage 1 draws from, and how large a share of the rows each has."""

from tasks.core.data.chat import Source
from tasks.core.data.sources import SOURCES
from tasks.core.data.sources.own import own_source
from tasks.core.data.sources.reasoning_logs import reasoning_source
from tasks.core.errors import RequestError
from tasks.core.settings.data import Data

_TOLERANCE = 1e-6  # shares are added in floating point
_NO_SHARE = 1e-9


def location_of(source: Source, data: Data) -> str:
    """Where a source lies; empty if it is not given."""
    return getattr(data, source.name)


def shares_of(data: Data) -> dict[Source, float]:
    """The sources with a share, and that share; the shares sum to 1.

    own and reasoning_logs take theirs if they are given; the five published sources divide the rest
    by their own shares. Raises RequestError for shares that cannot sum to 1.
    """
    added = _added_shares(data)
    if data.own_share == 1 and not data.own:
        raise RequestError(
            "data.own_share=1 takes all rows from data.own, which names no file. Add data.own=FILE."
        )
    rest = 1 - sum(added.values())
    if rest < -_TOLERANCE:
        raise RequestError(f"{_list_shares(added)}: together more than 1. Lower one.")
    published = {source: _share_of(source, data) for source in SOURCES}
    total = sum(published.values())
    if rest > _TOLERANCE and abs(total - 1) > _TOLERANCE:
        raise RequestError(
            f"The shares of the five sources sum to {total:g}, not to 1: {_list_shares(published)}."
        )
    shares = {}
    for source, share in published.items():
        shares[source] = share * max(rest, 0)
    shares.update(added)
    return {source: share for source, share in shares.items() if share > _NO_SHARE}


def _added_shares(data: Data) -> dict[Source, float]:
    """The shares of your own rows and of reasoning logs, if they are given."""
    added = {}
    for source in (own_source(data), reasoning_source(data)):
        if location_of(source, data):
            added[source] = _share_of(source, data)
    return added


def _share_of(source: Source, data: Data) -> float:
    return getattr(data, f"{source.name}_share")


def _list_shares(shares: dict[Source, float]) -> str:
    return ", ".join(f"data.{source.name}_share={share:g}" for source, share in shares.items())
