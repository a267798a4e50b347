"""market: days that arrive while it reads are not stored under the key of the old ones."""

import pytest

from tasks.core.chain.produce import produce
from tasks.core.errors import WorkError
from tasks.core.market import artifact, oddities
from tasks.core.market.demo import generate_demo_market
from tasks.core.preflight.prepare import prepare
from tests.market.folders import random_rows, weekdays, write_market


def silent(share, text):
    """Nobody looks."""


def test_days_that_arrive_while_the_market_is_read_are_not_stored(tmp_path, monkeypatch):
    folder = tmp_path / "market"
    generate_demo_market(folder)
    run = prepare("demo", [f"market.dir={folder}"])
    newest = sorted(folder.rglob("data.parquet"))[-1]
    build = artifact.build_market

    def build_while_days_arrive(*arguments):
        metrics = build(*arguments)
        newest.write_bytes(newest.read_bytes() + b" ")
        return metrics

    monkeypatch.setattr(artifact, "build_market", build_while_days_arrive)
    message = "changed while this run read it. Run the same command again"
    with pytest.raises(WorkError, match=message):
        produce(run, "market", {}, silent)
    assert not run.store.manifests("market")


def test_what_distorts_the_days_is_told_at_plan_and_read_once(tmp_path, monkeypatch, caplog):
    days = weekdays("2024-01-02", 60)
    folder = write_market(tmp_path / "market", random_rows(days[:20] + days[40:]))
    told = f"{folder}: no day lies between {days[19]} and {days[40]}: `kospilot market check"
    prepare("demo", [f"market.dir={folder}"])
    assert told in caplog.text
    caplog.clear()
    monkeypatch.setattr(oddities, "measure_days", None)
    prepare("demo", [f"market.dir={folder}"])
    assert told in caplog.text


def test_a_market_that_cannot_be_measured_is_told_at_plan(tmp_path, caplog):
    folder = write_market(tmp_path / "market", random_rows(weekdays("2024-01-02", 3)))
    prepare("demo", [f"market.dir={folder}"])
    assert f"{folder} has no trading day that can be judged" in caplog.text
