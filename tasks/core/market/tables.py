"""Tables as the world hands them out: parquet, CSV or CSV.gz, English or Korean headers, UTF-8 or
CP949.

Reads one file into an Arrow table with kospilot's column names; the values stay as they are in the
file.
"""

import re
from pathlib import Path

import pyarrow as pa
import pyarrow.csv as csv
import pyarrow.parquet as parquet

from tasks.core.errors import RequestError

HEADERS: dict[str, tuple[str, ...]] = {
    "date": ("date", "날짜", "일자", "기준일", "기준일자", "거래일", "trddd", "basdd"),
    "ticker": ("code", "ticker", "symbol", "종목코드", "단축코드", "isusrtcd"),
    "open": ("open", "시가", "시가원"),
    "high": ("high", "고가", "고가원"),
    "low": ("low", "저가", "저가원"),
    "close": ("close", "종가", "종가원", "현재가", "현재가종가"),
    "volume": ("volume", "거래량", "거래량주"),
    "market_cap": ("marcap", "marketcap", "시가총액", "시가총액원"),
    "pe_ratio": ("peratio", "per"),
    "pb_ratio": ("pbratio", "pbr"),
    "shares": ("stocks", "shares", "상장주식수", "상장주식수주"),
    "rsi_14": ("rsi14",),
    "sma_5": ("sma5",),
    "sma_10": ("sma10",),
    "sma_20": ("sma20",),
    "sma_60": ("sma60",),
}
"""Our column, then the headers it is known by, best first; compared without case, spaces and
punctuation.
"""

_BROKEN = (pa.ArrowException, OSError, UnicodeError)


def read_table(file: Path, needed: tuple[str, ...]) -> tuple[pa.Table, list[str]]:
    """The known columns of a table under our names, and the headers of those that are not used.

    Raises RequestError for a file that is absent, of another kind, damaged, or without a needed
    column.
    """
    if not file.is_file():
        raise RequestError(
            f"There is no file {file}. Give the path of a parquet, CSV or CSV.gz table."
        )
    try:
        headers = _headers(file)
        found = {ours: header for ours in HEADERS if (header := _header_of(ours, headers))}
        missing = [ours for ours in needed if ours not in found]
        if missing:
            raise RequestError(
                f"{file} has no column for {', '.join(missing)}: its headers are {', '.join(headers)[:300]}."
                f" Rename one to {' or '.join(missing)}.{_hint(missing, found)}"
            )
        table = _read(file, list(found.values()))
    except _BROKEN as error:
        reason = str(error).splitlines()[0]
        raise RequestError(
            f"{file} cannot be read ({reason}). It is damaged or another kind of file."
        ) from error
    unused = [header for header in headers if header and header not in found.values()]
    return table.select(list(found.values())).rename_columns(list(found)), unused


def _hint(missing: list[str], found: dict[str, str]) -> str:
    if "date" in missing and "shares" in found:
        return " A listing of share counts goes with --listing."
    return ""


def _headers(file: Path) -> list[str]:
    if _is_parquet(file):
        return parquet.read_schema(file).names
    with csv.open_csv(
        file, csv.ReadOptions(encoding=_encoding(file), block_size=1 << 20), _PARSING
    ) as reader:
        return reader.schema.names


def _read(file: Path, headers: list[str]) -> pa.Table:
    if _is_parquet(file):
        return parquet.read_table(file, columns=headers)
    # As text: a code read as a number loses its leading zeros.
    convert = csv.ConvertOptions(
        column_types=dict.fromkeys(headers, pa.string()), include_columns=headers
    )
    return csv.read_csv(file, csv.ReadOptions(encoding=_encoding(file)), _PARSING, convert)


_PARSING = csv.ParseOptions(newlines_in_values=True)


def _is_parquet(file: Path) -> bool:
    if file.name.endswith(".parquet"):
        return True
    if file.name.endswith((".csv", ".csv.gz")):
        return False
    raise RequestError(f"{file} is neither .parquet, .csv nor .csv.gz. Convert it to one of these.")


def _encoding(file: Path) -> str:
    """utf-8, or cp949 (Korean Windows) where the first bytes are no UTF-8."""
    with pa.input_stream(file) as stream:
        start = stream.read(1 << 16)
    try:
        start[: start.rfind(b"\n") + 1].decode("utf-8")
    except UnicodeDecodeError:
        return "cp949"
    return "utf-8"


def _header_of(ours: str, headers: list[str]) -> str | None:
    """The file's header for our column: the best known one it has."""
    plain = {re.sub(r"[^0-9a-z가-힣]", "", header.lower()): header for header in reversed(headers)}
    return next((plain[known] for known in HEADERS[ours] if known in plain), None)
