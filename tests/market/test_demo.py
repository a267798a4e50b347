"""The generated market: real codes, marked as invented, every regime, the same bytes each time."""

import pyarrow.parquet as parquet
import pytest

from tasks.core.errors import RequestError
from tasks.core.market.artifact import build_market
from tasks.core.market.demo import ensure_demo_market, generate_demo_market, on_tick
from tasks.core.market.folder import GENERATED, described_by, is_generated
from tasks.core.market.partitions import market_files
from tasks.core.records.market_days import read_marks
from tasks.core.settings.tree import Market
from tasks.core.strategy import universe
from tasks.core.strategy.rules import REGIMES
from tests.market.folders import contents


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("markets") / "demo"
    ensure_demo_market(folder)
    return folder


def test_every_regime_on_both_sides_of_t(folder, tmp_path):
    report = build_market(folder, Market(dir="demo"), tmp_path)
    assert all(
        report[part]["regimes"][regime] >= 1 for part in ("train", "holdout") for regime in REGIMES
    )
    assert report["universe_stocks"] == 40 and report["train"]["days"] > 400
    assert (
        read_marks(tmp_path / "train")["generated"]
        and read_marks(tmp_path / "holdout")["generated"]
    )


def test_it_is_marked_as_generated(folder):
    assert is_generated(folder) and described_by(folder) == [folder / GENERATED]
    assert "Invented prices" in (folder / GENERATED).read_text(encoding="utf-8")


def test_codes_are_the_universe_and_rows_are_sound(folder):
    for file in market_files(folder):
        for row in parquet.read_table(file).to_pylist():
            assert universe.find_stock(row["ticker"]) is not None
            if row["volume"]:
                assert (
                    row["low"]
                    <= min(row["open"], row["close"])
                    <= max(row["open"], row["close"])
                    <= row["high"]
                )
                assert on_tick(row["close"]) == row["close"]
            assert row["market_cap"] > 0 and row["pe_ratio"] >= 0 < row["pb_ratio"]


def test_the_same_seed_gives_the_same_bytes(folder, tmp_path):
    generate_demo_market(tmp_path / "again")
    assert contents(tmp_path / "again") == contents(folder)
    generate_demo_market(tmp_path / "other", seed=43)
    assert contents(tmp_path / "other") != contents(folder)


def test_another_number_of_stocks_is_no_demo_market(folder, tmp_path):
    other = tmp_path / "demo"
    generate_demo_market(other, count=4)
    assert build_market(other, Market(dir=str(other)), tmp_path / "out")["universe_stocks"] == 4
    ensure_demo_market(other)
    assert contents(other) == contents(folder)
    with pytest.raises(RequestError, match="--stocks 999: the universe has"):
        generate_demo_market(tmp_path / "more", count=999)


def test_a_damaged_demo_market_is_made_anew(folder, tmp_path):
    other = tmp_path / "demo"
    ensure_demo_market(other)
    file = market_files(other)[3]
    file.write_bytes(file.read_bytes()[:100])
    ensure_demo_market(other)
    assert contents(other) == contents(folder)


def test_a_real_market_is_never_replaced(tmp_path):
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(RequestError, match="is not empty and not a generated market"):
        generate_demo_market(tmp_path)
    assert (tmp_path / "mine.txt").read_text() == "mine"
