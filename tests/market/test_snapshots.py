"""The market's days against a plain Python reading of the rules."""

import math
from datetime import date
from statistics import stdev

import pytest

from tasks.core.errors import RequestError
from tasks.core.market.artifact import build_market
from tasks.core.market.snapshots import snapshots
from tasks.core.records.market import Snapshot
from tasks.core.records.market_days import read_stocks
from tasks.core.settings.tree import Market
from tests.market.folders import (
    changes_of_days,
    market_return,
    random_rows,
    weekdays,
    write_market,
)


def expected_days(rows: list[dict]) -> list[Snapshot]:
    """Returns the days by the letter of the definition, unrounded."""
    days = []
    moves: list[float] = []
    for day, changes in changes_of_days(rows).items():
        moves.append(market_return(changes))
        if len(moves) < 5:
            continue
        breadth = 100 * sum(change > 0 for change, _ in changes) / len(changes)
        volatility = stdev(moves[-10:]) * math.sqrt(252)
        days.append(Snapshot(day, moves[-1], breadth, sum(moves[-10:]), volatility))
    return days


def test_numbers_are_the_definitions(tmp_path):
    rows = random_rows(weekdays("2024-01-02", 60))
    days = snapshots(write_market(tmp_path, rows))
    assert len(days) == 60 - 1 - 4
    for day, expected in zip(days, expected_days(rows), strict=True):
        assert day.date == expected.date
        assert day.return_pct == pytest.approx(expected.return_pct, abs=0.00501)
        assert day.breadth_pct == pytest.approx(expected.breadth_pct, abs=0.0501)
        assert day.momentum_pct == pytest.approx(expected.momentum_pct, abs=0.00501)
        assert day.volatility_pct == pytest.approx(expected.volatility_pct, abs=0.00501)
        assert day.return_pct == round(day.return_pct, 2)
        assert day.breadth_pct == round(day.breadth_pct, 1)


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


def test_no_trading_day(tmp_path):
    folder = write_market(tmp_path, random_rows(weekdays("2024-01-02", 5)))
    with pytest.raises(RequestError, match="has no trading day that can be judged"):
        snapshots(folder)
    with pytest.raises(RequestError, match="no trading day from 2030-01-01 to 9999-12-31"):
        snapshots(folder, start="2030-01-01")
    with pytest.raises(RequestError, match="'tomorrow' is not a date"):
        snapshots(folder, start="tomorrow")
