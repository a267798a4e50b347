"""Tables as the world hands them out: parquet, CSV or CSV.gz, with English or Korean headers, in
UTF-8 or CP949.

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
"""Each of our columns, then the headers it is known by, best first. Headers are compared without
case, spaces and punctuation.
"""
_PARSING = csv.ParseOptions(newlines_in_values=True)
_UNREADABLE = (pa.ArrowException, OSError, UnicodeError)


def read_table(file: Path, needed: tuple[str, ...]) -> tuple[pa.Table, list[str]]:
    """Returns the known columns of a table under our names, and the headers that are not used.

    Raises RequestError if the file is absent, of another kind, damaged, or lacks a needed column.
    """
    if not file.is_file():
        raise RequestError(
            f"There is no file {file}. Give the path of a parquet, CSV or CSV.gz table."
        )
    try:
        headers = _read_headers(file)
        known = _known_headers(headers)
        _check_needed(file, headers, known, needed)
        table = _read_columns(file, list(known.values()))
    except _UNREADABLE as error:
        reason = str(error).splitlines()[0]
        raise RequestError(
            f"{file} cannot be read ({reason}). It is damaged or another kind of file."
        ) from error
    unused = [header for header in headers if header and header not in known.values()]
    return table.select(list(known.values())).rename_columns(list(known)), unused


def _known_headers(headers: list[str]) -> dict[str, str]:
    """Returns, for each of our columns that the file has, the best header it is known by."""
    by_plain: dict[str, str] = {}
    for header in headers:
        plain = re.sub(r"[^0-9a-z가-힣]", "", header.lower())
        by_plain.setdefault(plain, header)
    known = {}
    for column, names in HEADERS.items():
        present = [by_plain[name] for name in names if name in by_plain]
        if present:
            known[column] = present[0]
    return known


def _check_needed(
    file: Path, headers: list[str], known: dict[str, str], needed: tuple[str, ...]
) -> None:
    missing = [column for column in needed if column not in known]
    if not missing:
        return
    hint = ""
    if "date" in missing and "shares" in known:
        hint = " A listing of share counts goes with --listing."
    raise RequestError(
        f"{file} has no column for {', '.join(missing)}:"
        f" its headers are {', '.join(headers)[:300]}."
        f" Rename one to {' or '.join(missing)}.{hint}"
    )


def _read_headers(file: Path) -> list[str]:
    if _is_parquet(file):
        return parquet.read_schema(file).names
    reading = csv.ReadOptions(encoding=_encoding_of(file), block_size=1 << 20)
    with csv.open_csv(file, reading, _PARSING) as reader:
        return reader.schema.names


def _read_columns(file: Path, headers: list[str]) -> pa.Table:
    if _is_parquet(file):
        return parquet.read_table(file, columns=headers)
    # As text: a code read as a number loses its leading zeros.
    conversion = csv.ConvertOptions(
        column_types=dict.fromkeys(headers, pa.string()), include_columns=headers
    )
    reading = csv.ReadOptions(encoding=_encoding_of(file))
    return csv.read_csv(file, reading, _PARSING, conversion)


def _is_parquet(file: Path) -> bool:
    """Whether a table is parquet rather than CSV. Raises RequestError if it is neither."""
    if file.name.endswith(".parquet"):
        return True
    if file.name.endswith((".csv", ".csv.gz")):
        return False
    raise RequestError(f"{file} is neither .parquet, .csv nor .csv.gz. Convert it to one of these.")


def _encoding_of(file: Path) -> str:
    """Returns utf-8, or cp949 (Korean Windows) if the first bytes are no UTF-8."""
    with pa.input_stream(file) as stream:
        start = stream.read(1 << 16)
    whole_lines = start[: start.rfind(b"\n") + 1]
    try:
        whole_lines.decode("utf-8")
    except UnicodeDecodeError:
        return "cp949"
    return "utf-8"
