"""The forms in which tables come: days, codes, numbers, headers, separators and encodings."""

from datetime import date

import pyarrow as pa
import pyarrow.parquet as parquet
import pytest

from tasks.core.errors import RequestError
from tasks.core.market.check import check_market
from tasks.core.market.importer import import_tables
from tests.market.folders import rows_of, weekdays, write_source

DAY = date(2024, 1, 2)
DAYS = [
    "2024-01-02",
    "20240102",
    "20240102.0",
    "2024/1/2",
    "2024. 01. 02.",
    "2024. 1. 2",
    "2024년 1월 2일",
    "2024-01-02(화)",
    "2024.01.02 화요일",
    "2024. 1. 2 오전 12:00:00",
    "2024-01-02 09:00",
    "2024-01-01T15:00:00Z",
    "2024-01-01 15:00+00",
    "2024-01-01 10:00:00-05:00",
    "45293",
    "20240102153000",
    "202401021530",
    "2.0240102e+07",
    "1704121200",
    "1704121200.0",
    "1704153600000",
    "1704153600000000",
    "1704153600000000000",
    "1.7041536e+18",
]
"""Ways to write the second of January 2024, in Seoul."""
CODES = [
    "005930",
    "A005930",
    "5930",
    "'005930",
    '"=""005930"""',
    "KRX:005930",
    "005930.KS",
    "005930 KP",
    "005930 KS Equity",
    "삼성전자(005930)",
    "KR7005930003",
]
"""Ways to write 005930."""


def imported(tmp_path, text, name="t.csv", encoding="utf-8"):
    """Imports a table; returns the rows that come of it and the report."""
    report = import_tables([write_source(tmp_path / name, text, encoding)], tmp_path / "m")
    return rows_of(tmp_path / "m"), report


def test_days(tmp_path):
    lines = [f"{day},{number:05}0,71300" for number, day in enumerate(DAYS, 10)]
    rows, report = imported(tmp_path, "\n".join(["date,code,close", *lines]))
    assert len(rows) == len(DAYS) and {row["date"] for row in rows} == {DAY}
    assert not report["dropped"]


@pytest.mark.parametrize(
    "day", ["24/01/02", "24.1.2", "01/02/2024", "0001-01-01", "2024-02-30", "240102", "20241302"]
)
def test_days_that_are_not_certain_are_refused_with_the_cell(tmp_path, day):
    with pytest.raises(RequestError, match=f"e.g. '{day}' in row 1"):
        imported(tmp_path, f"date,code,close\n{day},005930,71300\n")


@pytest.mark.parametrize(
    ("number", "day"),
    [
        (946_857_600, date(2000, 1, 3)),
        (946_857_600_000, date(2000, 1, 3)),
        (946_857_600_000_000, date(2000, 1, 3)),
        (946_857_600_000_000_000, date(2000, 1, 3)),
        (20_000_103, date(2000, 1, 3)),
        (20_000_103.0, date(2000, 1, 3)),
        (1_704_153_600e9, DAY),
    ],
)
def test_days_that_are_numbers(tmp_path, number, day):
    rows = {"date": [number], "ticker": ["005930"], "close": [71300.0]}
    parquet.write_table(pa.table(rows), tmp_path / "t.parquet")
    import_tables([tmp_path / "t.parquet"], tmp_path / "m")
    assert [row["date"] for row in rows_of(tmp_path / "m")] == [day]


@pytest.mark.parametrize(
    ("days", "words"),
    [
        (["2024-01-05", "2024-01-06", "2024-01-07"], "2 on weekends, e.g. 2024-01-06 in row 2"),
        (["2024-01-05", "2099-01-02"], "1 in the future, e.g. 2099-01-02 in row 2"),
        (["9999-12-31"], "1 in the future, e.g. 9999-12-31 in row 1"),
        (["2099-01-03"], "1 on weekends, 1 in the future, e.g. 2099-01-03 in row 1"),
    ],
)
def test_days_without_a_market_are_refused_unless_told(tmp_path, days, words):
    lines = [f"{day},005930,71300" for day in days]
    table = write_source(tmp_path / "t.csv", "\n".join(["date,code,close", *lines]))
    with pytest.raises(RequestError, match=f"t.csv has rows .*: {words}.*--allow-closed-days"):
        import_tables([table], tmp_path / "m")
    assert not (tmp_path / "m").exists()
    report = import_tables([table], tmp_path / "m", allow_closed_days=True)
    assert report["rows"] == len(days)


def test_krx_traded_on_saturdays_until_1998(tmp_path):
    rows, _ = imported(tmp_path, "date,code,close\n1998-12-05,005930,71300\n")
    assert rows[0]["date"] == date(1998, 12, 5)
    with pytest.raises(RequestError, match="1 on weekends"):
        imported(tmp_path, "date,code,close\n1998-12-12,005930,71300\n", name="later.csv")


def test_codes(tmp_path):
    days = weekdays("2024-01-02", len(CODES))
    lines = [f"{day},{code},71300" for day, code in zip(days, CODES, strict=True)]
    rows, _ = imported(tmp_path, "\n".join(["date,code,close", *lines]))
    assert [row["ticker"] for row in rows] == ["005930"] * len(CODES)


