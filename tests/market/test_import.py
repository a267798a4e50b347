"""The import: what it reads, drops, derives and refuses."""

import gzip
from datetime import date

import pyarrow as pa
import pyarrow.parquet as parquet
import pytest

from tasks.core.errors import RequestError
from tasks.core.market.demo import generate_demo_market
from tasks.core.market.folder import DESCRIPTION
from tasks.core.market.importer import import_tables
from tasks.core.market.partitions import market_files
from tasks.core.market.stock_index import read_index
from tests.market.folders import contents, rows_of, write_source


def test_english_headers_raw_prices_and_market_caps(tmp_path):
    text = (
        "Date,Code,Name,Open,High,Low,Close,Volume,Marcap\n"
        "2024-01-02,005930,삼성전자,1,3,1,2,9,475194690980000\n"
    )
    packed = tmp_path / "marcap.csv.gz"
    packed.write_bytes(gzip.compress(text.encode()))
    report = import_tables([packed], tmp_path / "m")
    (row,) = rows_of(tmp_path / "m")
    assert row["ticker"] == "005930" and row["date"] == date(2024, 1, 2)
    assert [row[name] for name in ("open", "high", "low", "close", "volume")] == [1, 3, 1, 2, 9]
    assert row["market_cap"] == 475194690980000 and row["pe_ratio"] is None
    assert report["rows"] == 1
    assert report["dropped"] == report["derived"] == report["missing"] == {}


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp949"])
def test_korean_headers_and_numbers_as_downloaded(tmp_path, encoding):
    text = (
        '"","종목코드","종목명","현재가.종가.","시가총액.원.","일자","관리여부","PER","PBR"\n'
        '"1","005930","삼성전자","59,000",352217170450000,"2020-01-15","-","9.13","1.67"\n'
        '"2","000660","SK하이닉스","98,200","-","20200115","-","-","1.53"\n'
    )
    report = import_tables([write_source(tmp_path / "dirty.csv", text, encoding)], tmp_path / "m")
    second, first = rows_of(tmp_path / "m")
    assert (first["close"], first["market_cap"]) == (59000, 352217170450000)
    assert (first["pe_ratio"], first["pb_ratio"]) == (9.13, 1.67)
    assert (second["close"], second["market_cap"], second["pe_ratio"]) == (98200, None, None)
    assert second["date"] == date(2020, 1, 15)
    assert report["missing"] == {"market cap, of 1 tickers: no weight in the market's return": 1}


def test_what_is_dropped_is_counted_by_reason(tmp_path):
    text = (
        "Date,Code,Close,Marcap\n2024-01-02,005930,10,5\n2024-01-02,005930,11,5\nsoon,005930,12,5\n"
        "2024-01-03,KOSPI,12,5\n2024-01-03,005930,-,5\n2024-01-03,000660,0,5\n2024-01-03,5380,7,5\n"
    )
    report = import_tables([write_source(tmp_path / "a.csv", text)], tmp_path / "m")
    assert report["dropped"] == {
        "a.csv: no date, e.g. 'soon' in row 3": 1,
        "a.csv: no six-character code, e.g. 'KOSPI' in row 4": 1,
        "a.csv: no price, e.g. '-' in row 5": 2,
        "a.csv: repeated: the last row counts, e.g. '005930 on 2024-01-02' in row 1": 1,
    }
    assert report["derived"] == {"a.csv: leading zeros of the code restored": 1}
    assert (report["rows_read"], report["rows"]) == (7, 2)
    assert [(row["ticker"], row["close"]) for row in rows_of(tmp_path / "m")] == [
        ("005930", 11),
        ("005380", 7),
    ]


def test_a_listing_gives_market_caps_and_its_date_marks_them(tmp_path):
    listing = write_source(
        tmp_path / "listing_2026-03-20.csv", "Code,Name,Stocks\n005930,삼성전자,100\n"
    )
    prices = write_source(
        tmp_path / "p.csv", "Date,Code,Close\n2024-01-02,005930,10\n2024-01-02,000660,10\n"
    )
    folder = tmp_path / "m"
    report = import_tables([prices], folder, listing)
    assert report["derived"] == {"market cap = close x the shares of a listing (2026-03-20)": 1}
    assert report["listing"] == "1 of 2 tickers have a share count in it"
    assert report["missing"] == {"market cap, of 1 tickers: no weight in the market's return": 1}
    assert {row["ticker"]: row["market_cap"] for row in rows_of(folder)} == {
        "005930": 1000,
        "000660": None,
    }
    assert '"2026-03-20"' in (folder / DESCRIPTION).read_text(encoding="utf-8")
    given = write_source(
        tmp_path / "given.csv", "Date,Code,Close,Marcap\n2024-01-02,005930,10,1234\n"
    )
    assert import_tables([given], folder)["derived"] == {}
    assert import_tables([prices], folder, listing)["derived"] == {}, (
        "a given market cap is never replaced by a derived one"
    )
    assert {row["ticker"]: row["market_cap"] for row in rows_of(folder)}["005930"] == 1234


def test_shares_in_the_row_itself_give_the_market_cap(tmp_path):
    prices = write_source(tmp_path / "p.csv", "Date,Code,Close,Stocks\n2024-01-02,005930,10,7\n")
    assert import_tables([prices], tmp_path / "m")["derived"] == {
        "p.csv: market cap = close x the shares of the same row": 1
    }
    assert rows_of(tmp_path / "m")[0]["market_cap"] == 70


