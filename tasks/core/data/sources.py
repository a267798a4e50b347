"""The five sources of Stage 1, in the order of reports and shares."""

import difflib
from collections.abc import Sequence
from pathlib import Path

from tasks.core.data.chat import Source
from tasks.core.data.fin_sentiment import FIN_SENTIMENT
from tasks.core.data.finance_instruct import FINANCE_INSTRUCT
from tasks.core.data.krx_won import KRX_WON
from tasks.core.data.sujet_finance import SUJET_FINANCE
from tasks.core.data.tables import read_columns
from tasks.core.data.trading_signals import TRADING_SIGNALS
from tasks.core.errors import RequestError
from tasks.core.settings import Data

SOURCES = (FINANCE_INSTRUCT, SUJET_FINANCE, KRX_WON, TRADING_SIGNALS, FIN_SENTIMENT)


def share_of(source: Source, data: Data) -> float:
    return getattr(data, f"{source.name}_share")


def wanted_sources(data: Data) -> list[Source]:
    """The sources with a share. Raises RequestError if the shares do not sum to 1."""
    shares = {source.name: share_of(source, data) for source in SOURCES}
    total = sum(shares.values())
    if abs(total - 1) > 1e-6:
        listed = ", ".join(f"data.{name}_share={share:g}" for name, share in shares.items())
        raise RequestError(f"The shares of the five sources sum to {total:g}, not to 1: {listed}.")
    return [source for source in SOURCES if shares[source.name] > 0]


def require_columns(source: Source, files: Sequence[Path]) -> None:
    """Refuses files that lack a column of the source, with the nearest one they have."""
    for file in files:
        there = read_columns(file)
        for names in source.columns:
            if not set(names) & set(there):
                close = difflib.get_close_matches(names[0], there, n=1, cutoff=0.5)
                hint = f" Did you mean {close[0]}?" if close else ""
                raise RequestError(
                    f"{file} has no column {' or '.join(names)}, which {source.name} needs.{hint} It has"
                    f" {', '.join(there) or 'no column'}: rename one, or name another file with"
                    f" data.{source.name}=FILE."
                )
