"""The update: what it asks for, adds and restates."""

from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace

import pyarrow as pa
import pyarrow.parquet as parquet
import pytest

from tasks.core.errors import RequestError, WorkError
from tasks.core.market import krx
from tasks.core.market.demo import generate_demo_market
from tasks.core.market.partitions import market_files
from tasks.core.market.update import last_closed_day, update_market

LISTING = pa.table(
    {"Code": ["005930", "000660"], "Name": ["삼성전자", "SK하이닉스"], "Stocks": [100, 10]}
)


class Exchange:
    """Prices as a source gives them, and what it was asked for."""

    def __init__(self, closes: dict[str, dict[str, float]]) -> None:
        self.closes, self.asked = closes, []

    def __call__(self, ticker: str, first: str, last: str) -> pa.Table | None:
        days = {
            day: close for day, close in self.closes.get(ticker, {}).items() if first <= day <= last
        }
        if ticker in self.closes:
            self.asked.append((ticker, first, last))
        if not days:
            return None
        dates = [datetime.fromisoformat(day) for day in days]
        prices = {name: list(days.values()) for name in ("open", "high", "low", "close")}
        return pa.table(
            {"date": dates, **prices, "volume": [7] * len(days), "ticker": [ticker] * len(days)}
        )


def update(folder: Path, exchange: Exchange, last: str) -> dict:
    return update_market(folder, exchange, LISTING, last, lambda share, text: None)


def closes_of(folder: Path) -> dict[str, list[float]]:
    rows = [row for file in market_files(folder) for row in parquet.read_table(file).to_pylist()]
    return {
        ticker: [row["close"] for row in rows if row["ticker"] == ticker]
        for ticker in ("005930", "000660")
    }


def test_a_new_folder_is_filled_and_then_only_extended(tmp_path):
    exchange = Exchange(
        {"005930": {"2024-01-30": 10.0, "2024-01-31": 11.0}, "000660": {"2024-01-31": 5.0}}
    )
    report = update(tmp_path, exchange, "2024-01-31")
    assert (report["rows"], report["tickers"]) == (3, 2)
    assert report["derived"] == {"market cap = close x the shares of a listing (2024-01-31)": 3}
    exchange.closes["005930"]["2024-02-01"], exchange.asked = 12.0, []
    report = update(tmp_path, exchange, "2024-02-02")
    assert exchange.asked == [
        ("000660", "2024-01-31", "2024-02-02"),
        ("005930", "2024-01-31", "2024-02-02"),
    ]
    assert (report["rows"], report["months_written"]) == (1, 1)
    assert closes_of(tmp_path) == {"005930": [10.0, 11.0, 12.0], "000660": [5.0]}
    with pytest.raises(RequestError, match="every day up to 2024-02-02 already"):
        update(tmp_path, exchange, "2024-02-02")


def test_a_delisted_ticker_is_no_failure_of_the_source(tmp_path):
    exchange = Exchange({"005930": {"2024-01-31": 10.0}, "000660": {"2024-01-30": 5.0}})
    update(tmp_path, exchange, "2024-01-31")
    del exchange.closes["000660"]
    with pytest.raises(RequestError, match="every day up to 2024-01-31 already"):
        update(tmp_path, exchange, "2024-01-31")
    exchange.closes = {}
    with pytest.raises(WorkError, match="no prices of any ticker up to 2024-02-01"):
        update(tmp_path, exchange, "2024-02-01")


def test_a_split_restates_the_whole_history(tmp_path):
    exchange = Exchange({"005930": {"2024-01-30": 50.0, "2024-01-31": 55.0}})
    update(tmp_path, exchange, "2024-01-31")
    exchange.closes = {"005930": {"2024-01-30": 1.0, "2024-01-31": 1.1, "2024-02-01": 1.2}}
    update(tmp_path, exchange, "2024-02-01")
    assert closes_of(tmp_path)["005930"] == [1.0, 1.1, 1.2]


def test_nothing_changes_where_the_source_fails_or_the_market_is_generated(tmp_path):
    def failing(ticker, first, last):
        raise WorkError("no network")

    with pytest.raises(WorkError, match="no network"):
        update_market(tmp_path / "m", failing, LISTING, "2024-01-31", lambda share, text: None)
    assert not (tmp_path / "m").exists()
    generate_demo_market(tmp_path / "demo")
    with pytest.raises(RequestError, match="generated market"):
        update(tmp_path / "demo", Exchange({}), "2024-01-31")


def test_a_day_counts_once_its_prices_are_final():
    assert (
        last_closed_day(datetime(2024, 1, 31, 6, 59, tzinfo=UTC)) == "2024-01-30"
    )  # 15:59 in Seoul
    assert last_closed_day(datetime(2024, 1, 31, 7, 0, tzinfo=UTC)) == "2024-01-31"
    assert (
        last_closed_day(datetime(2024, 1, 31, 23, 0, tzinfo=UTC)) == "2024-01-31"
    )  # 8:00 on the next day


@pytest.mark.parametrize("given", ["<html>", ["2024-01-31"], 404])
def test_what_is_no_table_of_prices_is_named(monkeypatch, given):
    monkeypatch.setattr(krx, "reader", SimpleNamespace(DataReader=lambda *asked: given))
    with pytest.raises(WorkError, match="the prices of 005930 without Date.*it has no columns"):
        krx.fetch_prices("005930", "2024-01-31", "2024-01-31")


def test_without_the_library_the_error_says_how_to_get_it(monkeypatch):
    monkeypatch.setattr(krx, "reader", None)
    with pytest.raises(RequestError, match="uv sync --extra krx"):
        krx.fetch_listing()
