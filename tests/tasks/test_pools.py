"""A step that another machine makes: it is waited for, sent again if that machine dies, or told."""

import logging
from contextlib import nullcontext
from dataclasses import replace
from types import SimpleNamespace
from uuid import UUID

import httpx
import pytest
from prefect.client.schemas.objects import FlowRun, WorkerStatus
from prefect.exceptions import ObjectNotFound, Pause
from prefect.states import Cancelling, Completed, Crashed, Failed, Paused, Running, Scheduled

from tasks import pools
from tasks.core.chain.status import read_status
from tasks.pools import FailedElsewhere, make_elsewhere, pool_elsewhere
from tests.chain.stores import publish
from tests.chain.test_produce import FIRST, run_of

POOL = SimpleNamespace(id=UUID(int=5), work_pool_name="kospilot-gpu")
STEP = replace(FIRST, pool="gpu")


class Server:
    """Answers as Prefect does: the states of what was sent come one after the other."""

    def __init__(self, run):
        self.run = run
        self.states = []
        self.sent = []
        self.set = []
        self.workers = []
        self.there = True  # the artifact, once a run has completed

    def start(self, identity, parameters, **how):
        self.sent.append(parameters["sent"])
        return FlowRun(id=UUID(int=len(self.sent)), flow_id=UUID(int=0), name=how["flow_run_name"])

    def read_flow_run(self, identity):
        if identity == UUID(int=99):
            return SimpleNamespace(name="full demo")
        state = self.states.pop(0)
        if isinstance(state, Exception):
            raise state
        if state.is_completed() and self.there:
            recipe = self.run.recipe("first", {})
            publish(self.run.store, recipe, {"made.bin": "weights"})
        return SimpleNamespace(state=state)

    def read_workers_for_work_pool(self, pool):
        assert pool == "kospilot-gpu"
        return self.workers

    def set_flow_run_state(self, identity, state):
        self.set.append((identity, state.type))


@pytest.fixture
def server(tmp_path, monkeypatch):
    server = Server(run_of(tmp_path, STEP))
    here = SimpleNamespace(
        id=UUID(int=99), name="old", deployment_id=UUID(int=1), work_pool_name="kospilot-cpu"
    )
    monkeypatch.setattr(pools, "_this_run", lambda: here)
    monkeypatch.setattr(pools, "get_client", lambda sync_client: nullcontext(server))
    monkeypatch.setattr(pools, "run_deployment", server.start)
    monkeypatch.setattr(pools.time, "sleep", lambda seconds: None)
    server.here = here
    return server


def make(server, *states):
    server.states = list(states)
    return make_elsewhere(server.run, "first", {}, POOL)


def test_the_artifact_is_found_when_it_was_made(server):
    ref = make(server, Scheduled(), Running(), Completed())
    assert ref == server.run.store.manifests("first")[-1].ref
    [sent] = server.sent
    assert (sent["name"], sent["profile"], sent["forced"]) == ("first", "demo", False)
    assert sent["recipe"]["step"] == "first"


def test_another_machine_goes_on_when_one_dies(server, caplog):
    with caplog.at_level(logging.WARNING):
        make(server, Running(), Crashed(message="No heartbeat."), Running(), Completed())
    assert len(server.sent) == 2
    assert "its run in the pool kospilot-gpu died (No heartbeat.); another one goes on" in (
        caplog.text
    )


def test_a_step_that_kills_every_machine_soon_is_not_tried_for_ever(server):
    with pytest.raises(FailedElsewhere, match="died \\(out of memory\\), 3 times in a row"):
        make(server, *[Crashed(message="out of memory")] * 3)
    assert len(server.sent) == 3


def test_machines_that_die_hours_after_they_began_do_not_count(server, monkeypatch):
    now = iter(range(0, 10**6, 4000))
    clock = SimpleNamespace(monotonic=lambda: next(now), sleep=lambda seconds: None)
    monkeypatch.setattr(pools, "time", clock)
    make(server, *[Running(), Crashed(message="the power went")] * 5, Completed())
    assert len(server.sent) == 6


def test_hours_in_the_queue_are_no_work_before_a_death(server, monkeypatch):
    now = iter(range(0, 10**6, 4000))
    clock = SimpleNamespace(monotonic=lambda: next(now), sleep=lambda seconds: None)
    monkeypatch.setattr(pools, "time", clock)
    with pytest.raises(FailedElsewhere, match="3 times in a row"):
        make(server, *[Scheduled(), Crashed(message="out of memory")] * 3)


def test_a_step_that_fails_there_fails_here_with_its_words(server):
    words = "Flow run encountered an exception: WorkError: no disk"
    told = "^first ended as Failed in the pool [a-z-]+: no disk"
    with pytest.raises(FailedElsewhere, match=told):
        make(server, Running(), Failed(message=words))
    assert len(server.sent) == 1


def test_an_artifact_that_is_not_seen_here_is_told_with_its_place(server):
    server.there = False
    with pytest.raises(FailedElsewhere, match="on this machine it is not there: .*one folder"):
        make(server, Completed())


def test_a_server_that_is_away_is_asked_again(server):
    away = httpx.ConnectError("refused")
    assert make(server, Running(), away, away, Running(), away, Completed())


def test_status_says_that_no_worker_is_there_and_how_one_starts(server, tmp_path):
    make(server, Scheduled(message=None), Scheduled(message=None), Completed())
    assert read_status(tmp_path)["text"] == (
        "waits for a worker of the pool kospilot-gpu, and none is at work: `kospilot worker --pool"
        " gpu` on a machine of that kind starts one"
    )
    server.workers = [SimpleNamespace(status=WorkerStatus.ONLINE)]
    make(server, Scheduled(message=None), Completed())
    assert read_status(tmp_path)["text"] == "waits for a worker of the pool kospilot-gpu"


def test_a_run_that_is_paused_ends_its_step_elsewhere(server, monkeypatch):
    def stop_if_paused(watch):
        raise Pause(state=Paused())

    monkeypatch.setattr(pools.PauseWatch, "stop_if_paused", stop_if_paused)
    with pytest.raises(Pause):
        make(server, Running(), Running())
    assert server.set == [(UUID(int=1), Cancelling().type)]


def test_a_step_works_elsewhere_only_if_it_wants_another_pool_and_there_is_one(server, monkeypatch):
    asked = []

    def read_deployment_by_name(name):
        asked.append(name)
        if len(asked) > 1:
            raise ObjectNotFound(None)
        return POOL

    server.read_deployment_by_name = read_deployment_by_name
    assert pool_elsewhere(STEP) is POOL
    assert pool_elsewhere(STEP) is None  # `kospilot serve` puts no such deployment there
    assert asked == ["step/gpu", "step/gpu"]
    server.here.work_pool_name = "kospilot-gpu"
    assert pool_elsewhere(STEP) is None
    server.here.work_pool_name, server.here.deployment_id = None, None  # a terminal's run
    assert pool_elsewhere(STEP) is None
    monkeypatch.setattr(pools, "_this_run", lambda: None)
    assert pool_elsewhere(STEP) is None
    assert len(asked) == 2


def test_a_sent_step_is_not_sent_on_whatever_its_pool_is_called(server, monkeypatch):
    server.here.work_pool_name = "a100"
    server.read_deployment_by_name = lambda name: POOL
    assert pool_elsewhere(STEP) is POOL
    sent = SimpleNamespace(flow=SimpleNamespace(name=pools.STEP_FLOW))
    monkeypatch.setattr(pools.FlowRunContext, "get", lambda: sent)
    assert pool_elsewhere(STEP) is None