def test_codes_that_became_floats(tmp_path):
    rows, _ = imported(tmp_path, "date,code,close\n2024-01-02,5930.0,71300\n")
    assert rows[0]["ticker"] == "005930"


@pytest.mark.parametrize("code", ["KR7005931001", "삼성전자", "15.0", "KS11", "005930.T"])
def test_codes_that_are_not_certain_are_refused_with_the_cell(tmp_path, code):
    with pytest.raises(RequestError, match=f"no six-character code, e.g. '{code}' in row 1"):
        imported(tmp_path, f"date,code,close\n2024-01-02,{code},71300\n")


def test_a_float_among_codes_that_are_text_is_another_code(tmp_path):
    text = "date,code,close\n2024-01-02,005930,71300\n2024-01-02,12000.0,5\n"
    rows, report = imported(tmp_path, text)
    assert [row["ticker"] for row in rows] == ["005930"]
    assert report["dropped"] == {"t.csv: no six-character code, e.g. '12000.0' in row 2": 1}


@pytest.mark.parametrize(
    ("cell", "won"),
    [
        ("71300", 71300),
        ('"71,300"', 71300),
        ("71300원", 71300),
        ('"₩71,300"', 71300),
        ('"71,300 KRW"', 71300),
        ("7.13만", 71300),
    ],
)
def test_prices(tmp_path, cell, won):
    rows, _ = imported(tmp_path, f"date,code,close\n2024-01-02,005930,{cell}\n")
    assert rows[0]["close"] == pytest.approx(won)


@pytest.mark.parametrize(
    ("header", "cell", "won"),
    [
        ("시가총액", "450조 123억", 450_012_300_000_000),
        ("시가총액", '"4,500,123억원"', 450_012_300_000_000),
        ("시가총액(억원)", '"4,500,123"', 450_012_300_000_000),
        ("시가총액 (단위: 백만원)", "450012300", 450_012_300_000_000),
        ("시가총액[조]", "450.0123", 450_012_300_000_000),
    ],
)
def test_market_caps(tmp_path, header, cell, won):
    rows, _ = imported(tmp_path, f"일자,종목코드,종가,{header}\n2024-01-02,005930,71300,{cell}\n")
    assert rows[0]["market_cap"] == pytest.approx(won)


def test_a_cell_that_is_no_number_is_left_empty_and_shown(tmp_path):
    text = "date,code,close,per,marcap\n2024-01-02,005930,71300,-,much\n2024-01-02,000660,5,9,13\n"
    rows, report = imported(tmp_path, text.replace("9,13", '"9,13",13'))
    assert report["unreadable"] == {
        "t.csv: market_cap, e.g. 'much' in row 1": 1,
        "t.csv: pe_ratio, e.g. '9,13' in row 2": 1,
    }
    assert all(row["pe_ratio"] is None for row in rows)


def test_a_close_that_is_no_number_is_shown_where_the_row_has_a_ratio(tmp_path):
    text = f"date,code,close,per\n2024-01-02,005930,71300,9\n2024-01-03,005930,{'x' * 90},9\n"
    _, report = imported(tmp_path, text)
    assert report["unreadable"] == {f"t.csv: close, e.g. '{'x' * 40}' in row 2": 1}


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ('"date,code,close\n' + "2024-01-02,005930,71300\n" * 40, "'\"date,code,close'"),
        ("\n" * 31 + "date,code,close\n2024-01-02,005930,71300\n", "'date,code,close'"),
    ],
    ids=["open quote", "blank lines"],
)
def test_a_table_without_a_header_at_its_start_is_refused(tmp_path, text, told):
    with pytest.raises(RequestError) as refusal:
        imported(tmp_path, text)
    start = f"{tmp_path / 't.csv'} has no header in its first 30 lines: it begins with {told}."
    assert str(refusal.value).startswith(start)


def test_the_separator_of_unknown_headers_is_found_under_blank_lines(tmp_path):
    with pytest.raises(RequestError, match="Tag, Kürzel, Schluss"):
        imported(tmp_path, "\n\nTag;Kürzel;Schluss\n2024-01-02;005930;71300\n")


def test_signs_of_change_are_left_out_where_the_file_writes_plus(tmp_path):
    text = "date,code,close,stocks\n2024-01-02,005930,+71300,2\n2024-01-03,005930,-71200,2\n"
    rows, _ = imported(tmp_path, text)
    assert [(row["close"], row["market_cap"]) for row in rows] == [
        (71300, 142600),
        (71200, 142400),
    ]
    text = "date,code,close\n2024-01-02,005930,71300\n2024-01-03,005930,-71200\n"
    _, report = imported(tmp_path, text, "plain.csv")
    assert report["dropped"] == {"plain.csv: negative price, e.g. '-71200' in row 2": 1}


