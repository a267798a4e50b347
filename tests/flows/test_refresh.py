"""`refresh` looks again when it ends: what came meanwhile is not left to the next run."""

from types import SimpleNamespace

import pytest

from flows import refresh as module
from tasks.core.errors import WorkError
from tasks.core.market import news
from tasks.core.market.news import looked_at, market_state
from tasks.core.settings.home import kospilot_home
from tests.market.folders import random_rows, weekdays, write_market

DAYS = weekdays("2024-01-02", 30)


@pytest.fixture
def rounds(tmp_path, monkeypatch):
    """Runs refresh; `happen`, a list of functions, says what happens in each of its rounds.

    Returns what each round saw: the market's state, and the steps that it forced.
    """
    monkeypatch.setattr(news, "QUIET_S", 0.0)
    folder = write_market(tmp_path / "market", random_rows(DAYS))

    def run_with(*happen):
        seen = []

        def new_run(profile, overrides, force):
            seen.append((market_state(folder), list(force)))
            return SimpleNamespace()

        def carry_out(run):
            if len(seen) <= len(happen):
                happen[len(seen) - 1](folder)

        monkeypatch.setattr(module, "begin", lambda: None)  # it is for a process of its own
        monkeypatch.setattr(module, "new_run", new_run)
        monkeypatch.setattr(module, "releases", lambda run: [run])
        monkeypatch.setattr(module, "carry_out", carry_out)
        monkeypatch.setattr(module, "_changes", lambda run, folder: "1 day added")
        overrides = [f"market.dir={folder}"]
        state = module.refresh.fn("demo", overrides, ["market"])
        known = looked_at(kospilot_home(), f"demo {overrides[0]} {folder}")
        assert known == seen[-1][0]
        return seen, state.message, folder

    return run_with


def more_days(folder):
    write_market(folder, random_rows(weekdays("2024-05-01", 10)))


def fail(folder):
    raise WorkError("something else")


def fail_for_the_market(folder):
    more_days(folder)
    raise WorkError("it changed while this run read it")


def test_an_unchanged_market_is_looked_at_once(rounds):
    seen, message, folder = rounds()
    assert seen == [(market_state(folder), ["market"])]
    assert message == f"demo market.dir={folder}; market: 1 day added"


@pytest.mark.parametrize("event", [more_days, fail_for_the_market])
def test_days_that_came_meanwhile_are_seen_by_another_round(rounds, event):
    seen, message, folder = rounds(event)
    assert [forced for _, forced in seen] == [["market"], []]
    assert seen[0][0] != seen[1][0] == market_state(folder)
    assert message.endswith(", then 1 day added")


def test_an_error_that_no_change_explains_is_raised(rounds):
    with pytest.raises(WorkError, match="something else"):
        rounds(fail)


def test_a_market_that_changes_all_the_time_ends_the_run_and_is_seen_by_the_next(rounds):
    seen, _, folder = rounds(more_days, more_days, more_days, more_days)
    assert len(seen) == 3
    assert seen[-1][0] != market_state(folder)  # by this, `serve` starts another
