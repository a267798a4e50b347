"""`kospilot tensorboard`: the curves of all trainings under KOSPILOT_HOME."""

import os
import sys

import pytest

from flows.commands.machine import tensorboard
from tasks.core.errors import RequestError
from tasks.core.settings.home import kospilot_home


def test_it_shows_finished_stages_and_the_one_at_work(monkeypatch, capsys):
    started = []
    monkeypatch.setattr(os, "execv", lambda program, command: started.append((program, command)))
    artifacts = kospilot_home() / "artifacts"
    with pytest.raises(RequestError, match="No stage has been trained yet"):
        tensorboard(port=6006)
    (artifacts / ".staging" / "stage2-0123" / "tensorboard").mkdir(parents=True)
    tensorboard(port=6007)
    [(program, command)] = started
    assert program == sys.executable
    assert command[1:5] == ["-m", "tensorboard.main", "--logdir", str(artifacts)]
    assert command[5:] == ["--host", "127.0.0.1", "--port", "6007"]
    assert "http://127.0.0.1:6007" in capsys.readouterr().err
