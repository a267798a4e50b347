"""`kospilot status`: where a run stands, or stood when it ended."""

import os
import subprocess

from tasks.core.chain.status import end_failed, read_status, write_status


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


def test_a_killed_run_is_not_alive(tmp_path, monkeypatch):
    gone = subprocess.Popen(["true"])
    gone.wait()
    monkeypatch.setattr(os, "getpid", lambda: gone.pid)
    write_status(tmp_path, "stage2", 0.4, "step 4/10")
    assert not read_status(tmp_path)["alive"]
