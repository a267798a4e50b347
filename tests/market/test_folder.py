"""Market folders as people have them: the plain one's snapshots, or a refusal naming the file."""

from datetime import UTC, date, datetime
from decimal import Decimal
from zoneinfo import ZoneInfo

import pyarrow as pa
import pyarrow.parquet as parquet
import pytest

from tasks.core.errors import RequestError, WorkError
from tasks.core.market.artifact import build_market
from tasks.core.market.check import check_market
from tasks.core.market.database import connect
from tasks.core.market.folder import write_parquet
from tasks.core.market.importer import import_tables
from tasks.core.market.partitions import market_files
from tasks.core.market.snapshots import snapshots
from tasks.core.records.market_days import read_stocks
from tasks.core.settings.tree import Market
from tests.market.folders import TICKERS, random_rows, weekdays, write_market, write_source

ROWS = random_rows(weekdays("2024-01-02", 60))
FEBRUARY = "year=2024/month=2/data.parquet"


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    return snapshots(write_market(tmp_path_factory.mktemp("plain"), ROWS))


def in_february(change) -> list[dict]:
    """The rows with those of one partition changed, so that partitions differ."""
    return [change(dict(row)) if row["date"].month == 2 else row for row in ROWS]


def at(day: date, zone) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=zone)


def test_each_connection_spills_to_a_place_of_its_own():
    with connect() as one, connect() as other:
        places = [
            connection.execute("SELECT current_setting('temp_directory')").fetchone()
            for connection in (one, other)
        ]
    assert places[0] != places[1]


SAME = {
    "ticker with its exchange": lambda row: row | {"ticker": row["ticker"].lower() + " KP"},
    "ticker padded": lambda row: row | {"ticker": f" {row['ticker']} "},
    "date as text": lambda row: row | {"date": row["date"].isoformat()},
    "date as text without hyphens": lambda row: row | {"date": f"{row['date']:%Y%m%d}"},
    "date as number": lambda row: row | {"date": int(f"{row['date']:%Y%m%d}")},
    "date as nanoseconds": lambda row: (
        row | {"date": int(at(row["date"], UTC).timestamp()) * 1_000_000_000}
    ),
    "date as seconds with a fraction": lambda row: (
        row | {"date": at(row["date"], ZoneInfo("Asia/Seoul")).timestamp()}
    ),
    "date as timestamp": lambda row: row | {"date": at(row["date"], None)},
    "date as timestamp in UTC": lambda row: row | {"date": at(row["date"], UTC)},
    "date as timestamp in Seoul": lambda row: (
        row | {"date": at(row["date"], ZoneInfo("Asia/Seoul"))}
    ),
    "numbers as integers": lambda row: (
        row | {name: int(row[name]) for name in ("open", "close", "market_cap")}
    ),
    "numbers as decimals": lambda row: (
        row | {name: Decimal(row[name]) for name in ("open", "close", "market_cap")}
    ),
    "numbers as text": lambda row: (
        row | {name: f"{row[name]:.0f}" for name in ("open", "close", "volume")}
    ),
    "columns in capitals": lambda row: {name.upper(): value for name, value in row.items()},
    "columns the other way round": lambda row: dict(reversed(row.items())),
    "columns that nobody knows": lambda row: (
        row | {"year": 1999, "analyst": "buy", "filename": "x"}
    ),
    "no optional columns": lambda row: {
        name: row[name] for name in ("date", "ticker", "close", "market_cap")
    },
}


@pytest.mark.parametrize("change", SAME.values(), ids=SAME)
def test_a_partition_of_another_schema_counts_as_well(tmp_path, plain, change):
    folder = write_market(tmp_path, [row for row in ROWS if row["date"].month != 2])
    file = folder / FEBRUARY
    file.parent.mkdir(parents=True)
    parquet.write_table(
        pa.Table.from_pylist([change(dict(row)) for row in ROWS if row["date"].month == 2]), file
    )
    assert snapshots(folder) == plain
    build_market(folder, Market(), tmp_path / "out")
    assert {
        stock.ticker for day in read_stocks(tmp_path / "out/train").values() for stock in day
    } <= set(TICKERS)


