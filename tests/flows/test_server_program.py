"""A server whose database is not there says so in a sentence, without the password."""

import os
import subprocess
import sys

import pytest

from flows.server_settings import lone_server_settings
from tasks.core.processes.server import free_port

pytestmark = pytest.mark.slow


def test_a_database_that_is_not_there_is_told_in_a_sentence(tmp_path, monkeypatch):
    place = f"127.0.0.1:{free_port()}/prefect"
    url = f"postgresql+asyncpg://prefect:secret@{place}"
    monkeypatch.setenv("PREFECT_SERVER_DATABASE_CONNECTION_URL", url)
    settings = lone_server_settings(tmp_path, "127.0.0.1", 4200)
    command = [sys.executable, "-m", "flows.server_program", str(free_port())]
    env = {**os.environ, **settings}
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
    said = " ".join(done.stderr.split())
    assert done.returncode == 1
    assert said.startswith(
        f"error: Prefect's database postgresql+asyncpg://prefect:***@{place} cannot be used ([Errno"
    )
    assert said.endswith(
        "PREFECT_SERVER_DATABASE_CONNECTION_URL to postgresql+asyncpg://USER:"
        "PASSWORD@HOST:5432/NAME."
    )
    assert "Traceback" not in said