@pytest.mark.parametrize(
    ("encoding", "separator"),
    [
        ("utf-8-sig", ","),
        ("cp949", ","),
        ("cp949", ";"),
        ("utf-16", "\t"),
        ("utf-16-le", "\t"),
        ("utf-8", "|"),
    ],
)
def test_separators_encodings_and_lines_above_the_header(tmp_path, encoding, separator):
    lines = ["일별시세", "조회일: 2024-01-03", "", "일자,종목코드,종가", "2024-01-02,005930,71300"]
    text = "\r\n".join(lines).replace(",", separator)
    rows, report = imported(tmp_path, text, "T.CSV", encoding)
    assert [row["close"] for row in rows] == [71300]
    assert report["lines_above_header"] == {"T.CSV": "일별시세 / 조회일: 2024-01-03"}


def test_korean_text_far_behind_the_start(tmp_path):
    plain = "2024-01-02,005930,71300,x\n" * 4000
    rows, report = imported(
        tmp_path, f"date,code,close,name\n{plain}2024-01-03,삼성(005930),5,삼성\n", encoding="cp949"
    )
    assert [row["close"] for row in rows] == [71300, 5]
    assert (
        report["dropped"][
            "t.csv: repeated: the last row counts, e.g. '005930 on 2024-01-02' in row 1"
        ]
        == 3999
    )


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("date,code,close,Close\n2024-01-02,005930,1,2\n", "more than one column for close"),
        ("date,code,adj close\n2024-01-02,005930,1\n", "Rename adj close to close"),
        ("date,005930,000660\n2024-01-02,1,2\n", "Codes stand in its header"),
        ("날짜,시가,종가\n2024-01-02,1,2\n", "its headers are 날짜, 시가, 종가"),
        ("date,code,close\n2024-01-02,005930,1,\n", "line 2, has 4 fields.*the line's end"),
        ("date,code,close\n2024-01-02,005930,1\n# end\n", "line 3, has 1 field.*'# end'"),
        ("version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "Git LFS pointer"),
        ("<!DOCTYPE html><p>403</p>", "is a web page"),
        ("PK\x03\x04 a workbook", "Excel workbook"),
        ("date,code,close,volume\n2024-01-02,005930,1,18446744073709551615\n", "volume holds"),
    ],
)
def test_refusals_say_what_is_odd(tmp_path, text, words):
    with pytest.raises(RequestError, match=words):
        imported(tmp_path, text)


@pytest.mark.parametrize("name", ["pykrx_005930.csv", "kospi_005930.csv", "krx_prices.csv"])
def test_a_stock_without_its_code_is_no_index(tmp_path, name):
    with pytest.raises(RequestError, match="no column for ticker"):
        imported(tmp_path, "date,close\n2024-01-02,71300\n", name)


def test_closes_that_no_index_reaches_are_a_stock_s(tmp_path):
    with pytest.raises(RequestError, match="closes up to 71,300, which no index has"):
        imported(tmp_path, "date,close\n2024-01-02,71300\n", "kospi_samsung.csv")


def test_half_floats_are_refused_and_bytes_are_text(tmp_path):
    table = {"date": [DAY], "ticker": pa.array([b"005930"]), "close": [71300]}
    parquet.write_table(pa.table(table), tmp_path / "bytes.parquet")
    assert import_tables([tmp_path / "bytes.parquet"], tmp_path / "m")["rows"] == 1
    table["close"] = pa.array([1.5], pa.float16())
    parquet.write_table(pa.table(table), tmp_path / "half.parquet")
    with pytest.raises(RequestError, match="half.parquet: close holds half floats"):
        import_tables([tmp_path / "half.parquet"], tmp_path / "m")


def test_a_file_of_few_bytes_and_many_rows_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr("tasks.core.market.source_tables.MOST_ROWS", 1000)
    rows = {"date": [DAY] * 1001, "ticker": ["005930"] * 1001, "close": [1.0] * 1001}
    parquet.write_table(pa.table(rows), tmp_path / "many.parquet")
    with pytest.raises(RequestError, match="more than 1,000 rows"):
        import_tables([tmp_path / "many.parquet"], tmp_path / "m")


def test_a_partition_and_a_macro_file_of_too_many_rows_are_refused(tmp_path, monkeypatch):
    imported(tmp_path, "date,code,close,marcap\n2024-01-02,005930,1,1\n2024-01-03,005930,1,1\n")
    monkeypatch.setattr("tasks.core.market.macro.MOST_ROWS", 1)
    rows = {"date": [DAY, DAY], "vix": [15.0, 15.0]}
    parquet.write_table(pa.table(rows), tmp_path / "m/macro.parquet")
    assert "macro.parquet holds 2 rows." in check_market(tmp_path / "m").errors[0]
    monkeypatch.setattr("tasks.core.market.partitions.MOST_ROWS", 1)
    assert "data.parquet holds 2 rows; no month" in check_market(tmp_path / "m").errors[0]


def test_a_git_lfs_pointer_among_the_months_is_named(tmp_path):
    imported(tmp_path, "date,code,close,marcap\n2024-01-02,005930,1,1\n")
    pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n"
    (tmp_path / "m/year=2024/month=1/data.parquet").write_text(pointer)
    assert "is a Git LFS pointer" in check_market(tmp_path / "m").errors[0]
