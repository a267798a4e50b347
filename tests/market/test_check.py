"""`market check`: what is wrong, what is odd, and where the universe's names differ from KRX's."""

import json
import re
from datetime import date

import pyarrow as pa
import pyarrow.parquet as parquet
import pytest
from typer.testing import CliRunner

from flows.commands.market import app
from tasks.core.errors import RequestError, WorkError
from tasks.core.market.check import check_market, check_names
from tasks.core.market.regimes import regimes_report
from tasks.core.market.snapshots import snapshots
from tasks.core.strategy import universe
from tests.files.test_foreign import POINTER
from tests.market.folders import random_rows, weekdays, write_market

DAYS = weekdays("2024-01-02", 45)
DAY, LATER = date.fromisoformat(DAYS[20]), date.fromisoformat(DAYS[21])
MANY = 12
"""Stocks of which some may be missing: with fewer, a day is never cut off."""


def many_rows() -> list[dict]:
    """Returns rows of MANY stocks, whose market caps are ten million shares."""
    rows = []
    for number in range(MANY):
        ticker = f"{100 + number * 10:06}"
        for row in random_rows(DAYS, seed=number)[: len(DAYS)]:
            close = row["close"]
            prices = {"high": close, "low": close, "market_cap": close * 1e7}
            rows.append(row | {"ticker": ticker} | prices)
    return rows


ROWS = many_rows()
CLOSES = {row["ticker"]: row["close"] for row in ROWS if row["date"] == DAY}


def changed(change) -> list[dict]:
    """Returns the rows of many stocks, each as `change` gives it; None is left out."""
    rows = (change(row) for row in ROWS)
    return [row for row in rows if row is not None]


def found(folder, rows):
    return check_market(write_market(folder, rows))


def test_a_sound_market(tmp_path):
    nothing = found(tmp_path, ROWS)
    assert nothing.errors == [] == nothing.warnings
    assert nothing.summary["rows"] == 45 * MANY and nothing.summary["last"] == DAYS[-1]


def on(day, **values):
    """Returns a change of all rows of a day."""
    return lambda row: row | values if row["date"] == day else row


def first_stock(**values):
    return lambda row: row | values if row["ticker"] == "000100" else row


def cap_in_eok_in_february(row):
    is_it = row["ticker"] == "000150" and row["date"].month == 2
    return row | {"market_cap": row["market_cap"] / 1e8} if is_it else row


def only_three_on(day):
    return lambda row: None if row["date"] == day and row["ticker"] > "000120" else row


def split(row):
    if row["ticker"] != "000100" or row["date"] < LATER:
        return row
    return row | {name: row[name] / 100 for name in ("open", "high", "low", "close")}


def repeated_last_prices(row):
    return row | {"close": CLOSES[row["ticker"]]} if row["date"] == LATER else row


ERRORS = {
    "a month without rows": (
        lambda row: None if row["date"].month == 2 else row,
        "gaps of more than two weeks.*: 1, e.g. 2024-01-31 to 2024-03-01. Import the days between",
    ),
    "one day": (lambda row: row if row["date"] == DAY else None, "the sixth: 1, e.g. 2024-01-30"),
    "five days": (lambda row: row if str(row["date"]) < DAYS[5] else None, "the sixth: 5,"),
    "no cap": (
        lambda row: row | {"market_cap": None},
        "no stock has a market cap.*: 540, e.g. 000100 on 2024-01-02. .*--listing",
    ),
    "no cap from a day on": (
        lambda row: row | {"market_cap": None} if row["date"] >= DAY else row,
        "days without a market return.*: 24, e.g. 2024-01-31",
    ),
    "the last day cut off": (
        only_three_on(date.fromisoformat(DAYS[-1])),
        rf"fewer than half of the stocks.*: 1, e.g. {DAYS[-1]} \(3 of 12\)",
    ),
    "the first day cut off": (
        only_three_on(date.fromisoformat(DAYS[0])),
        rf"fewer than half of the stocks.*: 1, e.g. {DAYS[0]} \(3 of 12\)",
    ),
    "a cap in 억 for a month": (
        cap_in_eok_in_february,
        r"change their unit.*: 2, e.g. 000150 on 2024-02-01.*시가총액\(억원\)",
    ),
    "caps in millions": (
        lambda row: row | {"market_cap": row["market_cap"] / 1e6},
        "fewer than 10,000 shares .*: 12, e.g. 000100 on 2024-01-02",
    ),
    "an impossible cap": (
        first_stock(market_cap=1e24),
        "more than 100,000 tn won: 45, e.g. 000100",
    ),
    "a cap beside which the others are nothing": (
        first_stock(market_cap=9e16),
        "one stock is more than nine tenths of the market's cap: 45, e.g. 000100 on 2024-01-02",
    ),
    "a split in raw prices": (
        split,
        r"moved by more than half a point .*: 1, e.g. 2024-01-31 \(-\d+.\d points\)",
    ),
    "a day that repeats the last prices": (
        repeated_last_prices,
        "hardly a close differs .*: 1, e.g. 2024-01-31. Leave out days without a market",
    ),
    "flat prices": (lambda row: row | {"close": 50_000.0}, "hardly a close differs .*: 44,"),
    "a close below 0": (on(DAY, close=-1.0), "a close below 0 .*: 12, e.g. 000100 on 2024-01-30"),
    "dollars": (
        lambda row: row | {"close": row["close"] / 1300 + 0.01},
        "half of them below 500.*dollars",
    ),
}


