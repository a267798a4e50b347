"""KRX's prices, share counts and names through the public FinanceDataReader library, which the
extra `krx` brings.

Reads the network; changes nothing. What the library prints goes to stderr, so that results stay
alone on stdout.
"""

import sys
from collections.abc import Callable
from contextlib import redirect_stdout
from typing import Any

import pyarrow as pa

from tasks.core.errors import RequestError, WorkError

try:
    import FinanceDataReader as reader
except ImportError:
    reader = None

_PRICES = {
    "Date": "date",
    "Open": "open",
    "High": "high",
    "Low": "low",
    "Close": "close",
    "Volume": "volume",
}


def fetch_prices(ticker: str, first: str, last: str) -> pa.Table | None:
    """Daily prices, adjusted for splits, from first to last (YYYY-MM-DD); None where KRX knows no
    such days.
    """
    frame = _fetch(lambda: reader.DataReader(ticker, first, last), f"the prices of {ticker}")
    if frame.empty:
        return None
    table = pa.Table.from_pandas(frame.reset_index(), preserve_index=False)
    table = table.select(list(_PRICES)).rename_columns(list(_PRICES.values()))
    return table.append_column("ticker", pa.array([ticker] * table.num_rows))


def fetch_listing() -> pa.Table:
    """Every listed company's code, name and shares."""
    frame = _fetch(lambda: reader.StockListing("KRX"), "the listing")[["Code", "Name", "Stocks"]]
    return pa.Table.from_pandas(frame, preserve_index=False)


def fetch_names() -> dict[str, str]:
    """KRX's own name of every listed company and ETF, by code."""
    listing = fetch_listing()
    names = dict(zip(listing["Code"].to_pylist(), listing["Name"].to_pylist(), strict=True))
    etfs = _fetch(lambda: reader.StockListing("ETF/KR"), "the list of ETFs")
    return names | dict(zip(etfs["Symbol"], etfs["Name"], strict=True))


def _fetch(call: Callable[[], Any], what: str) -> Any:
    if reader is None:
        raise RequestError(
            "This reads KRX through FinanceDataReader, which is not installed: `uv sync --extra krx`."
        )
    try:
        with redirect_stdout(sys.stderr):
            return call()
    except Exception as error:  # the library lets through whatever requests, pandas and json raise
        first = error  # the library's own slips while it reports hide what went wrong before
        while first.__context__ is not None:
            first = first.__context__
        reason = f"{type(first).__name__}: {first}".splitlines()[0][:200]
        raise WorkError(
            f"KRX did not give {what} ({reason}). Is the network there? Nothing was changed: try again later."
        ) from error
