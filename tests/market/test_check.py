"""`market check`: what is wrong in a folder, and where the universe's names differ from KRX's."""

from datetime import date

import pyarrow as pa
import pyarrow.parquet as parquet
import pytest

from tasks.core.errors import RequestError
from tasks.core.market.check import check_market, check_names, summarize_market
from tasks.core.market.importer import import_tables
from tasks.core.market.snapshots import snapshots
from tasks.core.strategy import universe
from tests.files.test_foreign import POINTER
from tests.market.folders import random_rows, weekdays, write_market, write_source

DAY = "2024-01-02"


def test_check_names_what_is_wrong(tmp_path):
    text = "Date,Code,Open,High,Low,Close,Volume,Marcap\n"
    good = "".join(f"2024-01-{day:02},005930,10,12,9,11,5,100\n" for day in (2, 3, 4))
    folder = tmp_path / "m"
    import_tables([write_source(tmp_path / "p.csv", text + good)], folder)
    assert check_market(folder) == []
    assert summarize_market(folder)["rows"] == 3
    bad = "2024-01-06,005930,10,5,9,50,5,100\n2024-02-01,000660,10,12,9,11,5,100\n"
    import_tables([write_source(tmp_path / "q.csv", text + bad)], folder)
    cut = folder / "year=2024" / "month=2" / "data.parquet"
    cut.write_bytes(cut.read_bytes()[:-9])
    problems = "\n".join(check_market(folder))
    assert "month=2/data.parquet cannot be read as parquet" in problems
    assert (
        "1 rows have a high below their low, open or close, e.g. 005930 on 2024-01-06" in problems
    )
    assert "1 rows fall on a weekend" in problems
    assert (
        "1 returns are beyond KRX's daily limit of 30 %, e.g. 005930 on 2024-01-06 (354.5 %)"
        in problems
    )


def test_check_finds_misplaced_and_repeated_rows(tmp_path):
    file = tmp_path / "year=2024" / "month=1" / "data.parquet"
    file.parent.mkdir(parents=True)
    row = {"date": date(2024, 1, 2), "ticker": "005930", "close": 10.0, "market_cap": 5.0}
    strange = {**row, "date": date(2024, 2, 1), "ticker": "GOLD", "close": 0.0, "market_cap": -1.0}
    parquet.write_table(pa.Table.from_pylist([row, row, strange]), file)
    problems = "\n".join(check_market(tmp_path))
    for text in (
        "in another month than",
        "repeat a ticker's day, e.g. 005930 on 2024-01-02",
        "no six-character code, e.g. GOLD",
    ):
        assert text in problems
    assert "no close above 0" in problems and "market cap that is not above 0" in problems


def test_names_beside_krx():
    listed = {entry.ticker: entry.name_ko for entry in (*universe.stocks(), *universe.etfs())}
    assert check_names(listed) == []
    listed["005930"], listed["114800"] = "삼성전자우", "KODEX  인버스"
    del listed["000660"]
    assert check_names(listed) == [
        "005930 삼성전자: KRX calls it 삼성전자우.",
        "000660 SK하이닉스: KRX lists no such code.",
    ]


def test_what_no_file_alone_shows(tmp_path):
    text = (
        "date,code,close,marcap\n2024-01-02,005930,100,1e15\n2024-01-03,005930,101,1e7\n"
        "2024-02-01,005930,102,1e16\n2024-02-02,005930,103,\n"
    )
    import_tables([write_source(tmp_path / "t.csv", text)], tmp_path / "m")
    problems = "\n".join(check_market(tmp_path / "m"))
    assert "more than two weeks lie between two days" in problems
    assert "2024-01-03 and 2024-02-01" in problems
    assert "market caps change their unit" in problems and "005930 on 2024-01-03" in problems


def test_a_day_in_the_future_is_named_and_not_judged(tmp_path):
    rows = random_rows(weekdays("2099-01-05", 10))
    folder = write_market(tmp_path / "m", rows)
    assert "days lie in the future, e.g. 2099-01-05" in "\n".join(check_market(folder))
    with pytest.raises(RequestError, match="holds 2099-01-16, a day in the future"):
        snapshots(folder)


def test_dollars_and_a_market_without_weights_are_named(tmp_path):
    rows = [row | {"close": row["close"] / 1300 + 0.01} for row in random_rows(weekdays(DAY, 10))]
    dollars = write_market(tmp_path / "dollars", rows)
    assert "fractions below 500" in "\n".join(check_market(dollars))
    rows = [row | {"market_cap": None} for row in random_rows(weekdays(DAY, 10))]
    without = write_market(tmp_path / "without", rows)
    assert "no stock has a market cap" in "\n".join(check_market(without))


def test_files_beside_the_months_are_looked_at(tmp_path):
    folder = write_market(tmp_path, random_rows(weekdays("2024-01-02", 30)))
    assert check_market(folder) == []
    (folder / "index.parquet").write_text("PAR1")
    (folder / "MARKET.json").write_text(POINTER)
    problems = "\n".join(check_market(folder))
    assert "index.parquet cannot be read" in problems
    assert "MARKET.json is a Git LFS pointer" in problems
