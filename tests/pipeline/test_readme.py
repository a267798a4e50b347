"""Every command of the README is run here, or by the test named beside it."""

import json
import re
import shlex
import shutil
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import flows
from tests.data.test_tool_calls import ROW, TOOLS
from tests.market.folders import weekdays

pytestmark = pytest.mark.slow

README = Path(flows.__file__).resolve().parent.parent / "README.md"

ELSEWHERE = {
    "pip install uv": "what runs these tests",
    "uv run pytest": "what runs these tests",
    "uv run kospilot serve kospi-7b market.dir=data/market_daily": "tests/pipeline/test_serve.py",
    "uv run kospilot tensorboard": "tests/flows/test_tensorboard.py",
    "uv run kospilot tools install ollama": ".ci/run",
    "uv run kospilot chat": "test_chat below",
}
DOCTOR_MAY_FAIL = (
    "uv run kospilot doctor kospi-7b"  # on a machine without a GPU it says so and exits with 1
)


def commands():
    blocks = re.findall(r"```sh\n(.*?)```", README.read_text(encoding="utf-8"), re.S)
    return [line for block in blocks for line in block.splitlines() if line]


@pytest.fixture(scope="module")
def place(finished, tmp_path_factory):
    """A home and a working folder with the files that the README's examples name."""
    folder = tmp_path_factory.mktemp("readme")
    home = finished.copy(folder / "home")
    days = weekdays("2024-01-02", 28)
    prices = {
        "Date": days,
        "Code": ["005930"] * 28,
        "Open": [100] * 28,
        "High": [130] * 28,
        "Low": [90] * 28,
    }
    prices |= {"Close": [100 + day % 5 for day in range(28)], "Volume": [1000] * 28}
    pq.write_table(pa.table(prices), folder / "prices.parquet")
    (folder / "krx_listing.csv").write_text(
        "Code,Name,Stocks\n005930,삼성전자,5969782550\n", encoding="utf-8"
    )
    samples = [{"messages": ROW, "tools": TOOLS}] * 2
    (folder / "samples.jsonl").write_text("\n".join(map(json.dumps, samples)), encoding="utf-8")
    shutil.copy(home.path("synthesize") / "rows.jsonl", folder / "rows.jsonl")
    return home, folder


@pytest.mark.parametrize("command", [command for command in commands() if command not in ELSEWHERE])
def test_readme_command(place, command):
    home, folder = place
    words = shlex.split(command)
    assert words[:3] == ["uv", "run", "kospilot"]
    arguments = words[3:]
    if arguments == ["demo"]:
        arguments += home.small
    # hours of a GPU: what it would do is all that can be shown here
    if arguments[0] == "run" and arguments[1] in ("kospi-7b", "tool-calling"):
        arguments[0] = "plan"
    code = 1 if command == DOCTOR_MAY_FAIL else 0
    done = home.kospilot(*arguments, code=code, folder=folder)
    assert done.stdout + done.stderr


def test_chat(finished):
    process = finished.start("chat", stdin=-1)
    told = process.communicate("오늘 시장은?\n\n", timeout=600)[0]
    assert process.returncode == 0
    assert len(told.splitlines()) > 1


def test_every_command_elsewhere_is_in_the_readme():
    text = README.read_text(encoding="utf-8")
    assert all(command in text for command in ELSEWHERE)
