"""A step on another machine than its run makes what is waited for, or says why it does not."""

import json
import logging
from dataclasses import asdict, replace

import pytest

from tasks.core.chain.manifest import Recipe
from tasks.core.chain.produce import produce
from tasks.core.errors import RequestError
from tasks.core.preflight import sent as module
from tasks.core.preflight.sent import Sent, prepare_sent, read_sent
from tests.chain.test_produce import FIRST, run_of, silent

ASKING = replace(FIRST, name="asking", reads={"first": ("made.bin",)}, asks_server=True)
TRAINING = replace(FIRST, name="training", reads={"first": ("made.bin",)}, pool="gpu")


@pytest.fixture
def sent(tmp_path, monkeypatch):
    """A step, as it came from the machine cpu-1 to this one, gpu-1, which has the same store."""
    steps = {step.name: step for step in (FIRST, TRAINING, ASKING)}
    monkeypatch.setattr(module, "chain", lambda settings: steps)
    monkeypatch.setenv("KOSPILOT_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("OLLAMA_HOST", raising=False)

    def send(name="training", ollama=None):
        run = run_of(tmp_path / "home", *steps.values())
        first = produce(run, "first", {}, silent)
        monkeypatch.setenv("KOSPILOT_HOST", "cpu-1")
        if ollama:
            monkeypatch.setenv("OLLAMA_HOST", ollama)
        step = Sent.of(run, name, {"first": first})
        monkeypatch.setenv("KOSPILOT_HOST", "gpu-1")
        return read_sent(json.loads(json.dumps(asdict(step))))

    return send


def test_the_same_artifact_is_made_and_the_world_is_not_surveyed_for_other_steps(sent, monkeypatch):
    surveyed = []
    monkeypatch.setattr(
        "tasks.core.preflight.prepare.survey", lambda steps, *rest: surveyed.extend(steps) or {}
    )
    step = sent()
    run = prepare_sent(step)
    assert run.recipe("training", step.refs).key == step.recipe.key
    assert surveyed == ["training"]


def test_other_code_is_told_with_both_machines(sent):
    step = sent()
    newer = replace(step, recipe=replace(step.recipe, version=7))
    with pytest.raises(RequestError) as caught:
        prepare_sent(newer)
    assert str(caught.value) == (
        "gpu-1 would make another training than cpu-1 asks for: training itself changed from"
        " version 7 to 1. Update kospilot on both machines to the same version."
    )


def test_a_store_that_is_not_shared_is_told(sent, tmp_path, monkeypatch):
    step = sent()
    monkeypatch.setenv("KOSPILOT_HOME", str(tmp_path / "other"))
    with pytest.raises(RequestError, match="which cpu-1 has, is not there on gpu-1: .*other/"):
        prepare_sent(step)


@pytest.mark.parametrize("here", ["10.0.0.2", None])
def test_two_model_servers_are_told_and_not_asked(sent, monkeypatch, caplog, here):
    training, asking = sent(), sent("asking")
    training, asking = (
        replace(step, ollama="http://10.0.0.1:11434") for step in (training, asking)
    )
    if here:
        monkeypatch.setenv("OLLAMA_HOST", here)
    told = "OLLAMA_HOST is http://10.0.0.1:11434 on cpu-1 and "
    with pytest.raises(RequestError, match=f"asking is not asked here: {told}"):
        prepare_sent(asking)
    with caplog.at_level(logging.WARNING):
        prepare_sent(training)
    assert told in caplog.text


def test_a_model_server_of_each_machines_own_is_two(sent):
    with pytest.raises(RequestError, match="so each asks a model server of its own"):
        prepare_sent(sent("asking", ollama="127.0.0.1"))
    assert prepare_sent(sent("asking", ollama="ollama.example"))


@pytest.mark.parametrize("odd", [{}, {"refs": 3}, {"refs": {}, "recipe": {}}, {"refs": {"a": {}}}])
def test_what_no_run_sent_is_refused(odd):
    with pytest.raises(RequestError, match="This is no step as kospilot .* sends it"):
        read_sent(odd)


def test_a_recipe_travels_whole(sent):
    step = sent()
    assert isinstance(step.recipe, Recipe)
    assert step.host == "cpu-1"
    assert step.refs["first"].step == "first"
