"""market: days that arrive while it reads are not stored under the key of the old ones."""

import pytest

from tasks.core.chain.produce import produce
from tasks.core.errors import WorkError
from tasks.core.market import artifact
from tasks.core.market.demo import generate_demo_market
from tasks.core.preflight.prepare import prepare


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
