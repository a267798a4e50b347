"""The market's days against a plain Python reading of the rules, and every folder that must be
refused.
"""

import math
from datetime import date, timedelta
from pathlib import Path
from random import Random
from statistics import stdev

import pyarrow as pa
import pyarrow.parquet as parquet
import pytest

from tasks.core.errors import RequestError
from tasks.core.market.artifact import build_market
from tasks.core.market.folder import market_files
from tasks.core.market.regimes import regimes_report
from tasks.core.market.snapshots import snapshots
from tasks.core.market.split import train_until
from tasks.core.records.market_days import read_marks, read_snapshots, read_stocks
from tasks.core.settings.tree import Market

TICKERS = ("005930", "000660", "035420", "005380", "0126Z0", "068270", "105560")


def weekdays(first: str, count: int) -> list[str]:
    day, found = date.fromisoformat(first), []
    while len(found) < count:
        if day.weekday() < 5:
            found.append(day.isoformat())
        day += timedelta(days=1)
    return found


def random_rows(days: list[str], seed: int = 7) -> list[dict]:
    rows = []
    for ticker in TICKERS:
        rng, close = Random(f"{seed}/{ticker}"), 50_000.0
        for day in days:
            close = float(round(close * (1 + rng.gauss(0, 0.02))))
            values = {
                "open": close,
                "close": close,
                "volume": 1000,
                "market_cap": close * 1e6 * rng.randint(1, 9),
            }
            rows.append(
                {
                    "date": date.fromisoformat(day),
                    "ticker": ticker,
                    **values,
                    "pe_ratio": 0.0,
                    "pb_ratio": 1.234,
                }
            )
    return rows


def write_market(folder: Path, rows: list[dict]) -> Path:
    months: dict[tuple[int, int], list[dict]] = {}
    for row in rows:
        months.setdefault((row["date"].year, row["date"].month), []).append(row)
    for (year, month), part in months.items():
        file = folder / f"year={year}" / f"month={month}" / "data.parquet"
        file.parent.mkdir(parents=True, exist_ok=True)
        parquet.write_table(pa.Table.from_pylist(part), file)
    return folder


def expected_days(rows: list[dict]) -> list[tuple]:
    """Return, breadth, momentum, volatility by the letter of the definition."""
    closes: dict[str, float] = {}
    moves: list[tuple[str, float, float]] = []
    for day in sorted({row["date"] for row in rows}):
        changes = []
        for row in (row for row in rows if row["date"] == day):
            if row["ticker"] in closes:
                changes.append((row["close"] / closes[row["ticker"]] - 1, row["market_cap"]))
            closes[row["ticker"]] = row["close"]
        if changes:
            weighted = (
                100 * sum(change * cap for change, cap in changes) / sum(cap for _, cap in changes)
            )
            moves.append(
                (
                    day.isoformat(),
                    weighted,
                    100 * sum(change > 0 for change, _ in changes) / len(changes),
                )
            )
    found = []
    for position in range(4, len(moves)):
        last = [move for _, move, _ in moves[max(0, position - 9) : position + 1]]
        found.append((*moves[position], sum(last), stdev(last) * math.sqrt(252)))
    return found


def test_numbers_are_the_definitions(tmp_path):
    rows = random_rows(weekdays("2024-01-02", 60))
    found = snapshots(write_market(tmp_path, rows))
    expected = expected_days(rows)
    assert [day.date for day in found] == [row[0] for row in expected]
    assert len(found) == 60 - 1 - 4
    for day, (_, move, breadth, momentum, volatility) in zip(found, expected, strict=True):
        assert day.return_pct == pytest.approx(move, abs=0.00501)
        assert day.breadth_pct == pytest.approx(breadth, abs=0.0501)
        assert day.momentum_pct == pytest.approx(momentum, abs=0.00501)
        assert day.volatility_pct == pytest.approx(volatility, abs=0.00501)
        assert (day.return_pct, day.breadth_pct) == (
            round(day.return_pct, 2),
            round(day.breadth_pct, 1),
        )


def test_a_start_warms_up_on_earlier_days(tmp_path):
    days = weekdays("2024-01-02", 40)
    folder = write_market(tmp_path, random_rows(days))
    assert snapshots(folder, start=days[20], end=days[30]) == snapshots(folder)[20 - 5 : 31 - 5]


def test_ticker_forms_are_one_name(tmp_path):
    rows = random_rows(weekdays("2024-01-02", 30))
    plain = snapshots(write_market(tmp_path / "plain", rows))
    mixed = [
        {**row, "ticker": row["ticker"] + (" KP" if row["date"].month == 2 else "")} for row in rows
    ]
    assert snapshots(write_market(tmp_path / "mixed", mixed)) == plain


def test_a_halted_stock_has_no_return_and_resumes_from_its_last_price(tmp_path):
    rows = random_rows(weekdays("2024-01-02", 20))
    halted = {row["date"] for row in rows if date(2024, 1, 10) <= row["date"] <= date(2024, 1, 12)}
    traded = [row for row in rows if not (row["ticker"] == "005930" and row["date"] in halted)]
    carried = [
        {**row, "open": 0.0, "volume": 0}
        if row["ticker"] == "005930" and row["date"] in halted
        else row
        for row in rows
    ]
    assert snapshots(write_market(tmp_path / "halted", carried)) == snapshots(
        write_market(tmp_path / "gone", traded)
    )


