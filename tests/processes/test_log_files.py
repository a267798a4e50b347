"""A server's log is kept from start to start and rotated; a start tells its own words only."""

import subprocess
import sys

import pytest

from tasks.core.errors import WorkError
from tasks.core.processes.child import stop_child
from tasks.core.processes.log_files import read_since, rotate
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


def test_a_long_log_is_rotated_under_a_program_that_writes(tmp_path):
    log = tmp_path / "server.log"
    write = "import sys; [print(line.strip(), flush=True) for line in sys.stdin]"
    with log.open("a") as opened:
        writer = subprocess.Popen(
            [sys.executable, "-u", "-c", write], stdin=subprocess.PIPE, stdout=opened, text=True
        )
    for number in range(8):
        before = log.stat().st_size
        writer.stdin.write(f"line {number}\n")
        writer.stdin.flush()
        while log.stat().st_size == before:
            pass
        rotate(log, most=0)
    writer.communicate()
    kept = sorted(path.name for path in tmp_path.glob("server.log*"))
    assert kept == ["server.log", *[f"server.log.{number}" for number in range(1, 6)]]
    assert (tmp_path / "server.log.1").read_text() == "line 7\n"
    assert (tmp_path / "server.log.5").read_text() == "line 3\n"
    assert log.read_text() == ""


def test_a_short_log_stays_and_a_rotated_one_is_read_from_its_beginning(tmp_path):
    log = tmp_path / "server.log"
    rotate(log)
    log.write_text("one\ntwo\n")
    rotate(log)
    assert read_since(log, 4) == "two\n"
    assert read_since(log, 100) == "one\ntwo\n"
