"""The command's manners: a wrong request is one short paragraph and exit code 2, no traceback."""

import errno
import json
import os
import signal
import socket
import subprocess
import sys
from dataclasses import dataclass

import pytest

from flows import cli


@dataclass(frozen=True)
class Done:
    """How a command ended, and what it printed."""

    code: int
    out: str
    err: str


@pytest.fixture
def kospilot(monkeypatch, capsys):
    """The command, run in this process."""
    handler = signal.getsignal(signal.SIGTERM)

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["kospilot", *arguments])
        with pytest.raises(SystemExit) as end:
            cli.main()
        printed = capsys.readouterr()
        return Done(end.value.code, printed.out, printed.err)

    yield run
    signal.signal(signal.SIGTERM, handler)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["run", "dmo"], "There is no profile 'dmo'. Did you mean demo?"),
        (["plan"], "Missing"),
        (["plan", "demo", "--forc", "x"], "No such option"),
        (
            ["plan", "demo", "--card", "banana"],
            "--card banana is neither a size in GiB (8gb, 24gb, 20) nor one of",
        ),
        (
            ["train", "sweep", "demo", "--ranks", "8,x"],
            "--ranks 8,x is no list of ranks: --ranks 8,16,32.",
        ),
        (
            ["train", "probe", "demo", "--stage", "stage4"],
            "There is no stage 'stage4' to try out. Did you mean stage",
        ),
        (["frobnicate"], "No such command"),
        (
            ["settings", "demo", "synthesis.rowz=1"],
            "There is no setting 'synthesis.rowz'. Did you mean synthesis.rows?",
        ),
        (
            ["run", "demo", "--only", "quantise"],
            "There is no step 'quantise'. Did you mean quantize?",
        ),
        (["run", "demo", "market.dir=/nowhere"], "There is no market folder /nowhere"),
        (["run", "demo", "--only", "pairs"], "`kospilot run demo --until synthesize` first"),
        (["artifacts", "show", "abc"], "No artifact's key begins with 'abc'"),
        (["tools", "install", "llama"], "There is no tool 'llama'"),
        (["ask"], "No model was released yet"),
        (["ask", "어떤 국면?"], "No model was released yet"),
        (["schema", "regime"], "There is no kind 'regime'"),
    ],
)
def test_a_wrong_request(arguments, told, kospilot):
    done = kospilot(*arguments)
    assert done.code == 2
    assert told in " ".join(done.err.split())
    assert "Traceback" not in done.err
    assert done.out == ""


def test_a_wrong_request_from_a_shell():
    command = [sys.executable, "-m", "flows", "run", "dmo"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "There is no profile 'dmo'. Did you mean demo?" in done.stderr
    assert done.stdout == ""


_FAILS_IN_DUCKDB = """
import sys, threading
from flows import cli
from tasks.core.errors import RequestError
from tasks.core.market.database import open_market

def keep(error):  # to the very end, as Prefect does
    keeper = threading.Thread(target=threading.Event().wait, daemon=True)
    keeper.kept = error
    keeper.start()

@cli.app.command()
def fail(ending: str):
    try:
        with open_market([]) as connection:
            if ending == "stopped":
                raise KeyboardInterrupt
            connection.execute("SELECT nonsense")
    except BaseException as error:
        if ending == "told":
            wrong = RequestError("it is nonsense")
            keep(wrong)
            raise wrong from error
        keep(error)
        raise

cli.main()
"""


@pytest.mark.parametrize(
    ("arguments", "code", "last"),
    [
        (["fail", "told"], 2, "error: it is nonsense"),
        (["--debug", "fail", "told"], 1, "tasks.core.errors.RequestError: "),
        (["fail", "untold"], 1, "_duckdb.BinderException: "),
        (["fail", "stopped"], 130, "Interrupted. "),
    ],
)
def test_an_error_is_the_last_that_is_told_though_someone_keeps_it(arguments, code, last, tmp_path):
    command = [sys.executable, "-c", _FAILS_IN_DUCKDB, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert done.returncode == code
    assert "nanobind" not in done.stderr
    assert done.stderr[done.stderr.index(last) :].count("\n") <= 4


def test_a_disk_that_is_read_only_is_told_with_what_to_do(kospilot, monkeypatch):
    def refuse(home):
        raise OSError(errno.EROFS, os.strerror(errno.EROFS), f"{home}/artifacts/.locks/gc.lock")

    monkeypatch.setattr("tasks.core.chain.status.read_status", refuse)
    done = kospilot("status")
    assert done.code == 1
    told = "".join(done.err.split())
    assert "artifacts/.locks/gc.lockcannotbewritten(Read-onlyfilesystem).Mountitso" in told


def test_a_kinds_schema_is_one_json_document(kospilot):
    schema = json.loads(kospilot("schema", "regime_classification").out)
    assert schema["type"] == "object"
    assert "regime" in schema["properties"]


def test_serve_refuses_a_port_where_another_server_would_be_taken_for_ours(kospilot):
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        done = kospilot("serve", "--port", str(port))
    assert done.code == 2
    told = " ".join(done.err.split())
    assert f"Port {port} is taken" in told
    assert f"kospilot serve --port {port + 1}." in told


def test_serve_refuses_a_wrong_profile_before_it_starts_anything(kospilot):
    done = kospilot("serve", "kospi7b", "market.dirr=x")
    assert done.code == 2
    assert "There is no profile 'kospi7b'. Did you mean kospi-7b?" in " ".join(done.err.split())
