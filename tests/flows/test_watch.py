"""`kospilot serve` starts a refresh for a changed market: once, when it is quiet, if it may."""

import json

import httpx
import pytest

from flows.watch import MarketWatch
from tasks.core.market import news
from tasks.core.market.folder import named_folder
from tasks.core.settings.profiles import load
from tests.market.folders import random_rows, weekdays, write_market


class Server:
    """Answers as a Prefect server does, from its present state; keeps the runs it was asked for."""

    def __init__(self, folder):
        parameters = {"profile": "demo", "overrides": [f"market.dir={folder}"]}
        self.deployment = {"id": "d", "paused": False, "parameters": parameters}
        self.deployment["work_pool_name"] = "kospilot"
        self.automations = [{"name": "market-updated", "enabled": True}]
        self.runs = []
        self.started = []

    def __call__(self, request):
        path = request.url.path
        if path.endswith("/create_flow_run"):
            self.started.append(json.loads(request.content))
            return httpx.Response(201, json={})
        answers = {
            "/api/deployments/name/refresh/refresh": self.deployment,
            "/api/automations/filter": self.automations,
            "/api/flow_runs/filter": self.runs,
        }
        return httpx.Response(200, json=answers[path])


@pytest.fixture
def server(tmp_path, monkeypatch):
    monkeypatch.setattr(news, "QUIET_S", 0.0)
    return Server(write_market(tmp_path / "market", random_rows(weekdays("2024-01-02", 10))))


@pytest.fixture
def look(server, tmp_path):
    client = httpx.Client(transport=httpx.MockTransport(server), base_url="http://server/api")
    watch = MarketWatch(tmp_path / "home")
    return lambda: watch.look(client)


@pytest.fixture
def change(tmp_path):
    return lambda: write_market(tmp_path / "market", random_rows(weekdays("2024-03-01", 5)))


def test_what_is_there_at_first_is_no_news_and_a_change_is(server, look, change):
    look()
    look()
    assert server.started == []
    change()
    look()
    assert server.started == [{"tags": ["market"]}]


def test_the_demo_market_is_no_news_when_the_first_run_makes_it(server, look, tmp_path):
    server.deployment["parameters"]["overrides"] = []
    look()
    folder = named_folder(load("demo", ()).settings.market, tmp_path / "home")
    write_market(folder, random_rows(weekdays("2024-01-02", 10)))
    look()
    look()
    assert server.started == []
    write_market(folder, random_rows(weekdays("2024-03-01", 5)))
    look()
    assert len(server.started) == 1


def test_the_first_market_in_a_folder_of_ones_own_is_news(server, look, tmp_path):
    folder = tmp_path / "later"
    server.deployment["parameters"]["overrides"] = [f"market.dir={folder}"]
    look()
    write_market(folder, random_rows(weekdays("2024-01-02", 10)))
    look()
    assert len(server.started) == 1


def test_a_run_that_was_cancelled_or_failed_is_not_started_again(server, look, change):
    look()
    change()
    look()
    look()
    assert len(server.started) == 1


def test_a_change_while_serve_was_stopped_is_news(server, look, change, monkeypatch):
    look()
    change()
    server.deployment["paused"] = True
    look()
    assert server.started == []
    server.deployment["paused"] = False
    look()
    assert len(server.started) == 1


def test_a_folder_that_is_being_copied_into_waits(server, look, change, monkeypatch):
    look()
    change()
    monkeypatch.setattr(news, "QUIET_S", 60.0)
    look()
    assert server.started == []


def test_a_refresh_at_work_looks_itself(server, look, change):
    look()
    change()
    server.runs = [{"deployment_id": "d", "next_scheduled_start_time": "2020-01-01T00:00:00Z"}]
    look()
    assert server.started == []


def test_whoever_disables_the_automation_wants_no_run(server, look, change):
    look()
    change()
    server.automations[0]["enabled"] = False
    look()
    assert server.started == []
    server.automations = []
    look()
    assert server.started == []


def test_parameters_that_no_run_could_have_start_none(server, look, change):
    look()
    change()
    for wrong in (["market.dirr=x"], "market.dir", None):
        server.deployment["parameters"]["overrides"] = wrong
        look()
    assert server.started == []


def test_another_pools_worker_looks_after_its_market(server, look, change):
    look()
    change()
    server.deployment["work_pool_name"] = "kospilot-gpu"
    look()
    assert server.started == []
