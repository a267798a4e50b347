"""Workers that share a KOSPILOT_HOME see one another, and whether their locks hold."""

import errno
import os

import pytest

from flows import crew
from tasks.core.errors import WorkError
from tasks.core.files.json_files import read_json, write_json
from tests.another_machine import on_another_machine

WORKER = """
import sys, time
from pathlib import Path
from flows import crew

while True:
    crew.beat(Path(sys.argv[1]), "gpu")
    print("beat", flush=True)
    time.sleep(0.05)
"""


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(crew, "BEAT_S", 0.3)


def worker(home):
    """A worker on another machine."""
    return on_another_machine(WORKER, home, "beat")


def records(home):
    return sorted((home / "workers").glob("gpu-1-*.json"))


def test_a_worker_with_the_same_code_is_no_news(tmp_path):
    with worker(tmp_path):
        assert crew.join(tmp_path, "cpu") == []
        assert len(records(tmp_path)) == 1
    crew.leave(tmp_path)
    assert not [file for file in (tmp_path / "workers").iterdir() if "gpu-1" not in file.name]


def test_a_worker_with_other_code_is_told_with_the_step(tmp_path, monkeypatch):
    with worker(tmp_path):
        steps = [step for step in crew.CHAIN if step.name != "rejects"]
        monkeypatch.setattr(crew, "CHAIN", steps)
        [said] = crew.join(tmp_path, "cpu")
    assert said == (
        "The worker of the pool gpu on gpu-1 has another kospilot: rejects has version 2 there and"
        " none here. Neither does such a step for the other: update both."
    )


def test_a_worker_that_was_killed_is_forgotten(tmp_path):
    with worker(tmp_path) as process:
        process.kill()
        process.wait()
    assert len(records(tmp_path)) == 1
    assert crew.join(tmp_path, "cpu") == []
    assert records(tmp_path) == []


def test_a_home_without_locks_between_machines_is_refused(tmp_path, monkeypatch):
    """As on NFS with `nolock`, where each machine gets the lock that the other one holds."""
    monkeypatch.setattr(crew, "lives", lambda folder, name: False)
    with (
        worker(tmp_path),
        pytest.raises(WorkError, match="carries no locks from gpu-1 to .*nolock"),
    ):
        crew.join(tmp_path, "cpu")


def test_an_odd_record_is_passed_over(tmp_path):
    for number, odd in enumerate(["", "[]", "3", '{"steps": 3}', "\x00"]):
        (tmp_path / "workers").mkdir(exist_ok=True)
        (tmp_path / "workers" / f"gpu-1-{number}.json").write_text(odd)
    assert crew.join(tmp_path, "cpu") == []
    own = crew.show_life(tmp_path / "workers")
    assert read_json(tmp_path / "workers" / f"{own}.json")["pool"] == "cpu"
    write_json(tmp_path / "workers" / f"{own}.json", {})
    crew.leave(tmp_path)
    assert not list((tmp_path / "workers").glob("*.json"))


def test_artifacts_that_cannot_be_written_are_told_before_a_run_begins(tmp_path, monkeypatch):
    """As where the store alone is mounted read-only."""

    def refuse(dir):  # noqa: A002 - its name in the standard library
        raise OSError(errno.EROFS, os.strerror(errno.EROFS), str(dir))

    monkeypatch.setattr(crew, "TemporaryFile", refuse)
    told = rf"{tmp_path}/artifacts cannot be written on .* \(Read-only file system\)"
    with pytest.raises(WorkError, match=told):
        crew.join(tmp_path, "cpu")


def test_a_home_that_cannot_be_written_is_told_with_the_machine(tmp_path, monkeypatch):
    monkeypatch.setenv("KOSPILOT_HOST", "gpu-2")
    (tmp_path / "workers").write_text("no folder")
    told = rf"{tmp_path} cannot be written on gpu-2 \(.*\), where a worker keeps"
    with pytest.raises(WorkError, match=told):
        crew.join(tmp_path, "gpu")