def test_days_that_are_numbers_everywhere_are_read_and_joined(tmp_path, plain):
    numbers = [row | {"date": int(f"{row['date']:%Y%m%d}")} for row in ROWS]
    folder = write_market(tmp_path / "m", ROWS)
    for file in market_files(folder):
        month = int(file.parent.name.removeprefix("month="))
        rows = [row for row in numbers if row["date"] // 100 % 100 == month]
        parquet.write_table(pa.Table.from_pylist(rows), file)
    assert snapshots(folder) == plain and check_market(folder).errors == []
    more = write_source(tmp_path / "more.csv", "date,code,close\n2024-02-01,000270,5000\n")
    import_tables([more], folder)
    assert snapshots(folder) == plain, "a stock without a market cap has no weight"
    assert check_market(folder).summary["tickers"] == len(TICKERS) + 1


def test_a_number_that_is_no_day_is_refused(tmp_path):
    folder = write_market(tmp_path, ROWS)
    rows = [row | {"date": 20241302} for row in ROWS[:3]]
    parquet.write_table(pa.Table.from_pylist(rows), folder / FEBRUARY)
    with pytest.raises(RequestError, match=f"{FEBRUARY} cannot be read .*'20241302' is no day"):
        snapshots(folder)


def test_codes_that_became_numbers_get_their_zeros_back(tmp_path):
    rows = [row for row in ROWS if row["ticker"].isdigit()]
    expected = snapshots(write_market(tmp_path / "plain", rows))
    for kind in (int, float):
        numbers = [row | {"ticker": kind(row["ticker"])} for row in rows]
        assert snapshots(write_market(tmp_path / kind.__name__, numbers)) == expected


def test_an_empty_partition_and_rows_without_values_count_for_nothing(tmp_path, plain):
    nothing = dict.fromkeys(("open", "close", "volume", "market_cap", "pe_ratio", "pb_ratio"))
    blank = [
        {"date": date(2024, 1, 10), "ticker": "207940", **nothing, "close": value}
        for value in (None, 0.0, -5.0)
    ]
    folder = write_market(tmp_path, [*ROWS, *blank[:1]])
    more = folder / "year=2023" / "month=12" / "data.parquet"
    more.parent.mkdir(parents=True)
    parquet.write_table(pa.Table.from_pylist(blank).slice(0, 0), more)
    assert snapshots(folder) == plain
    parquet.write_table(
        pa.Table.from_pylist([row | {"date": date(2023, 12, 29)} for row in blank]), more
    )
    assert snapshots(folder) == plain


def test_a_stock_without_market_cap_has_no_weight_and_no_vote(tmp_path):
    without = [row | {"market_cap": None} if row["ticker"] == "005930" else row for row in ROWS]
    gone = [row for row in ROWS if row["ticker"] != "005930"]
    assert snapshots(write_market(tmp_path / "a", without)) == snapshots(
        write_market(tmp_path / "b", gone)
    )


def test_ratios_that_are_no_numbers_are_no_values(tmp_path):
    rows = [row | {"pe_ratio": float("nan"), "pb_ratio": float("inf")} for row in ROWS]
    build_market(write_market(tmp_path / "m", rows), Market(), tmp_path / "out")
    assert {stock.per for day in read_stocks(tmp_path / "out/train").values() for stock in day} == {
        None
    }
    assert {stock.pbr for day in read_stocks(tmp_path / "out/train").values() for stock in day} == {
        None
    }


def test_a_day_given_twice_under_two_forms_of_its_ticker_names_both_files(tmp_path):
    folder = write_market(tmp_path, ROWS)
    misplaced = folder / "year=2024" / "month=5" / "data.parquet"
    misplaced.parent.mkdir(parents=True)
    again = next(row for row in ROWS if row["date"].month == 2 and row["ticker"] == "005930")
    parquet.write_table(pa.Table.from_pylist([again | {"ticker": "005930 KP"}]), misplaced)
    with pytest.raises(
        RequestError,
        match="005930 on 2024-02-01 is more than once in .*month=2/data.parquet and .*month=5/data",
    ):
        snapshots(folder)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda row: row | {"close": "59,000"}, "59,000"),
        (lambda row: row | {"date": "yesterday"}, "yesterday"),
        (lambda row: row | {"market_cap": {"won": 1.0}}, "STRUCT"),
        (lambda row: row | {"close": [row["close"]]}, r"DOUBLE\[\]"),
    ],
)
def test_a_partition_that_cannot_be_understood_is_named(tmp_path, change, reason):
    folder = write_market(tmp_path, in_february(lambda row: row))
    file = folder / FEBRUARY
    parquet.write_table(
        pa.Table.from_pylist([change(dict(row)) for row in ROWS if row["date"].month == 2]), file
    )
    with pytest.raises(
        RequestError, match=f"rows of .*{FEBRUARY} cannot be read.*{reason}.*import its month again"
    ):
        snapshots(folder)


