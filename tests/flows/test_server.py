"""Servers of one home start one after the other, and none takes another's database away."""

import contextlib
import os
import subprocess
import sys

import pytest
from filelock import FileLock, Timeout

from flows import server
from flows.server_api import end_runs
from flows.server_files import prefect_folder
from tasks.core.errors import RequestError, WorkError
from tasks.core.processes.child import start_child
from tasks.core.processes.server import free_port

HOLD = (
    "import sqlite3, sys, time; held = sqlite3.connect(sys.argv[1]);"
    " held.execute('BEGIN EXCLUSIVE'); print('open', flush=True); time.sleep(60)"
)
LIVE = (
    "import sys, time; from pathlib import Path;"
    " from tasks.core.processes.living import show_life; show_life(Path(sys.argv[1]));"
    " print('alive', flush=True); time.sleep(60)"
)


def test_no_second_server_starts_while_one_migrates_the_database(tmp_path, monkeypatch):
    lock = prefect_folder(tmp_path) / ".start.lock"

    def start(home, port, env):
        with pytest.raises(Timeout):
            FileLock(lock).acquire(timeout=0)
        return start_child(["true"], stdout=subprocess.DEVNULL)

    monkeypatch.setattr(server, "_start", start)
    with server.private_server(tmp_path), FileLock(lock).acquire(timeout=0):
        pass


def test_a_database_is_one_machines(tmp_path, monkeypatch):
    """Whose server lives is told by a lock: that machine's processes are not to be seen here."""
    folder = prefect_folder(tmp_path)
    quiet = subprocess.DEVNULL
    monkeypatch.setattr(server, "_start", lambda *given: start_child(["true"], stdout=quiet))
    with process_elsewhere(folder) as process:
        refused = pytest.raises(RequestError, match="server on gpu-1 works .*set PREFECT_API_URL")
        with refused, server.private_server(tmp_path):
            pass
        process.kill()
        process.wait()
        with server.private_server(tmp_path):
            pass
    assert not list(folder.glob(".alive-*"))


@contextlib.contextmanager
def process_elsewhere(folder):
    """A process on another machine that shows its life in a folder."""
    command = [sys.executable, "-c", LIVE, folder]
    env = {**os.environ, "KOSPILOT_HOST": "gpu-1"}
    with subprocess.Popen(command, env=env, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "alive\n"
        yield process
        process.kill()


def test_a_database_that_another_server_works_with_is_left_to_it(tmp_path, capsys):
    database = tmp_path / "prefect.db"
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(database)], stdout=subprocess.PIPE, text=True
    )
    with holder:
        assert holder.stdout.readline() == "open\n"
        with pytest.raises(WorkError, match="another process has it open"):
            server._set_aside(database, "the server does not start with it")
        assert database.exists()
        holder.kill()
    server._set_aside(database, "the server does not start with it")
    assert not database.exists()
    assert "cannot be used (the server does not start with it)" in " ".join(
        capsys.readouterr().err.split()
    )


def test_runs_that_a_server_does_not_end_are_told(tmp_path, capsys):
    end_runs(tmp_path, f"http://127.0.0.1:{free_port()}/api", "gone")
    said = " ".join(capsys.readouterr().err.split())
    assert "The UI may show runs of the stopped worker as Running for ever" in said
