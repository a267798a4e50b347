"""The command's manners: a wrong request is one short paragraph and exit code 2, and never a
traceback.
"""

import json
import socket
import subprocess
import sys

import pytest


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
        (["ask"], "No model was promoted yet"),
        (["ask", "어떤 국면?"], "No model was promoted yet"),
        (["schema", "regime"], "There is no kind 'regime'"),
    ],
)
def test_a_wrong_request(arguments, told):
    done = subprocess.run(
        [sys.executable, "-m", "flows", *arguments], capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert told in " ".join(done.stderr.split())
    assert "Traceback" not in done.stderr
    assert done.stdout == ""


def test_a_kinds_schema_is_one_json_document():
    arguments = [sys.executable, "-m", "flows", "schema", "regime_classification"]
    done = subprocess.run(arguments, capture_output=True, text=True, check=True)
    told = json.loads(done.stdout)
    assert told["type"] == "object"
    assert "regime" in told["properties"]


def test_serve_refuses_a_port_where_another_server_would_be_taken_for_ours():
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        arguments = [sys.executable, "-m", "flows", "serve", "--port", str(port)]
        done = subprocess.run(arguments, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 2
    told = " ".join(done.stderr.split())
    assert f"Port {port} is taken" in told
    assert f"kospilot serve --port {port + 1}." in told


def test_serve_refuses_a_wrong_profile_before_it_starts_anything():
    arguments = [sys.executable, "-m", "flows", "serve", "kospi7b", "market.dirr=x"]
    done = subprocess.run(arguments, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 2
    assert "There is no profile 'kospi7b'. Did you mean kospi-7b?" in " ".join(done.stderr.split())