def test_a_cut_off_needs_nothing_after_its_month(tmp_path, plain):
    folder = write_market(tmp_path, ROWS)
    broken = folder / "year=2024" / "month=3" / "data.parquet"
    broken.write_bytes(broken.read_bytes()[:-30])
    assert snapshots(folder, end="2024-02-29") == [day for day in plain if day.date <= "2024-02-29"]
    with pytest.raises(RequestError, match="month=3/data.parquet cannot be read as parquet"):
        snapshots(folder, end="2024-03-01")
    with pytest.raises(RequestError, match="no trading day from 0001-01-01 to 2019-12-31"):
        snapshots(folder, end="2019-12-31")


def test_stray_files_are_ignored(tmp_path):
    folder = write_market(tmp_path, random_rows(weekdays("2024-01-02", 30)))
    expected = snapshots(folder)
    for stray in (
        "notes.txt",
        "year=2024/month=1/data (1).parquet",
        "year=2024/month=1/.data.parquet.tmp",
    ):
        (folder / stray).write_bytes(b"not parquet")
    odd = folder / "year=2024" / "month=13" / "data.parquet"
    odd.parent.mkdir()
    odd.write_bytes(b"not parquet")
    assert snapshots(folder) == expected


def test_a_folder_that_is_not_there(tmp_path):
    with pytest.raises(
        RequestError, match="There is no market folder .*/absent.*kospilot market import"
    ):
        market_files(tmp_path / "absent")
    with pytest.raises(RequestError, match="holds no year=YYYY/month=M/data.parquet"):
        market_files(tmp_path)


def test_a_truncated_partition_is_named(tmp_path):
    folder = write_market(tmp_path, random_rows(weekdays("2024-01-02", 40)))
    file = folder / "year=2024" / "month=2" / "data.parquet"
    file.write_bytes(file.read_bytes()[:-50])
    with pytest.raises(
        RequestError, match="year=2024/month=2/data.parquet cannot be read as parquet"
    ):
        snapshots(folder)


def test_damage_inside_a_partition_is_refused(tmp_path):
    folder = write_market(tmp_path, random_rows(weekdays("2024-01-02", 40)))
    file = folder / "year=2024" / "month=2" / "data.parquet"
    whole = file.read_bytes()
    file.write_bytes(whole[:4] + bytes(len(whole) // 2) + whole[4 + len(whole) // 2 :])
    with pytest.raises(
        RequestError, match="rows of .*year=2024/month=2/data.parquet cannot be read"
    ):
        snapshots(folder)


def test_a_missing_column_is_named(tmp_path):
    rows = random_rows(weekdays("2024-01-02", 40))
    folder = write_market(
        tmp_path, [{k: v for k, v in row.items() if k != "market_cap"} for row in rows]
    )
    with pytest.raises(
        RequestError, match="month=1/data.parquet has no column market_cap.*--listing"
    ):
        snapshots(folder)


def test_values_of_another_kind_are_refused(tmp_path):
    rows = [{**row, "close": "many won"} for row in random_rows(weekdays("2024-01-02", 10))]
    with pytest.raises(
        RequestError, match="rows of .*month=1/data.parquet cannot be read.*many won"
    ):
        snapshots(write_market(tmp_path, rows))


def test_a_repeated_day_is_refused(tmp_path):
    rows = random_rows(weekdays("2024-01-02", 10))
    with pytest.raises(
        RequestError,
        match="005930 on 2024-01-09 is more than once in .*month=1/data.parquet; 1 rows",
    ):
        snapshots(write_market(tmp_path, [*rows, {**rows[5], "close": 1.0}]))


def test_a_file_that_cannot_be_written_is_named(tmp_path):
    table = pa.table({"close": [1.0]})
    file = tmp_path / "month=1" / "data.parquet"
    assert write_parquet(file, table) and not write_parquet(file, table)
    (tmp_path / "in_the_way").write_text("a file, not a folder")
    with pytest.raises(WorkError, match="in_the_way/data.parquet cannot be written .*make room"):
        write_parquet(tmp_path / "in_the_way" / "data.parquet", table)
    assert [path.name for path in file.parent.iterdir()] == ["data.parquet"]
