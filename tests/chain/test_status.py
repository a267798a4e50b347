"""`kospilot status`: where a run stands, or stood when it ended."""

import os
import subprocess

import pytest

from tasks.core.chain.status import end_failed, read_status, write_status
from tasks.core.files.json_files import write_json


def test_a_failed_run_still_tells_the_step_it_failed_at(tmp_path):
    assert read_status(tmp_path) is None
    write_status(tmp_path, "stage2", 0.4, "step 4/10")
    assert read_status(tmp_path)["alive"]
    end_failed(tmp_path)
    told = read_status(tmp_path)
    assert (told["step"], told["fraction"], told["text"], told["state"]) == (
        "stage2",
        0.4,
        "step 4/10",
        "failed",
    )
    assert not told["alive"]


def test_a_run_that_was_stopped_did_not_fail(tmp_path):
    write_status(tmp_path, "stage2", 0.4, "step 4/10")
    end_failed(tmp_path, KeyboardInterrupt())
    assert read_status(tmp_path)["state"] == "interrupted"
    end_failed(tmp_path, ValueError())
    assert read_status(tmp_path)["state"] == "failed"


def test_a_killed_run_is_not_alive(tmp_path, monkeypatch):
    gone = subprocess.Popen(["true"])
    gone.wait()
    monkeypatch.setattr(os, "getpid", lambda: gone.pid)
    write_status(tmp_path, "stage2", 0.4, "step 4/10")
    assert not read_status(tmp_path)["alive"]


@pytest.mark.parametrize(
    "odd",
    [
        "",
        "null",
        "[]",
        "3",
        "{}",
        '{"step": "stage2"}',
        '{"step": 1, "fraction": 0.5, "text": "", "state": "running", "pid": 1}',
        '{"step": "a", "fraction": NaN, "text": "", "state": "running", "pid": 1}',
        '{"step": "a", "fraction": 2, "text": "", "state": "running", "pid": 1}',
        '{"step": "a", "fraction": 0.5, "text": "", "state": "running", "pid": "1"}',
        "\x00\x01",
        "[" * 100_000,
    ],
)
def test_an_odd_status_is_none(tmp_path, odd):
    (tmp_path / "logs").mkdir()
    (tmp_path / "logs" / "status.json").write_text(odd)
    assert read_status(tmp_path) is None
    end_failed(tmp_path)


@pytest.mark.parametrize("pid", [-1, 0, 1 << 31, 10**30])
def test_a_status_of_no_process_is_not_alive(tmp_path, pid):
    status = {"step": "a", "fraction": 0.5, "text": "", "state": "running", "pid": pid}
    write_json(tmp_path / "logs" / "status.json", status)
    assert not read_status(tmp_path)["alive"]
