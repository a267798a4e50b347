"""Surroundings of public bug reports: terminals, addresses, names, homes and servers of others.

Each test is a case's command. What the cases want of a whole run is in tests/pipeline.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from safetensors.torch import save_file

from flows.server_files import Record, write_record
from flows.server_settings import recorded_server
from tasks.core.market.demo import generate_demo_market
from tasks.core.settings.home import kospilot_home
from tests.conftest import made_once
from tests.files.test_foreign import POINTER
from tests.flows.test_cli import kospilot  # noqa: F401
from tests.flows.test_server_settings import answering

PAGE = {"*": (200, "<!doctype html><html>welcome</html>")}
KOSPILOT = (sys.executable, "-m", "flows")


@pytest.fixture
def home(tmp_path_factory):
    """A home that has the demo's market already."""
    market = made_once(tmp_path_factory, "market", generate_demo_market)
    shutil.copytree(market, kospilot_home() / "market" / "demo")
    return kospilot_home()


def words(text):
    return " ".join(text.split())


C_LOCALE = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("terminal", "arguments", "told"),
    [
        ({"PYTHONIOENCODING": "cp949"}, ("schema", "✗ 국면"), "There is no kind 'x 국면'"),
        ({"PYTHONIOENCODING": "euc-kr"}, ("schema", "✗ 국면"), "There is no kind 'x 국면'"),
        (C_LOCALE, ("ask", "국면은? ✗"), "No model was released yet"),
    ],
    ids=["cp949", "euc-kr", "C"],
)
def test_d03_a_terminal_that_lacks_our_signs(terminal, arguments, told):
    env = {**os.environ, **terminal}
    done = subprocess.run([*KOSPILOT, *arguments], env=env, capture_output=True, check=False)
    assert done.returncode == 2
    assert told in words(done.stderr.decode(terminal.get("PYTHONIOENCODING", "ascii")))


def test_d10_a_web_application_in_the_place_of_ollama(kospilot, home, monkeypatch):  # noqa: F811
    with answering(PAGE) as (url, _):
        address = url.removeprefix("http://").removesuffix("/api")
        monkeypatch.setenv("OLLAMA_HOST", address)
        asked = kospilot("ask", "kospilot-demo", "국면은?")
        checked = kospilot("doctor")
    assert asked.code == 1
    assert "no Ollama answers there" in words(asked.err)
    assert checked.code == 1
    assert "no Ollama answers there" in words(checked.out + checked.err)


@pytest.mark.parametrize("address", ["127.0.0.1:99999", "localhost:abc", "tcp://127.0.0.1:11434"])
def test_d11_an_address_that_is_none(kospilot, home, monkeypatch, address):  # noqa: F811
    monkeypatch.setenv("OLLAMA_HOST", address)
    planned = kospilot("plan", "demo")
    assert planned.code == 2
    assert f"OLLAMA_HOST is '{address}', which is no address" in words(planned.err)


@pytest.mark.parametrize("name", ["my model", "코스피모델", "kospi:v1"])
@pytest.mark.parametrize("command", [("plan", "demo"), ("run", "demo", "--only", "register")])
def test_d22_a_name_that_ollama_refuses(kospilot, name, command):  # noqa: F811
    done = kospilot(*command, f"release.name={name}")
    assert done.code == 2
    assert "release.name" in words(done.err)


@pytest.mark.parametrize(
    "command",
    [
        ("data", "check", "rows.jsonl"),
        ("data", "report", "rows.jsonl"),
        ("market", "import", "rows.csv", "--market", "new"),
        ("plan", "demo", "data.own=rows.csv", "data.own_share=1"),
        ("plan", "demo", "data.reasoning_logs=logs", "data.reasoning_logs_share=0.1"),
        ("release", "adapter", "--base", "no/model", "--rows", "rows.jsonl"),
    ],
    ids=lambda command: " ".join(command[:2]),
)
def test_c30_a_pointer_of_git_lfs(kospilot, tmp_path, monkeypatch, command):  # noqa: F811
    monkeypatch.chdir(tmp_path)
    for folder in ("logs/2024-01-02", "adapter"):
        Path(folder).mkdir(parents=True)
    for file in ("rows.jsonl", "rows.csv", "logs/2024-01-02/a.json"):
        Path(file).write_text(POINTER)
    Path("adapter/adapter_config.json").write_text('{"peft_type": "LORA", "r": 4, "lora_alpha": 8}')
    save_file({}, "adapter/adapter_model.safetensors")
    done = kospilot(*command)
    assert done.code == 2
    assert "is a Git LFS pointer, not the file itself. Fetch it: git lfs pull" in words(done.err)


@pytest.mark.slow
@pytest.mark.skipif(
    os.getuid() != 0 or not shutil.which("setpriv"), reason="needs root, to be nobody"
)
def test_e14_a_user_without_a_home():
    nobody = ["setpriv", "--reuid", "12345", "--regid", "12345", "--clear-groups"]
    command = ["env", "-u", "HOME", "-u", "KOSPILOT_HOME", *nobody, *KOSPILOT, "plan", "demo"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "Set KOSPILOT_HOME" in words(done.stderr)


@pytest.mark.parametrize("answer", ["true", "<html>"])
def test_e17_a_stale_record_whose_port_is_another_programs(kospilot, tmp_path, answer):  # noqa: F811
    with answering({"*": (200, answer)}) as (url, asked):
        write_record(kospilot_home(), Record(url, os.getpid()))
        table = tmp_path / "prices.csv"
        table.write_text("date,ticker,close\n2024-01-02,005930,79600\n")
        done = kospilot("market", "import", str(table), "--market", str(tmp_path / "market"))
        assert recorded_server(kospilot_home()) is None
    assert done.code == 0
    assert "The server was told" not in done.err
    assert asked == []  # it is sent no secret
