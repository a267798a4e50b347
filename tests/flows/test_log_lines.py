"""KOSPILOT_LOG=json: every line of a command, of a run and of Prefect's processes is an object."""

import json
import logging
import os
import subprocess
import sys

import pytest

from flows.console import RunHandler, say, stderr, table
from flows.log_lines import JsonLines, keep_run_log
from flows.server_settings import base_settings
from tasks.core.settings.home import kospilot_home


@pytest.fixture(autouse=True)
def as_json(monkeypatch):
    monkeypatch.setenv("KOSPILOT_LOG", "json")


def record(text, name="tasks.chain", **extra):
    made = logging.LogRecord(name, logging.INFO, __file__, 1, text, None, None)
    made.__dict__.update(extra)
    return made


def lines(text):
    return [json.loads(line) for line in text.splitlines()]


def test_what_a_command_tells_is_a_line_each(capsys):
    say("! 한글\nand a second line")
    table("", ("step", "action"), [("market", "run")], stderr)
    handler = RunHandler()
    handler.emit(record("3 of 5", name="progress", step="market", fraction=0.6))
    handler.emit(record("market: ran", step="market", outcome="ran", seconds=1.5))
    warning, plan, ended = lines(capsys.readouterr().err)
    assert (warning["level"], warning["message"]) == ("WARNING", "한글\nand a second line")
    assert (plan["step"], plan["action"]) == ("market", "run")
    assert (ended["step"], ended["outcome"], ended["seconds"]) == ("market", "ran", 1.5)
    assert ended["at"].endswith("+00:00")


def test_an_exception_is_in_its_line():
    try:
        raise ValueError("two\nlines")
    except ValueError:
        made = record("failed")
        made.exc_info = sys.exc_info()
    [told] = lines(JsonLines().format(made))
    assert "ValueError: two\nlines" in told["exception"]


def test_a_workers_run_keeps_its_lines_and_its_end_with_its_id(monkeypatch):
    names = ("tasks", "prefect.flow_runs", "prefect.task_runs")
    for logger in map(logging.getLogger, names):
        monkeypatch.setattr(logger, "handlers", [])
        monkeypatch.setattr(logger, "level", logging.INFO)
    keep_run_log(kospilot_home())  # a terminal's run: its lines go to stderr
    assert logging.getLogger("tasks").handlers == []
    monkeypatch.setenv("PREFECT__FLOW_RUN_ID", "0190")
    for _ in range(2):
        keep_run_log(kospilot_home())
    [handler] = logging.getLogger("tasks").handlers
    logging.getLogger("tasks.core.market").info("read %d days", 5)
    logging.getLogger("prefect.flow_runs").error("Finished in state Failed()")
    handler.close()
    [file] = (kospilot_home() / "logs" / "runs").glob("*.jsonl")
    first, last = lines(file.read_text())
    assert (first["run"], first["message"]) == ("0190", "read 5 days")
    assert (last["level"], last["message"]) == ("ERROR", "Finished in state Failed()")


def test_the_oldest_days_of_runs_go_once_the_folder_is_large(monkeypatch):
    for name in ("tasks", "prefect.flow_runs", "prefect.task_runs"):
        monkeypatch.setattr(logging.getLogger(name), "handlers", [])
    monkeypatch.setenv("PREFECT__FLOW_RUN_ID", "0190")
    folder = kospilot_home() / "logs" / "runs"
    folder.mkdir(parents=True)
    for day in (1, 2, 3):
        with (folder / f"2026-11-0{day}.jsonl").open("w") as opened:
            opened.truncate(30 << 20)  # bytes that take no room on the disk
    keep_run_log(kospilot_home())
    logging.getLogger("tasks").handlers[0].close()
    old = sorted(file.name for file in folder.glob("2026-11-0*"))
    assert old == ["2026-11-02.jsonl", "2026-11-03.jsonl"]


def test_warnings_libraries_and_uncaught_errors_are_lines_too():
    program = (
        "import logging, warnings; from flows.log_lines import handle_the_rest; handle_the_rest();"
        " from flows.console import follow_run; follow_run();"
        " warnings.warn('old', stacklevel=1); logging.getLogger('httpx').warning('slow');"
        " logging.getLogger('prefect.flow_runs').warning('in our words');"
        " logging.getLogger('tasks.x').warning('once'); raise ValueError('a bug')"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    told = lines(done.stderr)
    assert [line["logger"] for line in told] == ["py.warnings", "httpx", "tasks.x", "kospilot"]
    assert told[-1]["message"] == "ValueError: a bug"
    assert "Traceback" in told[-1]["exception"]
    assert done.returncode == 1


def test_prefects_own_processes_log_lines(tmp_path):
    program = (
        "from prefect.logging.configuration import setup_logging; setup_logging();"
        " import logging; logging.getLogger('prefect.server').error('of %s', 60 * 'it ')"
    )
    env = {**os.environ, **base_settings(tmp_path)}
    how = {"env": env, "cwd": tmp_path, "capture_output": True, "text": True, "check": True}
    done = subprocess.run([sys.executable, "-c", program], **how)
    [told] = lines(done.stderr)
    assert (told["logger"], told["level"], told["message"]) == (
        ("prefect.server", "ERROR", "of " + 60 * "it ")
    )


@pytest.mark.parametrize(
    ("variable", "arguments", "told"),
    [
        ("json", ["run"], "Missing argument"),
        ("json", ["run", "nonsense"], "There is no profile 'nonsense'"),
        ("xml", ["status"], "KOSPILOT_LOG=xml is no form of a log: set KOSPILOT_LOG=json"),
    ],
)
def test_a_wrong_request_is_told_in_the_form_that_is_wanted(variable, arguments, told):
    env = {**os.environ, "KOSPILOT_LOG": variable}
    command = [sys.executable, "-m", "flows", *arguments]
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    said = " ".join(done.stderr.split())
    if variable == "json":
        [line] = lines(done.stderr)
        said = line["message"]
    assert told in said
