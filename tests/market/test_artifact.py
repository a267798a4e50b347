"""The market artifact: what it says of itself, and that its training part knows no later day."""

from random import Random

from tasks.core.market.artifact import build_market
from tasks.core.market.snapshots import snapshots
from tasks.core.records.market_days import read_marks, read_snapshots, read_stocks
from tasks.core.settings.tree import Market
from tests.market.folders import TICKERS, random_rows, weekdays, write_market


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
