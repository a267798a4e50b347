"""Machines that share a folder: locks and names that hold between them, and not by numbers."""

import os

import pytest

from tasks.core.chain.store import Store
from tasks.core.processes import host
from tasks.core.processes.host import accelerator, host_name
from tasks.core.processes.living import lives, living_hosts, process_name, show_life
from tests.another_machine import on_another_machine

HOLDER = """
import sys, time
from pathlib import Path
from tasks.core.chain.store import Store
from tasks.core.processes.host import accelerator

store = Store(Path(sys.argv[1]))
with store.running(), store.locked("stage2-0123"), store.locked(accelerator()):
    print(accelerator(), flush=True)
    time.sleep(60)
"""


@pytest.fixture
def gpu_1(tmp_path):
    """A run on another machine that holds the locks of a run, an artifact and its accelerator."""
    with on_another_machine(HOLDER, tmp_path, "accelerator-gpu-1") as process:
        yield process


def test_an_artifact_is_one_machines_and_an_accelerator_each_ones_own(gpu_1, tmp_path, monkeypatch):
    store = Store(tmp_path)
    assert store.is_held("stage2-0123")
    assert not store.is_held(accelerator())
    monkeypatch.setenv("KOSPILOT_HOST", "gpu-1")  # two containers of one machine
    assert store.is_held(accelerator())
    gpu_1.kill()
    gpu_1.wait()
    assert not store.is_held("stage2-0123")
    assert not store.is_held(accelerator())


def test_a_run_on_another_machine_holds_off_gc_until_it_is_killed(gpu_1, tmp_path):
    store = Store(tmp_path)
    [lock] = store.run_locks()
    assert lock.name.startswith(f"run-gpu-1-{gpu_1.pid}-")
    assert store.is_running()
    gpu_1.kill()
    gpu_1.wait()
    assert not store.is_running()


def test_containers_of_a_machine_share_its_accelerator_whatever_they_are_called(
    monkeypatch, tmp_path
):
    monkeypatch.delenv("KOSPILOT_HOST", raising=False)
    monkeypatch.setattr(host, "_BOOT", tmp_path / "boot_id")
    (tmp_path / "boot_id").write_text("1b2c-3d4e\n")
    names = set()
    for container in ("worker-1", "worker-2"):
        monkeypatch.setattr(host.socket, "gethostname", lambda name=container: name)
        names.add((host_name(), accelerator()))
    assert names == {("worker-1", "accelerator-1b2c-3d4e"), ("worker-2", "accelerator-1b2c-3d4e")}
    (tmp_path / "boot_id").unlink()
    assert accelerator() == "accelerator-worker-2"


@pytest.mark.parametrize("odd", ["../../etc", "a b", "서울", "a/b", "x" * 500, "\n"])
def test_an_odd_name_is_fit_for_a_file(monkeypatch, tmp_path, odd):
    monkeypatch.setenv("KOSPILOT_HOST", odd)
    name = show_life(tmp_path)
    assert lives(tmp_path, name)
    assert [file.parent for file in tmp_path.iterdir()] == [tmp_path]
    assert living_hosts(tmp_path) == {host_name()}


def test_one_number_on_two_machines_is_two_names(monkeypatch):
    monkeypatch.setattr(os, "getpid", lambda: 12)
    assert process_name() != process_name()
    assert process_name().startswith(f"{host_name()}-12-")