@pytest.mark.parametrize(("change", "words"), ERRORS.values(), ids=ERRORS)
def test_errors(tmp_path, change, words):
    errors = found(tmp_path, changed(change)).errors
    assert [error for error in errors if re.search(words, error)], errors


def test_days_on_which_krx_cannot_trade_are_errors(tmp_path):
    weekend = random_rows(["2024-01-06"])
    early = random_rows(["1955-12-30"])
    to_come = random_rows(["2099-01-02"])
    errors = "\n".join(found(tmp_path, ROWS + weekend + early + to_come).errors)
    assert "fall on a weekend: 7, e.g. 000660 on 2024-01-06 in " in errors
    assert "lie before KRX opened in 1956: 7" in errors and "lie in the future: 7" in errors


WARNINGS = {
    "a high a little below the close": (
        on(DAY, high=100.0),
        "a high below their low, open or close: 12, e.g. 000100 on 2024-01-30 in .*month=1/data",
    ),
    "a close that is missing": (on(DAY, close=None), "no close and are left out: 12"),
    "a close that is no number": (first_stock(close=float("nan")), "no close and are left out: 45"),
    "a negative volume": (first_stock(volume=-1), "a negative volume: 45"),
    "few caps": (
        lambda row: row | {"market_cap": None} if row["ticker"] <= "000110" else row,
        "rows without a market cap, .*: 90, e.g. 000100 on 2024-01-02",
    ),
    "some stocks are missing on a day": (
        lambda row: None if row["date"] == DAY and row["ticker"] > "000160" else row,
        r"fewer than four fifths .*: 1, e.g. 2024-01-30 \(7 of 12\)",
    ),
    "nine days without a row": (
        lambda row: None if "2024-02-05" <= str(row["date"]) <= "2024-02-12" else row,
        "gaps of more than eight days.*: 1, e.g. 2024-02-02 to 2024-02-13",
    ),
    "one stock stands still": (
        first_stock(close=50_000.0),
        "in which a traded ticker keeps one close: 2, e.g. 000100 in 2024-01",
    ),
    "caps of one day for all": (
        lambda row: row | {"market_cap": CLOSES[row["ticker"]] * 1e7},
        "stand still while the price moves.*: 528, e.g. 000100 on 2024-01-03",
    ),
    "a few stocks": (
        lambda row: row if row["ticker"] <= "000110" else None,
        "breadth says little: on no day more than: 2",
    ),
}


@pytest.mark.parametrize(("change", "words"), WARNINGS.values(), ids=WARNINGS)
def test_warnings(tmp_path, change, words):
    there = found(tmp_path, changed(change))
    assert there.errors == [] and there.summary["days"] >= 38
    assert [text for text in there.warnings if re.search(words, text)], there.warnings


def test_a_split_of_a_small_stock_is_a_warning(tmp_path):
    rows = [
        row | {"market_cap": row["market_cap"] / 900} if row["ticker"] == "000100" else row
        for row in changed(split)
    ]
    there = found(tmp_path, rows)
    assert there.errors == []
    assert there.warnings == [
        "returns beyond KRX's daily limit of 30 %: 1, e.g. 000100 on 2024-01-31 (-99.0 %)."
        " Splits and mergers in raw prices have them, and a new listing's first days."
    ]


def test_misplaced_and_repeated_rows(tmp_path):
    file = tmp_path / "year=2024" / "month=1" / "data.parquet"
    file.parent.mkdir(parents=True)
    row = {"date": date(2024, 1, 2), "ticker": "005930", "close": 10.0, "market_cap": 1e9}
    strange = row | {"date": date(2024, 2, 1), "ticker": "GOLD", "market_cap": -1.0}
    parquet.write_table(pa.Table.from_pylist([row, row, strange]), file)
    there = check_market(tmp_path)
    errors = "\n".join(there.errors)
    assert "lie in another month than their partition: 1, e.g. GOLD on 2024-02-01 in " in errors
    assert "rows that repeat a ticker's day: 1, e.g. 005930 on 2024-01-02 in " in errors
    assert "rows that have no six-character code: 1, e.g. GOLD" in errors
    assert "market cap below 0" in "\n".join(there.warnings)


