"""A paused run ends its step at work, and says that it rests, so that nobody takes it for dead."""

from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from types import SimpleNamespace
from uuid import UUID

import httpx
import pytest
from prefect.exceptions import Pause
from prefect.states import Paused, Running

from tasks import pausing
from tasks.pausing import PauseWatch, tell_rest

RUN = UUID(int=3)


@pytest.fixture
def server(monkeypatch):
    """A server that holds the run's state, and a clock; both can be set."""
    told = SimpleNamespace(state=Running(), now=0.0, asked=0, events=[])

    def read_flow_run(run):
        assert run == RUN
        told.asked += 1
        return SimpleNamespace(state=told.state)

    client = SimpleNamespace(read_flow_run=read_flow_run)
    context = SimpleNamespace(flow_run=SimpleNamespace(id=RUN))
    monkeypatch.setattr(pausing, "get_client", lambda sync_client: nullcontext(client))
    monkeypatch.setattr(pausing.FlowRunContext, "get", lambda: context)
    monkeypatch.setattr(pausing.time, "monotonic", lambda: told.now)
    monkeypatch.setattr(pausing, "emit_event", lambda *event: told.events.append(event))
    return told


def test_a_step_at_work_ends_when_its_run_is_paused(server):
    watch = PauseWatch()
    for server.now in (5.0, 21.0, 25.0, 42.0):
        watch.stop_if_paused()
    assert server.asked == 2
    server.state = Paused()
    watch.stop_if_paused()
    server.now = 63.0
    with pytest.raises(Pause):
        watch.stop_if_paused()


def test_a_server_that_is_away_is_asked_later(server, monkeypatch):
    def refuse(run):
        raise httpx.ConnectError("All connection attempts failed")

    watch = PauseWatch()
    with monkeypatch.context() as patch:
        patch.setattr(pausing, "get_client", lambda sync_client: nullcontext(Away(refuse)))
        server.now = 21.0
        watch.stop_if_paused()
    server.state, server.now = Paused(), 60.0
    with pytest.raises(Pause):
        watch.stop_if_paused()


@dataclass
class Away:
    """A client whose server does not answer."""

    read_flow_run: Callable[[UUID], object]


def test_a_resting_run_gives_a_sign_of_life_that_the_automation_waits_for(server):
    tell_rest()
    assert server.events == [
        ("prefect.flow-run.rests", {"prefect.resource.id": f"prefect.flow-run.{RUN}"})
    ]
