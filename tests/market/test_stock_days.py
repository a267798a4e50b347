"""A stock's facts against a plain Python reading of their definitions: windows, given values, no
look-ahead.
"""

import math
from datetime import date
from statistics import correlation, linear_regression, stdev

import pyarrow as pa
import pyarrow.parquet as parquet
import pytest

from tasks.core.market.artifact import build_market, write_days
from tasks.core.records.market import StockDay
from tasks.core.records.market_days import read_stocks
from tasks.core.settings.tree import Market
from tests.market.folders import (
    changes_of_days,
    market_return,
    random_rows,
    weekdays,
    write_market,
)

DAYS = weekdays("2023-01-02", 300)


def facts_of(rows: list[dict], tmp_path, ticker: str = "005930") -> dict[str, StockDay]:
    """Returns what the market artifact says of a ticker, by day."""
    write_days(write_market(tmp_path / "market", rows), tmp_path / "days")
    days = read_stocks(tmp_path / "days")
    facts = {}
    for day, stocks in days.items():
        for stock in stocks:
            if stock.ticker == ticker:
                facts[day] = stock
    return facts


def mean_or_none(closes: list[float], fewest: int) -> object:
    """Returns what a mean of the closes must be: none if there are too few of them."""
    if len(closes) < fewest:
        return None
    return pytest.approx(sum(closes) / len(closes), abs=0.006)


def volatility_or_none(changes: list[float]) -> object:
    """Returns what the volatility in % a year of at most 20 returns must be."""
    if len(changes) < 15:
        return None
    logs = [math.log(1 + change) for change in changes]
    return pytest.approx(100 * stdev(logs) * math.sqrt(252), abs=0.006)


def beta_or_none(moves: list[float], changes: list[float]) -> object:
    """Returns what the beta must be: the slope of a stock's returns over the market's."""
    if len(changes) < 120:
        return None
    slope = linear_regression(moves, [100 * change for change in changes]).slope
    return pytest.approx(slope, abs=0.006)


def test_facts_are_their_definitions(tmp_path):
    rows = random_rows(DAYS)
    facts = facts_of(rows, tmp_path)
    moves = [market_return(changes) for changes in changes_of_days(rows).values()]
    closes = [row["close"] for row in rows if row["ticker"] == "005930"]
    changes = [closes[day] / closes[day - 1] - 1 for day in range(1, 300)]
    for day in range(5, 300):
        fact = facts[DAYS[day]]
        year = slice(max(0, day - 250), day)
        assert fact.sma_20 == mean_or_none(closes[max(0, day - 19) : day + 1], 15)
        assert fact.sma_60 == mean_or_none(closes[max(0, day - 59) : day + 1], 45)
        assert fact.volatility_pct == volatility_or_none(changes[max(0, day - 20) : day])
        assert fact.beta == beta_or_none(moves[year], changes[year])
        assert fact.us_correlation is None, "no macro.parquet says what the US did"


def test_given_averages_win(tmp_path):
    rows = [{**row, "sma_20": 1234.5, "sma_60": None} for row in random_rows(DAYS[:70])]
    last = facts_of(rows, tmp_path)[DAYS[69]]
    assert last.sma_20 == 1234.5 and last.sma_60 > 10_000


def test_a_halt_is_no_day_of_the_window(tmp_path):
    rows = random_rows(DAYS[:40])
    for row in rows:
        if row["ticker"] == "005930" and row["date"].isoformat() in DAYS[20:30]:
            row.update(open=0.0, volume=0)
    facts = facts_of(rows, tmp_path)
    traded = [row["close"] for row in rows if row["ticker"] == "005930" and row["open"]]
    assert DAYS[25] not in facts
    assert facts[DAYS[39]].sma_20 == pytest.approx(sum(traded[-20:]) / 20, abs=0.006)


def test_a_market_cap_from_a_later_listing_is_a_weight_only(tmp_path):
    rows = random_rows(DAYS[:20])
    marked = [
        {**row, "market_cap_listing": "2026-03-20" if row["ticker"] == "005930" else None}
        for row in rows
    ]
    assert facts_of(marked, tmp_path / "a")[DAYS[19]].market_cap is None
    assert facts_of(rows, tmp_path / "b")[DAYS[19]].market_cap == rows[19]["market_cap"]


def write_us(folder, days: list[str], returns: list[float]) -> None:
    dates = pa.array([date.fromisoformat(day) for day in days])
    parquet.write_table(
        pa.table({"date": dates, "us_return_pct": returns}), folder / "macro.parquet"
    )


def test_us_correlation_is_with_the_session_before(tmp_path):
    """A stock that repeats the US return of the day before has a correlation of 1."""
    us = [math.sin(1.7 * day * day) for day in range(300)]
    rows = [row for row in random_rows(DAYS) if row["ticker"] != "005930"]
    close = 1e9
    for day, before in zip(DAYS, [0.0, *us[:-1]], strict=True):
        close *= 1 + before / 100
        rows.append(
            {
                "date": date.fromisoformat(day),
                "ticker": "005930",
                "open": close,
                "close": close,
                "volume": 1,
                "market_cap": 1e12,
                "pe_ratio": 9.0,
                "pb_ratio": 1.0,
            }
        )
    folder = write_market(tmp_path / "market", rows)
    write_us(folder, DAYS, us)
    facts = facts_of(rows, tmp_path)
    assert facts[DAYS[119]].us_correlation is None and facts[DAYS[120]].us_correlation == 1.0
    other = facts_of(rows, tmp_path, "000660")[DAYS[299]]
    closes = [row["close"] for row in rows if row["ticker"] == "000660"]
    own = [closes[day] / closes[day - 1] - 1 for day in range(50, 300)]
    assert other.us_correlation == pytest.approx(correlation(own, us[49:299]), abs=0.006)


def test_facts_do_not_look_ahead(tmp_path):
    rows = random_rows(DAYS)
    for name, kept in (("short", DAYS[:250]), ("long", DAYS)):
        known = [row for row in rows if row["date"].isoformat() in kept]
        folder = write_market(tmp_path / name, known)
        write_us(folder, list(kept), [math.cos(day) for day in range(len(kept))])
        build_market(folder, Market(train_until=DAYS[180]), tmp_path / f"out_{name}")
    short, long = tmp_path / "out_short", tmp_path / "out_long"
    for name in ("snapshots", "stocks", "macro"):
        file = f"train/{name}.parquet"
        assert (short / file).read_bytes() == (long / file).read_bytes()
    held = read_stocks(long / "holdout")
    assert all(held[day] == stocks for day, stocks in read_stocks(short / "holdout").items())
    assert any(stock.beta is not None for stock in held[DAYS[240]])
