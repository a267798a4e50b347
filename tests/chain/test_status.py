"""`kospilot status`: where a run stands, or stood when it ended."""

import contextlib
import os
import subprocess
import sys

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


WRITER = """
import sys, time
from pathlib import Path
from tasks.core.chain.status import write_status

write_status(Path(sys.argv[1]), "stage2", 0.4, "step 4/10")
print("written", flush=True)
time.sleep(60)
"""


@contextlib.contextmanager
def run_elsewhere(home, host="gpu-1"):
    """A run on another machine, which has written its status and is at work."""
    command = [sys.executable, "-c", WRITER, home]
    env = {**os.environ, "KOSPILOT_HOST": host}
    with subprocess.Popen(command, env=env, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "written\n"
        yield process
        process.kill()


def test_a_run_on_another_machine_is_alive_until_it_is_killed(tmp_path, monkeypatch):
    monkeypatch.setenv("KOSPILOT_HOST", "cpu-1")
    with run_elsewhere(tmp_path) as process:
        told = read_status(tmp_path)
        assert (told["alive"], told["elsewhere"]) == (True, "gpu-1")
        process.kill()
        process.wait()
        told = read_status(tmp_path)
        assert (told["alive"], told["elsewhere"]) == (False, "gpu-1")


def test_a_dead_process_leaves_nothing_that_the_next_run_does_not_remove(tmp_path):
    with run_elsewhere(tmp_path) as process:
        process.kill()
        process.wait()
    assert len(list((tmp_path / "logs").glob(".alive-gpu-1-*"))) == 1
    write_status(tmp_path, "run", 0.0, "demo is starting")
    write_status(tmp_path, "run", 1.0, "demo done in 5 s", "done")
    assert [file.name for file in (tmp_path / "logs").iterdir()] == ["status.json"]


@pytest.mark.parametrize(
    "odd",
    [
        "",
        "null",
        "[]",
        "3",
        "{}",
        '{"step": "stage2"}',
        '{"step": 1, "fraction": 0.5, "text": "", "state": "running"}',
        '{"step": "a", "fraction": NaN, "text": "", "state": "running"}',
        '{"step": "a", "fraction": 2, "text": "", "state": "running"}',
        "\x00\x01",
        "[" * 100_000,
    ],
)
def test_an_odd_status_is_none(tmp_path, odd):
    (tmp_path / "logs").mkdir()
    (tmp_path / "logs" / "status.json").write_text(odd)
    assert read_status(tmp_path) is None
    end_failed(tmp_path)


@pytest.mark.parametrize("name", ["", 3, None, "gpu-1-7-0123abcd", "../../etc/passwd", "a" * 999])
def test_a_status_of_no_process_is_not_alive(tmp_path, name):
    status = {"step": "a", "fraction": 0.5, "text": "", "state": "running"}
    status |= {"host": "gpu-1", "process": name}
    write_json(tmp_path / "logs" / "status.json", status)
    assert not read_status(tmp_path)["alive"]
