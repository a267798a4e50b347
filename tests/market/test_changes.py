"""What is told of a market that has changed: days added, history revised, days gone."""

import pyarrow.parquet as parquet
import pytest

from tasks.core.market.artifact import build_market
from tasks.core.market.changes import tell_changes
from tasks.core.settings.tree import Market
from tests.market.folders import random_rows, weekdays, write_market

DAYS = weekdays("2024-01-02", 120)
SETTINGS = Market(train_until="latest-10")


@pytest.fixture
def artifact(tmp_path):
    """An artifact of all days but the last two."""
    build_market(market_of(tmp_path / "before", DAYS[:-2]), SETTINGS, tmp_path / "artifact")
    return tmp_path / "artifact"


def market_of(folder, days, **revised):
    """A market of these days; revised: date -> its closes are multiplied."""
    rows = [row for row in random_rows(DAYS) if row["date"].isoformat() in days]
    for row in rows:
        row["close"] *= revised.get(row["date"].isoformat(), 1)
    return write_market(folder, rows)


@pytest.mark.parametrize(
    ("days", "revised", "told"),
    [
        (DAYS[:-2], {}, "no day changed"),
        (DAYS, {}, f"2 days added ({DAYS[-2]} to {DAYS[-1]})"),
        (DAYS[:-1], {}, f"1 day added ({DAYS[-2]})"),
        (DAYS[:-5], {}, f"3 days gone ({DAYS[-5]} to {DAYS[-3]})"),
    ],
)
def test_days_that_came_and_went_are_told(artifact, tmp_path, days, revised, told):
    folder = market_of(tmp_path / "now", days, **revised)
    assert tell_changes(artifact, folder, SETTINGS) == told


def test_a_revised_price_is_told_with_the_days_that_it_moves(artifact, tmp_path):
    folder = market_of(tmp_path / "now", DAYS[:-1], **{DAYS[100]: 1.01})
    told = tell_changes(artifact, folder, SETTINGS)
    added, revised = told.split("; ")
    assert added == f"1 day added ({DAYS[-2]})"
    assert "days of history revised" in revised and f"({DAYS[100]} to " in revised


def test_an_artifact_of_another_version_counts_as_revised(artifact, tmp_path):
    for part in ("train", "holdout"):
        file = artifact / part / "stocks.parquet"
        parquet.write_table(parquet.read_table(file).drop_columns("beta"), file)
    folder = market_of(tmp_path / "now", DAYS[:-2])
    assert "of history revised" in tell_changes(artifact, folder, SETTINGS)
