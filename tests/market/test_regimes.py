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
