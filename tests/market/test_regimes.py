"""How often each regime held: the report, and the command that prints it."""

import json

import pytest
from typer.testing import CliRunner

from flows.commands.market import app
from tasks.core.market.regimes import regimes_report
from tests.market.folders import random_rows, weekdays, write_market

DAYS = weekdays("2024-01-02", 90)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_market(tmp_path_factory.mktemp("markets") / "mine", random_rows(DAYS))


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


def test_the_regimes_command_prints_one_json_document(folder):
    done = CliRunner().invoke(
        app, ["regimes", "--market", str(folder), "--days", "--json", "--end", DAYS[40]]
    )
    report = json.loads(done.stdout)
    assert report["days"] == 36 == sum(report["counts"].values()) == len(report["snapshots"])
    assert (report["first"], report["last"], report["beyond_limit"]) == (DAYS[5], DAYS[40], 0)
    plain = json.loads(
        CliRunner().invoke(app, ["regimes", "--market", str(folder), "--json"]).stdout
    )
    assert "snapshots" not in plain and plain["days"] == 85


def test_the_regimes_table_warns_of_splits_in_raw_prices(tmp_path):
    rows = random_rows(DAYS[:30])
    for row in rows:
        if row["ticker"] == "005930" and row["date"].isoformat() >= DAYS[20]:
            row["close"] = row["close"] / 50
    folder = write_market(tmp_path / "m", rows)
    done = CliRunner().invoke(app, ["regimes", "--market", str(folder)])
    assert "25 days, 2024-01-09 to 2024-02-12" in done.stdout and "SHORT_TERM_STRESS" in done.stdout
    report = json.loads(
        CliRunner().invoke(app, ["regimes", "--market", str(folder), "--json"]).stdout
    )
    assert report["beyond_limit"] == 1


def test_a_gap_and_caps_in_another_unit_are_told(tmp_path):
    days = weekdays("2024-01-02", 60)
    rows = random_rows(days[:20] + days[40:])
    for row in rows:
        row["market_cap"] = row["close"] * (1e7 if row["date"].isoformat() < days[50] else 1e4)
    odd = regimes_report(write_market(tmp_path, rows), None, None, False)["odd"]
    assert odd == [
        f"no day lies between {days[19]} and {days[40]}",
        f"market caps change their unit on {days[50]}",
    ]


def test_every_gap_and_change_is_counted(tmp_path):
    days = weekdays("2024-01-02", 80)
    rows = random_rows(days[:20] + days[35:50] + days[65:])
    for row in rows:
        is_other = days[40] <= row["date"].isoformat() < days[45]
        row["market_cap"] = row["close"] * (1e9 if is_other else 1e6)
    odd = regimes_report(write_market(tmp_path, rows), None, None, False)["odd"]
    assert odd == [
        f"no day lies between {days[19]} and {days[35]} (the first of 2 gaps)",
        f"market caps change their unit on {days[40]} (the first of 2 such days)",
    ]


def test_a_weekend_is_told(tmp_path):
    days = [*weekdays("2024-01-02", 20), "2024-02-03", "2024-02-04"]
    odd = regimes_report(write_market(tmp_path, random_rows(days)), None, None, False)["odd"]
    assert odd == ["2024-02-03 is on a weekend (the first of 2 such days)"]


def test_a_split_and_the_longest_holidays_are_not_odd(tmp_path):
    days = weekdays("2024-01-02", 60)
    rows = random_rows(days[:20] + days[29:])  # KRX's longest pause were eleven days
    for row in rows:
        if row["ticker"] == "005930" and row["date"].isoformat() >= days[30]:
            row["close"] /= 60  # the cap stays: 60 shares for one
    assert regimes_report(write_market(tmp_path, rows), None, None, False)["odd"] == []
