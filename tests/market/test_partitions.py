"""Months by number, and imports that run at once or are killed."""

import subprocess
import sys
import threading
from collections import Counter

import pyarrow.parquet as parquet
import pytest

from tasks.core.errors import RequestError
from tasks.core.market.check import check_market
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
    assert check_market(plain).errors == []


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
    assert snapshots(plain) == expected and check_market(plain).errors == []
    import_tables([source(tmp_path, "000270")], plain)
    assert [found.file.name for found in find_partitions(plain)] == ["data.parquet"] * 2
    assert {row["ticker"] for row in rows_of(plain)} == {*TICKERS, "000270"}
    assert check_market(plain).errors == []


def test_parquet_that_nothing_reads_is_named(tmp_path, plain):
    (plain / "year=2024/month=1/data.parquet").rename(plain / "january.parquet")
    assert "1 parquet files are not read, e.g. " in check_market(plain).warnings[0]
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
    code = (
        "import sys; from pathlib import Path; from tasks.core.market.folder import locked\n"
        "with locked(Path(sys.argv[1]), print): print('held', flush=True); sys.stdin.read()"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "m")]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    told, waiting = [], threading.Event()

    def progress(share, text):
        told.append(text)
        if text.startswith("waiting"):
            waiting.set()

    arguments = ([source(tmp_path, "005930")], tmp_path / "m", None, progress)
    thread = threading.Thread(target=import_tables, args=arguments)
    with subprocess.Popen(command, **pipes, text=True) as holder:
        assert holder.stdout.readline() == "held\n"
        thread.start()
        assert waiting.wait(30), told
        assert thread.is_alive()
        assert not find_partitions(tmp_path / "m")
    thread.join(30)
    assert f"waiting for the import or update that is writing {tmp_path / 'm'}" in told
    assert len(rows_of(tmp_path / "m")) == len(DAYS)


@pytest.mark.slow
def test_an_import_that_is_killed_leaves_whole_months(tmp_path):
    days, market = weekdays("2015-01-02", 2000), tmp_path / "m"
    expected = Counter((int(day[:4]), int(day[5:7])) for day in days)
    interrupted = 0
    for _ in range(2):
        before = len(find_partitions(market))
        with start_import(source(tmp_path, "005930", days), market) as child:
            while len(list(market.rglob("data.parquet"))) == before and child.poll() is None:
                pass
            child.kill()
        found = find_partitions(market)
        interrupted += before < len(found) < len(expected)
        for part in found:
            rows = parquet.read_table(part.file).num_rows
            assert rows == expected[part.year, part.month], part.file
    assert interrupted
    import_tables([source(tmp_path, "005930", days)], market)
    assert len(rows_of(market)) == len(days)
    assert not [file for file in market.rglob(".data*")]
