"""A server's log is kept from start to start and rotated; a start tells its own words only."""

import subprocess
import sys

import pytest

from tasks.core.errors import WorkError
from tasks.core.processes import log_files
from tasks.core.processes.child import stop_child
from tasks.core.processes.log_files import keep_rotated, read_since, rotate
from tasks.core.processes.server import Program, start_server


def start(text, log, answers=lambda: True):
    program = Program([sys.executable, "-c", f"print({text!r})"])
    return start_server(program, log, answers)


def test_a_start_keeps_what_was_logged_before(tmp_path):
    log = tmp_path / "logs" / "server.log"
    for text in ("first", "second"):
        process = start(text, log)
        process.wait()
        stop_child(process)
    assert log.read_text() == "first\nsecond\n"


def test_a_failed_start_tells_its_own_words_only(tmp_path):
    log = tmp_path / "server.log"
    log.write_text("an error of last week\n")
    with pytest.raises(WorkError) as told:
        start("of today", log, answers=lambda: False)
    assert "of today" in str(told.value)
    assert "last week" not in str(told.value)


WRITES_WITHOUT_A_PAUSE = """
import sys
from pathlib import Path
from tasks.core.processes import log_files

log, stop = map(Path, sys.argv[1:])
log_files._LOOK_EVERY_S = 0.005
log_files.keep_rotated(log)
number = 0
while not stop.exists():
    print(number, file=sys.stderr if number % 2 else sys.stdout, flush=True)
    number += 1
"""


def start_writer(log, stop):
    command = [sys.executable, "-c", WRITES_WITHOUT_A_PAUSE, str(log), str(stop)]
    with log.open("a") as opened:
        return subprocess.Popen(command, stdout=opened, stderr=subprocess.STDOUT)


def test_no_line_is_lost_when_a_log_is_rotated_under_a_program_that_writes(tmp_path):
    log, stop = tmp_path / "server.log", tmp_path / "stop"
    writer = start_writer(log, stop)
    for _ in range(5):
        while not log.exists() or log.stat().st_size < 2000:
            assert writer.poll() is None
        rotate(log, most=0)
    while not log.exists() or not log.stat().st_size:
        assert writer.poll() is None
    stop.touch()
    writer.wait()
    files = [*[tmp_path / f"server.log.{number}" for number in (5, 4, 3, 2, 1)], log]
    lines = "".join(file.read_text() for file in files).splitlines()
    assert lines == [str(number) for number in range(len(lines))]
    kept = {path.name for path in tmp_path.glob("server.log*")}
    assert kept == {file.name for file in files}


def test_a_program_rotates_the_log_that_its_output_goes_to_and_no_other(tmp_path, monkeypatch):
    monkeypatch.setattr(log_files, "Thread", None)
    others = tmp_path / "server.log"
    others.write_text("of a server that runs elsewhere\n")
    keep_rotated(others)
    keep_rotated(tmp_path / "none.log")
    assert [file.name for file in tmp_path.iterdir()] == ["server.log"]


def test_old_logs_are_removed_until_the_rest_has_the_room_of_a_rotated_log(tmp_path, monkeypatch):
    monkeypatch.setattr(log_files, "_MOST", 10)
    days = [tmp_path / f"2026-11-{day:02d}.jsonl" for day in range(1, 9)]
    for day in days:
        day.write_text("x" * 20)
    log_files.prune(days)
    assert sorted(tmp_path.iterdir()) == days[-3:]
    days[-1].write_text("x" * 1000)
    log_files.prune(days)
    assert sorted(tmp_path.iterdir()) == days[-1:]
    log_files.prune([])


def test_a_short_log_stays_and_a_rotated_one_is_read_from_its_beginning(tmp_path):
    log = tmp_path / "server.log"
    rotate(log)
    log.write_text("one\ntwo\n")
    rotate(log)
    assert read_since(log, 4) == "two\n"
    assert read_since(log, 100) == "one\ntwo\n"