def test_a_second_table_joins_by_ticker_and_day(tmp_path):
    folder = tmp_path / "m"
    prices = (
        "date,ticker,open,close,market_cap\n"
        "2024-01-02,005930 KP,1,2,3\n"
        "2024-02-01,005930 KP,1,2,3\n"
    )
    import_tables([write_source(tmp_path / "p.csv", prices)], folder)
    values = "날짜,종목코드,PER,PBR\n2024-02-01,005930,8.5,1.1\n2024-02-02,005930,8.6,1.1\n"
    report = import_tables([write_source(tmp_path / "v.csv", values)], folder)
    assert report["dropped"] == {
        "v.csv: valuation without a price that day, e.g. 005930 on 2024-02-02": 1
    }
    assert (report["months_written"], report["months_unchanged"]) == (1, 0)
    assert [(row["close"], row["pe_ratio"], row["market_cap"]) for row in rows_of(folder)] == [
        (2, None, 3),
        (2, 8.5, 3),
    ]
    later = write_source(
        tmp_path / "later.csv", "Date,Code,Close\n2024-02-01,005930,4\n2024-02-05,005930,5\n"
    )
    import_tables([later], folder)
    assert [(row["close"], row["pe_ratio"]) for row in rows_of(folder)] == [
        (2, None),
        (4, 8.5),
        (5, None),
    ]


def test_the_same_import_again_changes_no_byte(tmp_path):
    listing = write_source(tmp_path / "listing.csv", "Code,Stocks\n005930,100\n")
    prices = write_source(
        tmp_path / "p.csv", "Date,Code,Close\n2024-01-02,005930,10.5\n2024-03-04,005930,11\n"
    )
    import_tables([prices], tmp_path / "m", listing)
    before = contents(tmp_path / "m")
    report = import_tables([prices], tmp_path / "m", listing)
    assert contents(tmp_path / "m") == before
    assert (report["months_written"], report["months_unchanged"]) == (0, 2)


@pytest.mark.parametrize(
    ("name", "content", "text"),
    [
        ("a.xlsx", b"PK", "is neither .parquet, .csv nor .csv.gz"),
        ("a.parquet", b"PAR1 but no", "cannot be read"),
        ("a.csv", b"", "a.csv is empty"),
        (
            "a.csv",
            b"Date,Close\n2024-01-02,1\n",
            "has no column for ticker: .*put `index` into its file name",
        ),
        (
            "listing.csv",
            b"Code,Name,Stocks\n005930,x,1\n",
            "no column for date.*listing of share counts goes with --list",
        ),
        ("a.csv", b"Date,Code,Open\n2024-01-02,005930,1\n", "neither a close nor PER or PBR"),
        (
            "a.csv",
            b"Date,Code,Close\n2024-01-02,005930\n",
            "line 2, has 2 fields, the header has 3",
        ),
        ("a.csv", b"Date,Code,Close\nsoon,005930,1\n", "Nothing to import into .*no date"),
        ("a.csv.gz", b"\x1f\x8bnot gzip", "cannot be read"),
    ],
)
def test_files_that_cannot_be_used(tmp_path, name, content, text):
    file = tmp_path / name
    file.write_bytes(content)
    with pytest.raises(RequestError, match=text):
        import_tables([file], tmp_path / "m")
    assert not (tmp_path / "m").exists()


def test_an_index_table_is_kept_for_the_plot(tmp_path):
    folder = tmp_path / "m"
    first = write_source(
        tmp_path / "kospi_index.csv",
        "Date,Close,Change\n2024-01-02,2600.5,0.1\n2024-01-03,2590,-\nsoon,1,-\n",
    )
    report = import_tables([first], folder)
    assert report["derived"] == {
        "kospi_index.csv: no tickers, kept as the index for `market plot`": 2
    }
    assert report["dropped"] == {
        "kospi_index.csv: index without a date or a close, e.g. 'soon' in row 3": 1
    }
    assert report["unused_columns"] == {"kospi_index.csv": "Change"} and report["index_days"] == 2
    later = write_source(
        tmp_path / "지수.csv", '일자,종가\n2024-01-03,"2,591.5"\n2024-01-04,2580\n'
    )
    prices = write_source(tmp_path / "p.csv", "Date,Code,Close\n2024-01-02,005930,10\n")
    assert import_tables([later, prices], folder)["index_days"] == 3
    closes = [(row["close"], row["source"]) for row in read_index(folder).to_pylist()]
    assert closes == [(2600.5, "kospi_index.csv"), (2591.5, "지수.csv"), (2580.0, "지수.csv")]
    before = contents(folder)
    import_tables([later], folder)
    assert contents(folder) == before


def test_absent_files_and_generated_markets(tmp_path):
    with pytest.raises(RequestError, match="There is no file .*/none.csv"):
        import_tables([tmp_path / "none.csv"], tmp_path / "m")
    generate_demo_market(tmp_path / "demo")
    prices = write_source(tmp_path / "p.csv", "Date,Code,Close\n2024-01-02,005930,10\n")
    with pytest.raises(RequestError, match="is a generated market"):
        import_tables([prices], tmp_path / "demo")


def test_a_month_that_would_lose_columns_or_is_damaged_stays(tmp_path):
    folder = tmp_path / "m"
    prices = write_source(tmp_path / "p.csv", "Date,Code,Close\n2024-01-02,005930,10\n")
    import_tables([prices], folder)
    (file,) = market_files(folder)
    whole = file.read_bytes()
    table = parquet.read_table(file)
    parquet.write_table(table.append_column("analyst_note", pa.array(["buy"])), file)
    with pytest.raises(RequestError, match="columns that an import would lose: analyst_note"):
        import_tables([prices], folder)
    file.write_bytes(whole[:-20])
    with pytest.raises(RequestError, match="month=1/data.parquet cannot be read as parquet"):
        import_tables([prices], folder)
