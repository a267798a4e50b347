"""Relative paths of settings are made absolute where somebody stands who deploys."""

import pytest

from tasks.core.settings.paths import relative_paths, settle_paths
from tasks.core.settings.profiles import load


def settled(folder, *overrides, profile="demo"):
    return settle_paths(load(profile, overrides), folder)


def test_the_market_is_a_path_whether_it_is_there_or_not(tmp_path):
    known = settled(tmp_path, "pairs.rows=12", "market.dir=prices/daily")
    assert known.overrides == ("pairs.rows=12", f"market.dir={tmp_path}/prices/daily")
    assert known.settings.market.dir == f"{tmp_path}/prices/daily"
    assert known.settings.pairs.rows == 12
    assert known.settings == load("demo", known.overrides).settings
    kept = settled(tmp_path, profile="kospi-7b").settings.market.dir
    assert kept == f"{tmp_path}/data/market_daily"  # the default is a relative path too


@pytest.mark.parametrize("name", ["model.base", "data.own", "data.krx_won", "synthesis.logs"])
def test_another_setting_is_a_path_if_something_is_there(tmp_path, name):
    (tmp_path / "team" / "own").mkdir(parents=True)
    assert settled(tmp_path, f"{name}=team/own").overrides == (f"{name}={tmp_path}/team/own",)
    assert settled(tmp_path, f"{name}=team/other").overrides == (f"{name}=team/other",)


def test_what_is_whole_stays_word_for_word(tmp_path):
    given = ("market.dir=/srv/market", "data.own=demo", "notify.url=https://hooks.example/T1")
    resolved = load("demo", given)
    assert relative_paths(resolved, tmp_path) == {}
    assert settle_paths(resolved, tmp_path) == resolved


def test_the_address_of_a_webhook_is_not_lost(tmp_path):
    known = settled(tmp_path, "market.dir=prices", "notify.url=https://hooks.example/T1")
    wanted = load("demo", ["notify.url=https://hooks.example/T1"]).settings.notify
    assert known.settings.notify == wanted


@pytest.mark.parametrize("name", ["a: b", "[x]", "#1", "one, two", '"q"'])
def test_a_folder_of_any_name_is_found_again(tmp_path, name):
    (tmp_path / name).mkdir()
    quoted = "market.dir='" + name + "'"
    whole = settled(tmp_path, quoted)
    again = load("demo", whole.overrides).settings.market.dir
    assert again == whole.settings.market.dir == f"{tmp_path}/{name}"
