"""macro.parquet: what a day knew of it, which parts it lands in, and every file that is refused."""

from datetime import date

import pyarrow as pa
import pyarrow.parquet as parquet
import pytest

from tasks.core.errors import RequestError
from tasks.core.market.artifact import build_market
from tasks.core.market.check import check_market
from tasks.core.market.folder import described_by
from tasks.core.records.market_days import read_macro, read_snapshots
from tasks.core.settings.tree import Market
from tests.market.folders import random_rows, weekdays, write_market

DAYS = weekdays("2024-01-02", 120)


@pytest.fixture
def folder(tmp_path):
    return write_market(tmp_path / "market", random_rows(DAYS))


def write_macro(folder, **columns) -> None:
    parquet.write_table(pa.table(columns), folder / "macro.parquet")


def dates(days: list[str]) -> pa.Array:
    return pa.array([date.fromisoformat(day) for day in days])


def test_no_file_means_no_numbers(folder, tmp_path):
    assert build_market(folder, Market(), tmp_path / "out")["macro"] == []
    assert read_macro(tmp_path / "out" / "train") == {} == read_macro(tmp_path / "out" / "holdout")


def test_a_day_knows_korea_of_the_day_and_the_us_session_before(folder, tmp_path):
    count = list(range(len(DAYS)))
    write_macro(
        folder, date=dates(DAYS), vix=[10.0 + n for n in count], usdkrw=[1300 + n for n in count]
    )
    report = build_market(folder, Market(), tmp_path / "out")
    assert report["macro"] == ["vix", "usdkrw"]
    train, held = (read_macro(tmp_path / "out" / part) for part in ("train", "holdout"))
    assert list(train) == [day.date for day in read_snapshots(tmp_path / "out" / "train")]
    assert not train.keys() & held.keys() and len(train) + len(held) == 115
    assert train[DAYS[7]] == {"vix": 16.0, "usdkrw": 1307.0}, (
        "that day's US session ends after the Korean day"
    )
    assert described_by(folder) == [folder / "macro.parquet"], "a new macro file makes a new market"


def test_gaps_stay_gaps_and_old_us_sessions_do_not_count(folder, tmp_path):
    known = [DAYS[10], DAYS[11]]
    flows = pa.array([None, 250], pa.int64())
    write_macro(
        folder, date=pa.array(known), us_return_pct=[0.5, -1.234], foreign_net_buy_100m_krw=flows
    )
    build_market(folder, Market(), tmp_path / "out")
    macro = read_macro(tmp_path / "out" / "train")
    assert DAYS[10] not in macro, (
        "nothing is known on the first date: its US session comes after the day"
    )
    assert macro[DAYS[11]] == {"us_return_pct": 0.5, "foreign_net_buy_100m_krw": 250.0}
    assert macro[DAYS[12]] == {"us_return_pct": -1.23}
    assert max(macro) == max(
        day for day in DAYS if date.fromisoformat(day).toordinal() <= 7 + ordinal(DAYS[11])
    )


def ordinal(day: str) -> int:
    return date.fromisoformat(day).toordinal()


def test_the_future_changes_nothing_in_the_training_part(folder, tmp_path):
    until = DAYS[60]
    for name, shift in (("a", 0.0), ("b", 9.0)):
        values = [n + (shift if day > until else 0.0) for n, day in enumerate(DAYS)]
        write_macro(folder, date=dates(DAYS), vix=values, sentiment_pct=values)
        build_market(folder, Market(train_until=until), tmp_path / name)
    for file in ("macro.parquet", "stocks.parquet", "snapshots.parquet"):
        assert (tmp_path / "a" / "train" / file).read_bytes() == (
            tmp_path / "b" / "train" / file
        ).read_bytes()
    assert read_macro(tmp_path / "a" / "holdout") != read_macro(tmp_path / "b" / "holdout")


@pytest.mark.parametrize(
    ("columns", "text"),
    [
        (
            {"date": DAYS[:2], "vixx": [1.0, 2.0]},
            "a column 'vixx'. Did you mean vix. It needs date and any of vix, ",
        ),
        (
            {"date": DAYS[:2], "gold": [1.0, 2.0]},
            "a column 'gold'. It needs date and any of vix, usdkrw",
        ),
        ({"day": DAYS[:2], "vix": [1.0, 2.0]}, "a column 'day'"),
        ({"vix": [1.0, 2.0]}, "has the columns vix. It needs date"),
        ({"date": DAYS[:2]}, "has the columns date. It needs date and any of"),
        ({"date": DAYS[:2], "vix": ["15", "16"]}, "vix holds string, not numbers"),
        ({"date": DAYS[:2], "vix": pa.array([None, None], pa.float64())}, "vix holds no number"),
        (
            {"date": DAYS[:2], "vix": [1.0, float("nan")]},
            "vix holds nan. Leave a missing value empty",
        ),
        (
            {"date": [DAYS[0], DAYS[0]], "vix": [1.0, 2.0]},
            f"1 rows that repeat a date, e.g. {DAYS[0]}",
        ),
        ({"date": [DAYS[0], None], "vix": [1.0, 2.0]}, "1 rows without a date"),
        ({"date": ["soon", "later"], "vix": [1.0, 2.0]}, "Write dates as dates or YYYY-MM-DD"),
    ],
)
def test_files_that_are_refused(folder, tmp_path, columns, text):
    write_macro(folder, **columns)
    with pytest.raises(RequestError, match=text) as refusal:
        build_market(folder, Market(), tmp_path / "out")
    assert "macro.parquet" in str(refusal.value) and not (tmp_path / "out").exists()
    assert any(text.split(". ")[0] in problem for problem in check_market(folder).errors)


def test_a_cut_file_is_refused(folder, tmp_path):
    write_macro(folder, date=DAYS, vix=[15.0] * len(DAYS))
    file = folder / "macro.parquet"
    file.write_bytes(file.read_bytes()[:-9])
    with pytest.raises(RequestError, match="macro.parquet cannot be read as parquet"):
        build_market(folder, Market(), tmp_path / "out")
