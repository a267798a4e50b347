"""KRX's prices, share counts and names, through the public FinanceDataReader library.

The extra `krx` brings the library. Reads the network; changes nothing. What the library prints goes
to stderr, so that results stay alone on stdout.
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

_PRICE_COLUMNS = {
    "Date": "date",
    "Open": "open",
    "High": "high",
    "Low": "low",
    "Close": "close",
    "Volume": "volume",
}


def fetch_prices(ticker: str, first: str, last: str) -> pa.Table | None:
    """Returns daily prices, adjusted for splits, from first to last (YYYY-MM-DD).

    None means that KRX knows no such days. Raises WorkError if what comes is no table of prices.
    """
    what = f"the prices of {ticker}"
    frame = _fetch(lambda: reader.DataReader(ticker, first, last), what)
    if frame is None or getattr(frame, "empty", False):
        return None
    if hasattr(frame, "reset_index"):  # a table, whose index holds the days
        frame = frame.rename_axis(index=frame.index.name or "Date").reset_index()
    table = _columns_of(frame, list(_PRICE_COLUMNS), what)
    table = table.rename_columns(list(_PRICE_COLUMNS.values()))
    return table.append_column("ticker", pa.array([ticker] * table.num_rows))


def fetch_listing() -> pa.Table:
    """Returns every listed company's code, name and number of shares."""
    frame = _fetch(lambda: reader.StockListing("KRX"), "the listing")
    return _columns_of(frame, ["Code", "Name", "Stocks"], "the listing")


def fetch_names() -> dict[str, str]:
    """Returns KRX's own name of every listed company and ETF, by code."""
    listing = fetch_listing()
    names = dict(zip(listing["Code"].to_pylist(), listing["Name"].to_pylist(), strict=True))
    frame = _fetch(lambda: reader.StockListing("ETF/KR"), "the list of ETFs")
    etfs = _columns_of(frame, ["Symbol", "Name"], "the list of ETFs")
    return names | dict(zip(etfs["Symbol"].to_pylist(), etfs["Name"].to_pylist(), strict=True))


def _columns_of(frame: Any, columns: list[str], what: str) -> pa.Table:
    """Returns these columns of what the library gave, which changes when KRX's pages do.

    Raises WorkError if one is missing, if there is no row, or if it is no table at all.
    """
    given = list(getattr(frame, "columns", []))
    missing = [column for column in columns if column not in given]
    if missing:
        raise WorkError(
            f"FinanceDataReader gave {what} without {', '.join(missing)}: it has"
            f" {', '.join(map(str, given)) or 'no columns'}. Nothing was changed: update the"
            " library, or import tables with `kospilot market import`."
        )
    if frame.empty:
        raise WorkError(
            f"FinanceDataReader gave {what} without a row. Nothing was changed: try again later."
        )
    try:
        return pa.Table.from_pandas(frame[columns], preserve_index=False)
    except pa.ArrowException as error:
        raise WorkError(
            f"FinanceDataReader gave {what} in a form that is not understood"
            f" ({str(error).splitlines()[0]}). Nothing was changed."
        ) from error


def _fetch(call: Callable[[], Any], what: str) -> Any:
    """Returns what a call of the library does.

    Raises RequestError if the library is absent, WorkError if the call fails.
    """
    if reader is None:
        raise RequestError(
            "This reads KRX through FinanceDataReader, which is not installed:"
            " `uv sync --extra krx`."
        )
    try:
        with redirect_stdout(sys.stderr):
            return call()
    except Exception as error:  # the library lets through whatever requests, pandas and json raise
        cause = _first_error(error)
        reason = f"{type(cause).__name__}: {cause}".splitlines()[0][:200]
        raise WorkError(
            f"KRX did not give {what} ({reason})."
            " Is the network there? Nothing was changed: try again later."
        ) from error


def _first_error(error: BaseException) -> BaseException:
    """Returns what went wrong first: the library's own slips while it reports that hide it."""
    while error.__context__ is not None:
        error = error.__context__
    return error
