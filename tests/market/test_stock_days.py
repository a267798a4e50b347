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
from tasks.core.records.market_days import read_stocks
from tasks.core.settings.tree import Market
from tests.market.folders import random_rows, weekdays, write_market

DAYS = weekdays("2023-01-02", 300)


def market_moves(rows: list[dict]) -> dict[str, float]:
    """The market's return of each day, unrounded, in %."""
    closes: dict[str, float] = {}
    moves = {}
    for day in sorted({row["date"] for row in rows}):
        pairs = []
        for row in (row for row in rows if row["date"] == day):
            if row["ticker"] in closes:
                pairs.append((row["close"] / closes[row["ticker"]] - 1, row["market_cap"]))
            closes[row["ticker"]] = row["close"]
        if pairs:
            moves[day.isoformat()] = (
                100 * sum(move * cap for move, cap in pairs) / sum(cap for _, cap in pairs)
            )
    return moves


def facts_of(rows: list[dict], tmp_path, ticker: str = "005930") -> dict[str, object]:
    write_days(write_market(tmp_path / "market", rows), tmp_path / "days")
    days = read_stocks(tmp_path / "days")
    return {
        day: stock for day, stocks in days.items() for stock in stocks if stock.ticker == ticker
    }


def test_facts_are_their_definitions(tmp_path):
    rows = random_rows(DAYS)
    facts, moves = facts_of(rows, tmp_path), market_moves(rows)
    closes = [row["close"] for row in rows if row["ticker"] == "005930"]
    for place in range(5, 300):
        fact = facts[DAYS[place]]
        last_20, last_60 = (
            closes[max(0, place - 19) : place + 1],
            closes[max(0, place - 59) : place + 1],
        )
        assert fact.sma_20 == (
            pytest.approx(sum(last_20) / len(last_20), abs=0.006) if place >= 14 else None
        )
        assert fact.sma_60 == (
            pytest.approx(sum(last_60) / len(last_60), abs=0.006) if place >= 44 else None
        )
        changes = {
            at: closes[at] / closes[at - 1] - 1 for at in range(max(1, place - 249), place + 1)
        }
        logs = [math.log(1 + changes[at]) for at in changes if at > place - 20]
        expected = 100 * stdev(logs) * math.sqrt(252)
        assert fact.volatility_pct == (
            pytest.approx(expected, abs=0.006) if len(logs) >= 15 else None
        )
        if len(changes) < 120:
            assert fact.beta is None
        else:
            slope = linear_regression(
                [moves[DAYS[at]] for at in changes], [100 * m for m in changes.values()]
            ).slope
            assert fact.beta == pytest.approx(slope, abs=0.006)
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
    """A stock that repeats the US return of the day before has correlation 1, one that foresees it
    has none.
    """
    us = [math.sin(1.7 * place * place) for place in range(300)]
    rows = [row for row in random_rows(DAYS) if row["ticker"] != "005930"]
    close = 1e9
    for place, day in enumerate(DAYS):
        close *= 1 + (us[place - 1] if place else 0) / 100
        known = {
            "open": close,
            "close": close,
            "volume": 1,
            "market_cap": 1e12,
            "pe_ratio": 9.0,
            "pb_ratio": 1.0,
        }
        rows.append({"date": date.fromisoformat(day), "ticker": "005930", **known})
    folder = write_market(tmp_path / "market", rows)
    write_us(folder, DAYS, us)
    facts = facts_of(rows, tmp_path)
    assert facts[DAYS[119]].us_correlation is None and facts[DAYS[120]].us_correlation == 1.0
    other = facts_of(rows, tmp_path, "000660")[DAYS[299]]
    closes = [row["close"] for row in rows if row["ticker"] == "000660"]
    own = [closes[at] / closes[at - 1] - 1 for at in range(50, 300)]
    assert other.us_correlation == pytest.approx(correlation(own, us[49:299]), abs=0.006)


def test_facts_do_not_look_ahead(tmp_path):
    rows = random_rows(DAYS)
    for name, kept in (("short", DAYS[:250]), ("long", DAYS)):
        known = [row for row in rows if row["date"].isoformat() in kept]
        folder = write_market(tmp_path / name, known)
        write_us(folder, list(kept), [math.cos(place) for place in range(len(kept))])
        build_market(folder, Market(train_until=DAYS[180]), tmp_path / f"out_{name}")
    short, long = tmp_path / "out_short", tmp_path / "out_long"
    for name in ("snapshots", "stocks", "macro"):
        file = f"train/{name}.parquet"
        assert (short / file).read_bytes() == (long / file).read_bytes()
    held = read_stocks(long / "holdout")
    assert all(held[day] == stocks for day, stocks in read_stocks(short / "holdout").items())
    assert any(stock.beta is not None for stock in held[DAYS[240]])
