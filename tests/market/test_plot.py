"""The market's picture, also through the command: what is drawn and what is refused."""

from datetime import date

import numpy as np
import pyarrow as pa
import pyarrow.parquet as parquet
import pytest
from matplotlib.image import imread
from typer.testing import CliRunner

from flows.commands.market import app
from tasks.core.errors import RequestError, WorkError
from tasks.core.market.plot import COLORS, draw_market, own_index
from tasks.core.market.regimes import regime_of_day
from tasks.core.market.snapshots import snapshots
from tasks.core.market.stock_index import SCHEMA
from tasks.core.records.market import Snapshot
from tests.market.folders import random_rows, weekdays, write_market

DAYS = weekdays("2024-01-02", 90)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_market(tmp_path_factory.mktemp("markets") / "mine", random_rows(DAYS))


def colors_of(file) -> np.ndarray:
    """Returns the picture's different colours, (n, 3), each part 0 to 255."""
    pixels = (imread(file)[:, :, :3] * 255).round().astype(int)
    codes = np.unique(pixels @ (1 << 16, 1 << 8, 1))
    return np.stack([codes >> 16, codes >> 8 & 255, codes & 255], axis=1)


def test_the_picture_shows_every_regime_of_its_days(folder, tmp_path):
    """The legend's patches have the pure colours, the bands a paler tone of those that occur."""
    draw_market(folder, tmp_path / "deep" / "a.png")
    drawn = colors_of(tmp_path / "deep" / "a.png")
    for color in COLORS.values():
        assert (drawn == rgb(color)).all(axis=1).any()
    for regime in {regime_of_day(day) for day in snapshots(folder)}:
        pale = [round(0.75 * part + 0.25 * 255) for part in rgb(COLORS[regime])]
        assert (abs(drawn - pale) <= 2).all(axis=1).any()


def rgb(color: str) -> tuple[int, ...]:
    return tuple(bytes.fromhex(color[1:]))


def test_own_index_compounds_the_days_returns():
    days = [Snapshot(f"2024-01-0{n}", move, 50.0, 0.0, 10.0) for n, move in ((2, 10.0), (3, -50.0))]
    assert own_index(days) == pytest.approx([110.0, 55.0])


def test_an_imported_index_is_drawn_where_it_has_days(folder, tmp_path):
    other = write_market(tmp_path / "m", random_rows(DAYS))
    draw_market(other, tmp_path / "own.png")
    closes = {
        "date": [date.fromisoformat(day) for day in DAYS],
        "close": [2500.0 + n for n in range(90)],
    }
    rows = pa.table(closes | {"source": ["kospi.csv"] * 90}, schema=SCHEMA)
    parquet.write_table(rows, other / "index.parquet")
    draw_market(other, tmp_path / "kospi.png")
    assert (tmp_path / "kospi.png").read_bytes() != (tmp_path / "own.png").read_bytes()
    parquet.write_table(rows.slice(0, 1), other / "index.parquet")
    draw_market(other, tmp_path / "one.png")
    assert (tmp_path / "one.png").read_bytes() == (tmp_path / "own.png").read_bytes(), (
        "one day is no line"
    )
    (other / "index.parquet").write_bytes(b"PAR1")
    with pytest.raises(RequestError, match="index.parquet cannot be read"):
        draw_market(other, tmp_path / "none.png")


def test_a_place_that_cannot_be_written_is_named(folder, tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(WorkError, match="file/a.png cannot be written .*--out"):
        draw_market(folder, tmp_path / "file" / "a.png")


def test_the_command_draws_what_it_is_given_either_way(folder, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(app, ["plot", "--market", str(folder)])
    assert done.stdout.strip() == "mine-regimes.png" and (tmp_path / "mine-regimes.png").is_file()
    done = CliRunner().invoke(app, ["plot", str(folder), "--out", "other.png", "--start", DAYS[50]])
    assert done.stdout.strip() == "other.png" and (tmp_path / "other.png").is_file()
    assert isinstance(CliRunner().invoke(app, ["plot"]).exception, RequestError)
