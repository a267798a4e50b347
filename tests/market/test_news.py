"""Whether a market folder has changed, and whether whoever changed it is done."""

import os
import shutil
import threading
import time

import pytest

from tasks.core.market import news
from tasks.core.market.news import (
    Stillness,
    await_quiet,
    followed_folder,
    follower_of,
    looked_at,
    market_state,
    note_looked_at,
)
from tasks.core.settings.profiles import load
from tests.market.folders import random_rows, weekdays, write_market


@pytest.fixture
def market(tmp_path):
    return write_market(tmp_path / "market", random_rows(weekdays("2024-01-02", 30)))


def test_every_change_of_the_markets_files_is_seen_and_no_other(market, tmp_path):
    states = [market_state(tmp_path / "nowhere"), market_state(market)]
    (market / "notes.txt").write_text("mine")
    assert market_state(market) == states[-1]
    month = market / "year=2024" / "month=1"
    (market / "macro.parquet").write_bytes(b"PAR1")
    states.append(market_state(market))
    shutil.copytree(month, market / "year=2024" / "month=3")
    states.append(market_state(market))
    time.sleep(0.02)  # the clock of file systems has steps of some milliseconds
    file = month / "data.parquet"
    before = file.stat()
    file.write_bytes(file.read_bytes())
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))  # as rsync --times leaves it
    states.append(market_state(market))
    shutil.rmtree(month)
    states.append(market_state(market))
    assert len(set(states)) == len(states)


def test_a_folder_is_quiet_a_while_after_its_last_change(market, monkeypatch):
    assert not Stillness(market).is_quiet()
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now + news.QUIET_S + 1)
    assert Stillness(market).is_quiet()


def test_by_our_own_clock_a_folder_with_times_to_come_is_quiet_too(market, monkeypatch):
    now = [0.0]
    monkeypatch.setattr(time, "time", lambda: 0.0)
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    stillness = Stillness(market)
    now[0] = news.QUIET_S - 1
    assert not stillness.is_quiet()
    shutil.copytree(market / "year=2024" / "month=1", market / "year=2024" / "month=3")
    now[0] = news.QUIET_S + 1
    assert not stillness.is_quiet()
    now[0] = 2 * news.QUIET_S + 2
    assert stillness.is_quiet()


def test_a_copy_is_waited_for_until_its_last_month_is_there(market, monkeypatch):
    monkeypatch.setattr(news, "QUIET_S", 0.4)
    monkeypatch.setattr(news, "_LOOK_EVERY_S", 0.02)

    def copy():
        for month in (3, 4, 5):
            time.sleep(0.2)
            shutil.copytree(market / "year=2024" / "month=1", market / f"year=2024/month={month}")

    copying = threading.Thread(target=copy)
    copying.start()
    told = []
    await_quiet(market, told.append)
    assert not copying.is_alive()
    assert (market / "year=2024" / "month=5").exists()
    assert len(told) == 1 and "was changed just now" in told[0]


def test_a_folder_that_never_rests_is_taken_as_it_is(market, monkeypatch):
    monkeypatch.setattr(news, "_LOOK_EVERY_S", 0.02)
    monkeypatch.setattr(news, "_LONGEST_WAIT_S", 0.1)
    states = iter(range(1000))
    monkeypatch.setattr(news, "market_state", lambda folder: str(next(states)))
    told = []
    await_quiet(market, told.append)
    assert "taking it as it is" in told[-1]


def test_each_refresh_remembers_its_own_look(tmp_path):
    assert looked_at(tmp_path, "demo") is None
    note_looked_at(tmp_path, "demo", "a")
    note_looked_at(tmp_path, "kospi-7b", "b")
    assert (looked_at(tmp_path, "demo"), looked_at(tmp_path, "kospi-7b")) == ("a", "b")
    (tmp_path / "market" / "looked-at.json").write_text("[")
    assert looked_at(tmp_path, "demo") is None


def test_a_relative_folder_begins_where_the_worker_was_started(tmp_path, monkeypatch):
    monkeypatch.setenv("KOSPILOT_FOLDER", str(tmp_path))
    resolved = load("demo", ["market.dir=data/daily"])
    folder = followed_folder(resolved, tmp_path / "home")
    assert folder == tmp_path / "data" / "daily"
    assert follower_of(resolved, folder) == f"demo market.dir=data/daily {folder}"
    assert followed_folder(load("demo"), tmp_path / "home") == tmp_path / "home" / "market" / "demo"
