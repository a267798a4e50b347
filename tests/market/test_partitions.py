"""Months by number, and imports that run at once or are killed."""

import os
import signal
import subprocess
import sys
import time

import pyarrow.parquet as parquet
import pytest

from tasks.core.errors import RequestError
from tasks.core.market.check import check_market
from tasks.core.market.folder import locked
from tasks.core.market.importer import import_tables
from tasks.core.market.partitions import find_partitions
from tasks.core.market.snapshots import snapshots
from tests.market.folders import TICKERS, random_rows, rows_of, weekdays, write_market, write_source

DAYS = weekdays("2024-01-02", 30)
IMPORT = (
    "import sys; from pathlib import Path; from tasks.core.market.importer import import_tables;"
)


def source(folder, ticker, days=DAYS):
    lines = [f"{day},{ticker},{100 + number},{10**12}\n" for number, day in enumerate(days)]
    return write_source(folder / f"{ticker}.csv", "date,ticker,close,marcap\n" + "".join(lines))


def start_import(file, market):
    code = f"{IMPORT} import_tables([Path(sys.argv[1])], Path(sys.argv[2]))"
    return subprocess.Popen([sys.executable, "-c", code, str(file), str(market)])


@pytest.fixture
def plain(tmp_path):
    return write_market(tmp_path / "m", random_rows(DAYS))


def test_a_month_counts_by_its_number(tmp_path, plain):
    expected = snapshots(plain)
    (plain / "year=2024/month=2").rename(plain / "year=2024/month=02")
    assert snapshots(plain) == expected
    import_tables([source(tmp_path, "000270")], plain)
    assert sorted(file.parent.name for file in plain.rglob("*.parquet")) == ["month=02", "month=1"]
    assert check_market(plain) == []


def test_two_spellings_of_a_month_are_refused_by_all_alike(tmp_path, plain):
    write_market(tmp_path / "other", random_rows(DAYS, seed=8))
    (tmp_path / "other/year=2024/month=2").rename(plain / "year=2024/month=02")
    prices = source(tmp_path, "000270")
    for read in (snapshots, check_market, lambda folder: import_tables([prices], folder)):
        with pytest.raises(RequestError, match="month=0?2 and .*month=0?2 are the same month"):
            read(plain)


def test_a_month_in_parts_is_read_and_joined(tmp_path, plain):
    expected = snapshots(plain)
    month = plain / "year=2024/month=2"
    table = parquet.read_table(month / "data.parquet")
    (month / "data.parquet").unlink()
    parquet.write_table(table.slice(0, 20), month / "part-00000-a.snappy.parquet")
    parquet.write_table(table.slice(20), month / "part-00001-a.snappy.parquet")
    for hidden in ("._part-00000-a.snappy.parquet", "_metadata.parquet", ".part.crc"):
        (month / hidden).write_bytes(b"not parquet")
    (month / ".ipynb_checkpoints").mkdir()
    (month / ".ipynb_checkpoints/part-checkpoint.parquet").write_bytes(b"not parquet")
    assert snapshots(plain) == expected and check_market(plain) == []
    import_tables([source(tmp_path, "000270")], plain)
    assert [found.file.name for found in find_partitions(plain)] == ["data.parquet"] * 2
    assert {row["ticker"] for row in rows_of(plain)} == {*TICKERS, "000270"}
    assert check_market(plain) == []


def test_parquet_that_nothing_reads_is_named(tmp_path, plain):
    (plain / "year=2024/month=1/data.parquet").rename(plain / "january.parquet")
    assert "1 parquet files are not read, e.g. " in check_market(plain)[0]
    other = tmp_path / "other"
    (other / "2024").mkdir(parents=True)
    (plain / "january.parquet").rename(other / "2024/01.parquet")
    with pytest.raises(RequestError, match="other parquet files.*kospilot market import .*01.parq"):
        snapshots(other)


@pytest.mark.slow
def test_four_imports_at_once_lose_no_row(tmp_path):
    tickers = ("005930", "000660", "005380", "035420")
    imports = [start_import(source(tmp_path, ticker), tmp_path / "m") for ticker in tickers]
    assert [child.wait(60) for child in imports] == [0] * 4
    rows = rows_of(tmp_path / "m")
    assert len(rows) == 4 * len(DAYS) and {row["ticker"] for row in rows} == set(tickers)


def test_an_import_waits_for_another_and_says_so(tmp_path):
    told = []
    with locked(tmp_path / "m", lambda share, text: told.append(text)):
        child = start_import(source(tmp_path, "005930"), tmp_path / "m")
        time.sleep(1.5)
        assert child.poll() is None
    assert child.wait(60) == 0 and not told


@pytest.mark.slow
def test_an_import_that_is_killed_leaves_whole_months(tmp_path):
    days = weekdays("2015-01-02", 2000)
    for delay in (0.6, 0.7, 0.8, 0.9, 1.0, 1.2):
        child = start_import(source(tmp_path, "005930", days), tmp_path / "m")
        time.sleep(delay)
        os.kill(child.pid, signal.SIGKILL)
        child.wait()
        for found in find_partitions(tmp_path / "m"):
            assert parquet.read_table(found.file).num_rows >= 1
    import_tables([source(tmp_path, "005930", days)], tmp_path / "m")
    assert len(rows_of(tmp_path / "m")) == len(days)
    assert not [file for file in (tmp_path / "m").rglob(".data*")]
