"""`kospilot status` of a run that a worker has taken, is at, has finished, or died of."""

import json

import pytest

from flows import chain, server_api
from flows.commands.run import status
from tasks.core.chain.status import write_status
from tasks.core.errors import RequestError
from tasks.core.processes.host import host_name
from tasks.core.settings.home import kospilot_home
from tests.chain.test_status import run_elsewhere


@pytest.fixture
def said(monkeypatch, capsys):
    """What the command prints while a worker has taken the run of this name."""

    def run_status(taken=None, as_json=False):
        monkeypatch.setattr(server_api, "starting_run", lambda home: taken)
        status(as_json)
        return capsys.readouterr().out.strip()

    return run_status


def test_a_run_that_loads_is_starting_whatever_ran_before(said):
    assert said("nimble-otter") == "run: starting, 0 %, nimble-otter"
    write_status(kospilot_home(), "run", 1.0, "demo done in 5 s", "done")
    assert said() == "run: done, 100 %, demo done in 5 s"
    assert said("nimble-otter") == "run: starting, 0 %, nimble-otter"
    assert json.loads(said("nimble-otter", as_json=True))["state"] == "starting"


def test_a_run_at_work_is_running_and_one_that_was_killed_interrupted(said, monkeypatch):
    write_status(kospilot_home(), "stage2", 0.4, "step 4/10")
    assert said("full demo") == "stage2: running, 40 %, step 4/10"
    with run_elsewhere(kospilot_home(), host=host_name()) as process:
        assert said() == "stage2: running, 40 %, step 4/10"
        process.kill()
        process.wait()
        assert said() == "stage2: interrupted, 40 %, step 4/10"


def test_a_run_on_another_machine_is_told_with_its_name(said):
    with run_elsewhere(kospilot_home(), host="gpu-1") as process:
        assert said() == "stage2: running on gpu-1, 40 %, step 4/10"
        process.kill()
        process.wait()
        assert said() == "stage2: interrupted on gpu-1, 40 %, step 4/10"


def test_a_run_that_ends_with_a_wrong_setting_has_failed(said, monkeypatch):
    monkeypatch.setattr(chain, "begin", lambda: None)  # it would let all later tests' logs speak
    with pytest.raises(RequestError, match="synthesis.rowz"):
        chain.new_run("demo", ["synthesis.rowz=1"], [])
    assert said() == "run: failed, 0 %, demo is being planned"