def test_days_that_cannot_be_judged_are_left_out(tmp_path):
    for name, change, lost in (
        ("cut off", only_three_on(LATER), {str(LATER)}),
        ("repeated", repeated_last_prices, {str(LATER)}),
        ("gap", lambda row: None if row["date"].month == 2 else row, {"2024-03-01"}),
    ):
        folder = write_market(tmp_path / name, changed(change))
        report = regimes_report(folder, None, None, with_days=True)
        assert report["left_out"] == 1
        assert not lost & {day["date"] for day in report["snapshots"]}
        done = CliRunner().invoke(app, ["regimes", "--market", str(folder)])
        assert done.exit_code == 0


def test_caps_in_thousands_for_a_month_are_told(tmp_path):
    def in_thousands(row):
        is_it = row["ticker"] == "000150" and row["date"].month == 2
        return row | {"market_cap": row["market_cap"] / 1e3} if is_it else row

    folder = write_market(tmp_path, changed(in_thousands))
    assert "change their unit" in "".join(check_market(folder).errors)
    done = CliRunner().invoke(app, ["regimes", "--market", str(folder)])
    assert "market caps change their unit on 2024-02-01 (the first of 2" in done.output


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (cap_in_eok_in_february, r"2 market caps cannot be right, e.g. 000150 on 2024-02-01 \("),
        (
            first_stock(market_cap=1e24),
            r"45 market caps .*, e.g. 000100 on 2024-01-02 \(1e\+24 won",
        ),
    ],
)
def test_caps_that_cannot_be_right_are_no_weights(tmp_path, change, words):
    with pytest.raises(RequestError, match=f"{words}.*import those months again in won"):
        snapshots(write_market(tmp_path, changed(change)))


def test_a_day_in_the_future_is_not_judged(tmp_path):
    folder = write_market(tmp_path, ROWS + random_rows(["2099-01-05"]))
    with pytest.raises(RequestError, match="holds 2099-01-05, a day in the future"):
        snapshots(folder)
    assert snapshots(folder, end=DAYS[-1])[-1].date == DAYS[-1]


def test_a_file_that_cannot_be_read_hides_no_summary(tmp_path):
    folder = write_market(tmp_path, ROWS)
    cut = folder / "year=2024" / "month=2" / "data.parquet"
    cut.write_bytes(cut.read_bytes()[:-9])
    there = check_market(folder)
    assert len(there.errors) == 1 and "month=2/data.parquet cannot be read" in there.errors[0]
    assert "market as a whole was not looked at" in there.warnings[0]
    assert there.summary["partitions"] == 2 and there.summary["first"] == DAYS[0]


def test_one_reason_of_many_files_is_shown_once(tmp_path):
    rows = [{"day": row["date"], **row} for row in ROWS]
    folder = write_market(tmp_path, rows)
    for file in folder.rglob("*.parquet"):
        parquet.write_table(parquet.read_table(file).drop_columns(["date"]), file)
    [error] = check_market(folder).errors
    assert "month=1/data.parquet has no column date" in error
    assert error.endswith("(So it is with 2 more files.)")
    assert check_market(folder).summary == {"generated": False, "market_cap_listings": []}


def test_the_command_tells_all_and_fails_for_errors_alone(tmp_path):
    odd = write_market(tmp_path / "odd", changed(on(DAY, high=100.0)))
    done = CliRunner().invoke(app, ["check", str(odd)])
    assert done.exit_code == 0 and "- warning: rows that have a high below" in done.stdout
    assert "rows: 540" in done.stdout and "0 errors, 1" in " ".join(done.output.split())
    wrong = write_market(tmp_path / "wrong", changed(first_stock(market_cap=1e24)))
    done = CliRunner().invoke(app, ["check", str(wrong)])
    assert isinstance(done.exception, WorkError) and "2 errors, 0 warnings." in str(done.exception)
    assert "- error: rows that have a market cap" in done.stdout and "rows: 540" in done.stdout
    done = CliRunner().invoke(app, ["check", str(wrong), "--json"])
    assert json.loads(done.stdout).keys() == {"errors", "warnings", "summary"}


def test_names_beside_krx():
    listed = {entry.ticker: entry.name_ko for entry in (*universe.stocks(), *universe.etfs())}
    assert check_names(listed) == []
    listed["005930"], listed["114800"] = "삼성전자우", "KODEX  인버스"
    del listed["000660"]
    assert check_names(listed) == [
        "005930 삼성전자: KRX calls it 삼성전자우.",
        "000660 SK하이닉스: KRX lists no such code.",
    ]


def test_files_beside_the_months_are_looked_at(tmp_path):
    folder = write_market(tmp_path, ROWS)
    (folder / "index.parquet").write_text("PAR1")
    (folder / "MARKET.json").write_text(POINTER)
    errors = "\n".join(check_market(folder).errors)
    assert "index.parquet cannot be read" in errors
    assert "MARKET.json is a Git LFS pointer" in errors
