"""By which cap a stock counts in the market's return, and from which day the days count."""

from datetime import date

import pytest
from typer.testing import CliRunner

from flows.commands.market import app
from tasks.core.errors import RequestError
from tasks.core.market.artifact import build_market
from tasks.core.market.regimes import regimes_report
from tasks.core.market.snapshots import snapshots
from tasks.core.records.market_days import read_snapshots, read_stocks
from tasks.core.settings.profiles import load
from tasks.core.settings.tree import Market
from tests.market.folders import random_rows, weekdays, write_market

DAYS = weekdays("2024-01-02", 30)
WINNER, OTHER = "005930", "000660"


def two_stocks() -> list[dict]:
    """Returns days on which two stocks stand still, until one rises by 20 % on the last."""
    rows = []
    for day in DAYS:
        rose = day == DAYS[-1]
        for ticker in (WINNER, OTHER):
            close = 120.0 if rose and ticker == WINNER else 100.0
            row = {"date": date.fromisoformat(day), "ticker": ticker, "close": close}
            rows.append(row | {"market_cap": close * 10})
    return rows


def last_return(folder, weights):
    return snapshots(folder, weights=weights)[-1].return_pct


def test_a_day_is_weighted_by_the_caps_of_the_day_before(tmp_path):
    folder = write_market(tmp_path, two_stocks())
    assert last_return(folder, "previous_day") == 10.0, "half of the caps rose by 20 %"
    assert last_return(folder, "same_day") == pytest.approx(20 * 120 / 220, abs=0.005)


def test_a_cap_that_the_day_before_lacks_is_the_shares_at_its_close(tmp_path):
    rows = two_stocks()
    before = date.fromisoformat(DAYS[-2])
    late = [
        row | {"market_cap": None} if (row["date"], row["ticker"]) == (before, WINNER) else row
        for row in rows
    ]
    assert last_return(write_market(tmp_path / "late", late), "previous_day") == 10.0
    today = date.fromisoformat(DAYS[-1])
    gone = [row | {"market_cap": None} if row["date"] == today else row for row in rows]
    folder = write_market(tmp_path / "gone", gone)
    assert last_return(folder, "previous_day") == 10.0, "the caps of the day before are known"
    assert snapshots(folder, weights="same_day")[-1].date == DAYS[-2]


def test_a_halted_stock_resumes_with_the_cap_of_its_last_traded_day(tmp_path):
    rows = [row for row in two_stocks() if (str(row["date"]), row["ticker"]) != (DAYS[-2], WINNER)]
    assert last_return(write_market(tmp_path, rows), "previous_day") == 10.0


def test_the_weights_are_shown_and_chosen(tmp_path):
    folder = write_market(tmp_path / "m", two_stocks())
    assert regimes_report(folder, None, None, with_days=False)["weights"] == "previous_day"
    done = CliRunner().invoke(app, ["regimes", "--market", str(folder), "--weights", "same_day"])
    assert "market.weights=same_day" in done.stdout
    for weights in ("previous_day", "same_day"):
        out = tmp_path / weights
        settings = Market(weights=weights, train_until="latest-5")
        assert build_market(folder, settings, out)["weights"] == weights
        assert read_snapshots(out / "holdout")[-1].return_pct == last_return(folder, weights)


def test_a_start_leaves_out_the_days_before_it(tmp_path):
    days = weekdays("2024-01-02", 120)
    folder = write_market(tmp_path / "m", random_rows(days))
    whole, late = Market(), Market(start="2024-02-10")
    every = build_market(folder, whole, tmp_path / "whole")
    report = build_market(folder, late, tmp_path / "late")
    assert report["first"] == "2024-02-12" > every["first"]
    assert report["train_until"] == every["train_until"]
    for part in ("train", "holdout"):
        left = [day for day in read_snapshots(tmp_path / "whole" / part) if day.date >= late.start]
        assert read_snapshots(tmp_path / "late" / part) == left, "windows warm up on earlier days"
    stocks = read_stocks(tmp_path / "late" / "train")
    assert stocks == {
        day: known
        for day, known in read_stocks(tmp_path / "whole" / "train").items()
        if day >= late.start
    }


def test_a_start_that_leaves_no_day(tmp_path):
    folder = write_market(tmp_path / "m", random_rows(DAYS))
    with pytest.raises(RequestError, match="no trading day from 2031-01-01 to"):
        build_market(folder, Market(start="2031-01-01"), tmp_path / "out")


def test_a_start_that_is_no_date():
    with pytest.raises(RequestError, match="market.start=2016 is not a date.*2016-01-04"):
        load("demo", ["market.start=2016"])