def test_optional_columns_may_be_missing_in_some_partitions(tmp_path):
    rows = random_rows(weekdays("2024-01-02", 40))
    required = ("date", "ticker", "close", "market_cap")
    bare = [
        {name: row[name] for name in required} if row["date"].month == 2 else row for row in rows
    ]
    folder = write_market(tmp_path / "bare", bare)
    assert snapshots(folder) == snapshots(write_market(tmp_path / "full", rows))
    build_market(folder, Market(), tmp_path / "out")
    days = read_stocks(tmp_path / "out" / "train")
    assert {stock.pbr for stocks in days.values() for stock in stocks} >= {1.23}
    assert {stock.per for stocks in days.values() for stock in stocks} == {None}, (
        "PER 0 is no value"
    )


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


def test_no_look_ahead(tmp_path):
    """Whatever happens after T, no earlier day and no byte of the training part changes."""
    days = weekdays("2024-01-02", 200)
    rows = random_rows(days)
    build_market(write_market(tmp_path / "a", rows), Market(), tmp_path / "out_a")
    last = read_snapshots(tmp_path / "out_a" / "train")[-1].date
    rng = Random(1)
    shaken = [
        {
            **row,
            "close": row["close"] * rng.uniform(0.5, 2),
            "market_cap": row["market_cap"] * rng.uniform(0.1, 9),
        }
        if row["date"].isoformat() > last
        else row
        for row in rows
    ]
    build_market(write_market(tmp_path / "b", shaken), Market(), tmp_path / "out_b")
    longer = [
        *rows,
        *(
            row
            for row in random_rows(weekdays("2024-01-02", 205))
            if row["date"].isoformat() > days[-1]
        ),
    ]
    build_market(write_market(tmp_path / "c", longer), Market(train_until=last), tmp_path / "out_c")
    for name in ("snapshots.parquet", "stocks.parquet", "marks.json"):
        trained = (tmp_path / "out_a" / "train" / name).read_bytes()
        assert (tmp_path / "out_b" / "train" / name).read_bytes() == trained
        assert (tmp_path / "out_c" / "train" / name).read_bytes() == trained
    assert read_snapshots(tmp_path / "out_a" / "holdout") != read_snapshots(
        tmp_path / "out_b" / "holdout"
    )
    assert snapshots(tmp_path / "b", end=last) == snapshots(tmp_path / "a", end=last)


def test_build_market_says_what_it_made(tmp_path):
    days = weekdays("2024-01-02", 120)
    report = build_market(
        write_market(tmp_path / "m", random_rows(days)), Market(), tmp_path / "out"
    )
    train, holdout = (read_snapshots(tmp_path / "out" / part) for part in ("train", "holdout"))
    assert report["days"] == 115 == len(train) + len(holdout)
    assert report["train_until"] == train[-1].date < holdout[0].date
    assert sum(report["holdout"]["regimes"].values()) == len(holdout) >= 60
    stocks = read_stocks(tmp_path / "out" / "holdout")
    assert list(stocks) == [day.date for day in holdout]
    assert {stock.ticker for stock in stocks[holdout[0].date]} == set(TICKERS) - {"0126Z0"}, (
        "universe stocks only"
    )
    assert read_marks(tmp_path / "out" / "train") == {"generated": False, "market_cap_listings": []}


def test_regimes_report(tmp_path):
    folder = write_market(tmp_path, random_rows(weekdays("2024-01-02", 30)))
    report = regimes_report(folder, None, None, with_days=True)
    assert report["days"] == 25 == len(report["snapshots"]) == sum(report["counts"].values())
    assert report["snapshots"][0].keys() >= {
        "date",
        "return_pct",
        "breadth_pct",
        "momentum_pct",
        "volatility_pct",
        "regime",
    }
    assert "snapshots" not in regimes_report(folder, None, None, with_days=False)


def test_train_until_rules():
    days = weekdays("2024-01-02", 150)  # the 150th weekday is 2024-07-29
    assert train_until(days, "month") == "2024-04-30"
    assert train_until(days[:-20], "month") == "2024-03-29"
    assert train_until([*days, "2024-07-30"], "month") == "2024-04-30", (
        "one more day changes nothing"
    )
    assert train_until(days, "latest-10") == days[-11]
    assert train_until(days, "2024-03-10") == "2024-03-08", "a weekend means the day before it"
    assert train_until(days[:24], "month") == days[24 - 4 - 1], (
        "too short for 60 days: the last fifth"
    )
    assert train_until(days[:2], "month") == days[0]


@pytest.mark.parametrize(
    ("rule", "text"),
    [
        ("latest-150", "leaves no training day"),
        ("latest-0", "leaves no evaluation day"),
        ("2030-01-01", "leaves no evaluation day"),
        ("2020-01-01", "leaves no training day"),
        ("2024-13-01", "'2024-13-01' is not a date"),
        ("weekly", "neither a date (YYYY-MM-DD), `latest-N` nor `month`"),
    ],
)
def test_train_until_refusals(rule, text):
    with pytest.raises(RequestError) as refusal:
        train_until(weekdays("2024-01-02", 150), rule)
    assert text in str(refusal.value)


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


def test_no_trading_day(tmp_path):
    folder = write_market(tmp_path, random_rows(weekdays("2024-01-02", 5)))
    with pytest.raises(RequestError, match="has no trading day that can be judged"):
        snapshots(folder)
    with pytest.raises(RequestError, match="no trading day from 2030-01-01 to 9999-12-31"):
        snapshots(folder, start="2030-01-01")
    with pytest.raises(RequestError, match="'tomorrow' is not a date"):
        snapshots(folder, start="tomorrow")
