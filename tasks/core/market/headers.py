"""The headers under which the world's tables keep prices, and the units that stand in them.

Headers are compared without case, spaces and punctuation, Korean ones in either Unicode form.
"""

import re
import unicodedata
from dataclasses import dataclass
from pathlib import Path

from tasks.core.errors import RequestError

HEADERS: dict[str, tuple[str, ...]] = {
    "date": ("date", "날짜", "일자", "기준일", "기준일자", "거래일", "거래일자", "영업일자")
    + ("trddd", "basdd", "basdt", "stckbsopdate"),
    "ticker": ("code", "ticker", "symbol", "종목코드", "단축코드", "티커", "코드")
    + ("isusrtcd", "srtncd", "mkscshrniscd", "isucd"),
    "open": ("open", "시가", "오픈", "시가가격", "tddopnprc", "mkp", "stckoprc"),
    "high": ("high", "고가", "고가가격", "tddhgprc", "hipr", "stckhgpr"),
    "low": ("low", "저가", "저가가격", "tddlwprc", "lopr", "stcklwpr"),
    "close": ("close", "종가", "현재가", "현재가종가", "종가가격", "tddclsprc", "clpr", "stckclpr"),
    "volume": ("volume", "거래량", "누적거래량", "acctrdvol", "trqu", "acmlvol"),
    "market_cap": ("marcap", "marketcap", "시가총액", "mktcap", "mrkttotamt"),
    "pe_ratio": ("peratio", "per"),
    "pb_ratio": ("pbratio", "pbr"),
    "shares": ("stocks", "shares", "상장주식수", "listshrs", "lstgstcnt"),
    "rsi_14": ("rsi14",),
    "sma_5": ("sma5",),
    "sma_10": ("sma10",),
    "sma_20": ("sma20",),
    "sma_60": ("sma60",),
}
"""Each of our columns, then the headers it is known by, best first."""
UNITS = {
    "원": 1.0,
    "krw": 1.0,
    "won": 1.0,
    "주": 1.0,
    "천원": 1e3,
    "천주": 1e3,
    "만원": 1e4,
    "만주": 1e4,
    "백만": 1e6,
    "백만원": 1e6,
    "백만주": 1e6,
    "억": 1e8,
    "억원": 1e8,
    "십억": 1e9,
    "십억원": 1e9,
    "조": 1e12,
    "조원": 1e12,
}
"""The units that a header may end with, e.g. 시가총액(억원), in won or shares."""
MEASURED = ("open", "high", "low", "close", "volume", "market_cap", "shares")
"""The columns whose header may name a unit."""

_ADJUSTED = ("adjclose", "adjustedclose", "closeadj", "수정종가", "수정주가")
_CODE = re.compile(r"(?<![0-9A-Za-z])A?[0-9][0-9A-Z]{5}(?![0-9A-Za-z])")
_SHOWN = 300  # characters of a file's headers in a message


@dataclass(frozen=True)
class Header:
    """A column of a file: where it stands, what it is called, and its unit."""

    position: int
    name: str  # as in the file
    unit: float = 1.0  # won or shares that a cell's 1 stands for


def known_headers(file: Path, names: list[str]) -> dict[str, Header]:
    """Returns, for each of our columns that the file has, the best header it is known by.

    Raises RequestError if that header stands in the file twice: which one is meant is not known.
    """
    by_plain: dict[str, list[Header]] = {}
    for position, name in enumerate(names):
        plain, unit = _split_unit(_plain(name))
        by_plain.setdefault(plain, []).append(Header(position, name, unit))
    known = {}
    for column, spellings in HEADERS.items():
        present = [by_plain[plain] for plain in spellings if plain in by_plain]
        if not present:
            continue
        first, *others = present[0]
        if others:
            raise RequestError(
                f"{file} has more than one column for {column}: {first.name}"
                f" and {others[0].name}. Which one counts cannot be known: remove or rename one."
            )
        known[column] = first
    return known


def check_needed(
    file: Path, names: list[str], known: dict[str, Header], needed: tuple[str, ...]
) -> None:
    """Raises RequestError if the file has no header for a needed column; it shows the headers."""
    missing = [column for column in needed if column not in known]
    if not missing:
        return
    shown = ", ".join(names)[:_SHOWN]
    raise RequestError(
        f"{file} has no column for {', '.join(missing)}: its headers are {shown}."
        f" {_advice(names, known, missing)}"
    )


def check_prices(file: Path, names: list[str], known: dict[str, Header]) -> None:
    """Raises RequestError if the file has nothing that an import takes."""
    if {"close", "pe_ratio", "pb_ratio"} & known.keys():
        return
    adjusted = [name for name in names if _plain(name) in _ADJUSTED]
    hint = " Rename the column of closing prices to close."
    if adjusted:
        hint = f" Rename {adjusted[0]} to close if adjusted prices are what you want."
    raise RequestError(
        f"{file} has neither a close nor PER or PBR: there is nothing to import in it."
        f" Its headers are {', '.join(names)[:_SHOWN]}.{hint}"
    )


def count_known(names: list[str]) -> int:
    """Returns how many of a line's cells are headers that we know."""
    known = 0
    for name in names:
        plain, _ = _split_unit(_plain(name))
        known += any(plain in spellings for spellings in HEADERS.values())
    return known


def _advice(names: list[str], known: dict[str, Header], missing: list[str]) -> str:
    """Returns what to do about missing columns."""
    codes = [name for name in names if _CODE.search(name)]
    if codes:
        return (
            f"Codes stand in its header ({codes[0]}): write it long, one row per day and code,"
            " with columns date, ticker and close (pandas: melt or stack)."
        )
    if names[:1] == ["Price"]:
        return (
            "It is yfinance's table with codes in a second header row: write it long, with"
            " columns date, ticker and close (pandas: stack)."
        )
    if "date" in missing and "__index_level_0__" in names:
        return "Name the index: df.index.name = 'date' before it is written."
    if "date" in missing and "shares" in known:
        return (
            f"Rename one to {' or '.join(missing)}. A listing of share counts goes with --listing."
        )
    if missing == ["ticker"]:
        return "Rename one to ticker; if it is an index, put `index` into its file name."
    return f"Rename one to {' or '.join(missing)}."


def _plain(name: str) -> str:
    text = unicodedata.normalize("NFKC", name).lower()
    return re.sub(r"[^0-9a-z가-힣]", "", text).replace("단위", "")


def _split_unit(plain: str) -> tuple[str, float]:
    """Returns a header without the unit that it ends with, and the unit; 1 if it has none."""
    for column in MEASURED:
        for spelling in HEADERS[column]:
            unit = UNITS.get(plain.removeprefix(spelling))
            if plain.startswith(spelling) and unit is not None:
                return spelling, unit
    return plain, 1.0
