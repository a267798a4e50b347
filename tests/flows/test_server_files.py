"""What a Prefect server keeps in its folder: secret, record, database; damaged or odd."""

import json
import os
import socket
import sqlite3
import subprocess
import sys
from contextlib import closing

import pytest

from flows.server_files import (
    Record,
    damage_of,
    prefect_folder,
    read_record,
    secret,
    secret_file,
    set_aside,
    write_record,
)
from tasks.core.errors import WorkError


def test_a_home_has_one_secret_that_its_owner_alone_reads(tmp_path):
    made = secret(tmp_path)
    assert made.startswith("kospilot:") and len(made) > 40
    assert secret(tmp_path) == made
    file = secret_file(tmp_path)
    assert file.stat().st_mode & 0o777 == 0o600
    assert {path.name for path in file.parent.iterdir()} <= {"secret", ".secret.lock"}


def test_nobody_else_reads_the_database_beside_the_secret(tmp_path):
    folder = secret_file(tmp_path).parent
    folder.mkdir(mode=0o755)
    secret(tmp_path)
    assert folder.stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize(
    "text", ["", "x", "\x00" * 64, "한" * 64, "no colon in here, but it is long enough"]
)
def test_a_damaged_secret_is_made_anew(tmp_path, text):
    first = secret(tmp_path)
    secret_file(tmp_path).write_text(text)
    made = secret(tmp_path)
    assert made not in (first, text)
    assert secret(tmp_path) == made


def test_a_secret_that_others_could_read_is_none(tmp_path):
    first = secret(tmp_path)
    secret_file(tmp_path).chmod(0o644)
    assert secret(tmp_path) != first
    assert secret_file(tmp_path).stat().st_mode & 0o777 == 0o600


def test_a_secret_that_cannot_be_read_is_made_anew(tmp_path):
    secret_file(tmp_path).parent.mkdir()
    secret_file(tmp_path).symlink_to("secret")  # root reads every file, and no circle
    assert secret(tmp_path) == secret(tmp_path)


def test_processes_that_ask_at_once_get_the_same_secret(tmp_path):
    code = "import sys; from pathlib import Path; from flows.server_files import secret;"
    code += " print(secret(Path(sys.argv[1])))"
    command = [sys.executable, "-c", code, str(tmp_path)]
    asked = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(4)]
    assert {process.communicate()[0].strip() for process in asked} == {secret(tmp_path)}


@pytest.mark.skipif(os.getuid() != 0, reason="takes root to give a folder away")
def test_each_user_of_a_shared_home_has_a_prefect_of_their_own(tmp_path, monkeypatch):
    secret(tmp_path)
    os.chown(tmp_path / "prefect", 12345, 12345)
    assert prefect_folder(tmp_path) == tmp_path / "prefect"  # root reads every secret
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    assert prefect_folder(tmp_path) == tmp_path / "prefect-0"


@pytest.mark.skipif(os.getuid() != 0, reason="takes root to give a folder away")
def test_a_folder_that_another_user_laid_out_for_us_is_refused(tmp_path, monkeypatch):
    """Who owns it could read the secret, or exchange the database."""
    for name in ("prefect", "prefect-0"):
        (tmp_path / name).mkdir()
        os.chown(tmp_path / name, 12345, 12345)
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    with pytest.raises(WorkError, match=r"prefect-0 belongs to another user \(number 12345\)"):
        secret(tmp_path)


@pytest.mark.parametrize(
    "odd",
    [
        "",
        "[]",
        "null",
        "{}",
        '{"url": 3, "pid": 1}',
        '{"url": "http://127.0.0.1:1/api", "pid": "1"}',
        '{"url": "http://127.0.0.1:1/api", "pid": true}',
        '{"url": "http://evil.example/api", "pid": 1}',
        '{"url": "http://127.0.0.1:x@evil.example/api", "pid": 1}',
        "\x00",
        "[" * 100_000,
    ],
)
def test_an_odd_record_is_none(tmp_path, odd):
    (tmp_path / "prefect").mkdir()
    (tmp_path / "prefect" / "server.json").write_text(odd)
    assert read_record(tmp_path) is None


@pytest.mark.parametrize(
    "pid", [os.getpid(), 1, 0, -1, 1 << 31, 10**30], ids=["own", "1", "0", "-1", "2^31", "10^30"]
)
def test_a_record_whose_process_is_another_program_is_stale(tmp_path, pid):
    """Its port may be that program's, which must not be sent the secret."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        write_record(tmp_path, Record(f"http://127.0.0.1:{other.getsockname()[1]}/api", pid))
        assert not read_record(tmp_path).is_running()


def test_a_whole_database_stays(tmp_path):
    database = tmp_path / "prefect.db"
    assert damage_of(database) == ""
    with closing(sqlite3.connect(database)) as connection:
        connection.execute("CREATE TABLE run (name TEXT)")
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("BEGIN EXCLUSIVE")
        assert damage_of(database) == ""  # another server is busy with it


def test_a_damaged_database_is_named_and_set_aside(tmp_path):
    database = tmp_path / "prefect.db"
    database.write_bytes(b"no database " * 1000)
    assert damage_of(database) == "file is not a database"
    (tmp_path / "prefect.db-wal").write_bytes(b"x")
    (tmp_path / "memo_store.toml").write_text("blocks are there")
    kept = set_aside(database)
    assert kept.read_bytes().startswith(b"no database ")
    names = {path.name for path in tmp_path.iterdir()}
    assert names == {kept.name, f"{kept.name}-wal"}


def test_a_page_that_was_overwritten_is_found(tmp_path):
    database = tmp_path / "prefect.db"
    with closing(sqlite3.connect(database)) as connection:
        connection.execute("CREATE TABLE run (name TEXT)")
        connection.executemany("INSERT INTO run VALUES (?)", [("x" * 500,)] * 500)
        connection.commit()
    content = bytearray(database.read_bytes())
    content[8192:20480] = b"\xff" * 12288
    database.write_bytes(content)
    assert damage_of(database) != ""


def test_a_folder_is_no_database(tmp_path):
    (tmp_path / "prefect.db").mkdir()
    assert damage_of(tmp_path / "prefect.db") == "it is no file"
    assert set_aside(tmp_path / "prefect.db").is_dir()


def test_the_record_holds_no_secret(tmp_path):
    made = secret(tmp_path)
    write_record(tmp_path, Record("http://127.0.0.1:1/api", os.getpid()))
    text = (tmp_path / "prefect" / "server.json").read_text()
    assert json.loads(text).keys() == {"url", "pid", "host"}
    assert made not in text
