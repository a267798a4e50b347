"""Children end with us, relay what they print, and say what went wrong."""

import os
import signal
import subprocess
import sys
import time

import psutil
import pytest

from tasks.core.errors import RequestError, WorkError
from tasks.core.processes.child import run_child, run_kospilot_program, start_child, stop_child
from tasks.core.processes.server import GUARD


def test_lines_are_relayed_and_the_frames_of_a_bar_are_lines():
    lines = []
    run_child([sys.executable, "-c", "print('one'); print('10%\\r50%\\r100%')"], lines.append)
    assert lines == ["one", "10%", "50%", "100%"]


def test_a_library_is_compiled_once_and_not_in_each_child(monkeypatch):
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
    assert run_child([sys.executable, "-c", "import sys; print(sys.dont_write_bytecode)"]) == [
        "False"
    ]


def test_a_failure_tells_the_code_and_the_last_lines():
    code = "import sys; print('cannot open it', file=sys.stderr); sys.exit(3)"
    with pytest.raises(WorkError, match=r"exited with 3:\ncannot open it"):
        run_child([sys.executable, "-c", code])


@pytest.mark.parametrize(
    ("code", "output", "error", "message"),
    [
        (2, "a library: error: 3\nerror: No row fits.", RequestError, "No row fits."),
        (1, "words\nerror: The disk is full.", WorkError, "The disk is full."),
        (2, "a library: error: 3", WorkError, "sh exited with 2:\na library: error: 3"),
    ],
)
def test_a_program_of_ours_fails_with_its_own_words_and_as_what_it_says(
    code, output, error, message
):
    with pytest.raises(error) as raised:
        run_kospilot_program(["sh", "-c", f"echo '{output}'; exit {code}"], print)
    assert str(raised.value) == message


def test_an_error_in_the_relay_ends_the_child():
    def broken(line):
        raise ValueError(line)

    with pytest.raises(ValueError, match="started"):
        run_child(
            [sys.executable, "-c", "import time; print('started', flush=True); time.sleep(60)"],
            broken,
        )


def test_stopping_ends_grandchildren_too():
    code = (
        "import subprocess\n"
        "grandchild = subprocess.Popen(['sleep', '60'])\n"
        "print(grandchild.pid, flush=True); grandchild.wait()"
    )
    child = start_child([sys.executable, "-c", code])
    grandchild = psutil.Process(int(child.stdout.readline()))
    stop_child(child)
    child.stdout.close()
    gone, alive = psutil.wait_procs([grandchild], timeout=10)
    assert not alive


@pytest.mark.parametrize("guard", [GUARD, ("sh", "-c", '"$@" & wait', "sh")], ids=["ours", "none"])
def test_a_server_behind_a_script_has_the_time_to_end_in_order(guard, tmp_path):
    code = "trap 'sleep 0.3; touch ended; exit' TERM; echo ready; while :; do sleep 0.05; done"
    child = start_child([*guard, "sh", "-c", code], cwd=tmp_path)
    assert child.stdout.readline() == "ready\n"
    stop_child(child)
    child.stdout.close()
    assert (tmp_path / "ended").exists()


def test_one_that_does_not_end_is_killed_when_the_patience_is_over():
    child = start_child([*GUARD, "sh", "-c", "trap '' TERM; echo $$; while :; do sleep 0.05; done"])
    stubborn = psutil.Process(int(child.stdout.readline()))
    stop_child(child, patience_s=0.3)
    child.stdout.close()
    gone, alive = psutil.wait_procs([stubborn], timeout=10)
    assert not alive


def test_what_a_killed_child_left_behind_is_ended():
    """A killed Ollama leaves its runner, with the model in memory."""
    child = start_child(["sh", "-c", "sleep 60 & echo $!; wait"])
    grandchild = psutil.Process(int(child.stdout.readline()))
    child.kill()
    child.wait()
    stop_child(child)
    child.stdout.close()
    gone, alive = psutil.wait_procs([grandchild], timeout=10)
    assert not alive


@pytest.mark.skipif(sys.platform != "linux", reason="the parent-death signal is Linux's")
@pytest.mark.parametrize(
    "command",
    [
        "['sleep', '60']",
        "[*GUARD, 'sh', '-c', 'sleep 60; true']",
        """['sh', '-c', "trap '' TERM; exec sleep 60"], at_our_death=SIGKILL""",
    ],
    ids=["a program", "a script that runs one", "one that SIGTERM does not end"],
)
def test_a_killed_parent_takes_its_child_along(command):
    code = (
        "from tasks.core.processes.child import start_child; import time\n"
        "from signal import SIGKILL\n"
        "from tasks.core.processes.server import GUARD\n"
        f"child = start_child({command})\n"
        "time.sleep(0.3); print(child.pid, flush=True); time.sleep(60)"
    )
    parent = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    child = psutil.Process(int(parent.stdout.readline()))
    started = [child, *child.children(recursive=True)]
    assert [process for process in started if "sleep" in process.name()]
    os.kill(parent.pid, signal.SIGKILL)
    parent.wait()
    parent.stdout.close()
    deadline = time.monotonic() + 10
    for process in started:
        while process.is_running() and process.status() != psutil.STATUS_ZOMBIE:
            assert time.monotonic() < deadline
            time.sleep(0.05)


def test_a_program_starts_over_as_the_same_process_with_the_same_command_and_no_open_files(
    tmp_path,
):
    program = tmp_path / "program.py"
    program.write_text(
        "import os, sys\n"
        "from tasks.core.processes.child import start_over\n"
        "print(os.getpid(), *sys.argv[1:], len(os.listdir('/dev/fd')))\n"
        "if not os.path.exists('seen'):\n"
        "    held = open('seen', 'w')\n"
        "    os.set_inheritable(held.fileno(), True)\n"
        "    start_over()\n"
        "sys.exit(5)\n"
    )
    env = {**os.environ, "PYTHONPATH": os.getcwd()}
    command = [sys.executable, program, "one", "two words"]
    done = subprocess.run(
        command, cwd=tmp_path, env=env, capture_output=True, text=True, check=False
    )
    first, second = done.stdout.splitlines()
    assert first == second
    assert "one two words" in first
    assert done.returncode == 5
