"""The sources of Stage 1: five published ones, your own rows and reasoning logs; in the order of
reports.
"""

import difflib
from collections.abc import Sequence
from pathlib import Path

from tasks.core.data.chat import Source
from tasks.core.data.fin_sentiment import FIN_SENTIMENT
from tasks.core.data.finance_instruct import FINANCE_INSTRUCT
from tasks.core.data.krx_won import KRX_WON
from tasks.core.data.own import own_source
from tasks.core.data.reasoning_logs import reasoning_source
from tasks.core.data.sujet_finance import SUJET_FINANCE
from tasks.core.data.tables import read_columns
from tasks.core.data.trading_signals import TRADING_SIGNALS
from tasks.core.errors import RequestError
from tasks.core.settings.tree import Data

SOURCES = (FINANCE_INSTRUCT, SUJET_FINANCE, KRX_WON, TRADING_SIGNALS, FIN_SENTIMENT)


def location_of(source: Source, data: Data) -> str:
    """Where a source lies; empty where it is not given."""
    return getattr(data, source.name)


def shares_of(data: Data) -> dict[Source, float]:
    """The sources with a share and that share; they sum to 1. Raises RequestError for shares that
    cannot.

    own and reasoning_logs take theirs where they are given; the five divide the rest by their own
    shares.
    """
    added = {source: _share(source, data) for source in (own_source(data), reasoning_source(data))}
    added = {source: share for source, share in added.items() if location_of(source, data)}
    published = {source: _share(source, data) for source in SOURCES}
    rest = 1 - sum(added.values())
    if rest < -1e-6:
        raise RequestError(f"{_listed(added)}: together more than 1. Lower one.")
    total = sum(published.values())
    if rest > 1e-6 and abs(total - 1) > 1e-6:
        raise RequestError(
            f"The shares of the five sources sum to {total:g}, not to 1: {_listed(published)}."
        )
    shares = {source: share * max(rest, 0) for source, share in published.items()} | added
    return {source: share for source, share in shares.items() if share > 1e-9}


def _share(source: Source, data: Data) -> float:
    return getattr(data, f"{source.name}_share")


def _listed(shares: dict[Source, float]) -> str:
    return ", ".join(f"data.{source.name}_share={share:g}" for source, share in shares.items())


def require_columns(source: Source, files: Sequence[Path]) -> None:
    """Refuses files that lack a column of the source, with the nearest one they have."""
    for file in files:
        there = read_columns(file)
        for names in source.columns:
            if not set(names) & set(there):
                close = difflib.get_close_matches(names[-1], there, n=1, cutoff=0.5)
                hint = f" Did you mean {close[0]}?" if close else ""
                raise RequestError(
                    f"{file} has no column {' or '.join(names)}, which {source.name} needs.{hint} It has"
                    f" {', '.join(there) or 'no column'}: {_remedy(source)}."
                )


def _remedy(source: Source) -> str:
    if source.name == "own":
        return "name its columns with data.own_user=COLUMN data.own_assistant=COLUMN"
    return f"rename one, or name another file with data.{source.name}=FILE"
