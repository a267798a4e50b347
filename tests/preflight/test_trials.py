"""`kospilot train sweep`: what a stage reads is found in the store, and trials run in a process of
their own.
"""

import json

import pytest

from flows.commands.train import plan_card, sweep
from tasks.core.errors import RequestError
from tasks.core.preflight import prepare, trials
from tasks.core.processes.host import accelerator
from tests.chain.test_adoption import of, publish
from tests.tiny import chat_rows, make_base, write_jsonl

pytestmark = pytest.mark.slow  # they train


@pytest.fixture
def home(tmp_path, monkeypatch):
    """A store that holds what Stage 2 reads, for a command that is told of no profile."""
    folders = {name: tmp_path / name for name in ("download", "market", "synthesize")}
    for folder in folders.values():
        folder.mkdir()
    make_base(folders["download"] / "base")
    for file in ("download/sources/rows.csv", "market/train/days", "market/holdout/days"):
        (tmp_path / file).parent.mkdir()
        (tmp_path / file).write_text("a\n")
    write_jsonl(folders["synthesize"] / "rows.jsonl", chat_rows(12))
    for module in (prepare, trials):
        monkeypatch.setattr(
            module, "prepare", lambda profile, overrides: of(tmp_path / "home", *overrides)
        )
    return tmp_path / "home", folders


def test_a_stage_is_swept_once_its_rows_are_there_and_nothing_is_kept(home, capsys):
    top, folders = home
    with pytest.raises(RequestError, match="download is not there for these settings"):
        sweep(profile="demo", ranks="2")
    for name, folder in folders.items():
        publish(of(top), name, folder)
    before = set(top.rglob("*"))
    sweep(profile="demo", ranks="2, 8", steps=1, as_json=True)
    told = json.loads(capsys.readouterr().out)
    assert [(line["rank"], line["steps"], line["backend"]) for line in told] == [
        (2, 1, "trl"),
        (8, 1, "trl"),
    ]
    assert told[1]["parameters"] == 4 * told[0]["parameters"]
    assert {path.name for path in set(top.rglob("*")) - before} == {
        ".locks",
        f"{accelerator()}.lock",
    }


def test_without_any_stage_there_is_nothing_to_try_out_or_to_plan(home):
    skipped = "stages.skip=[stage1,stage2,stage3]"
    for asked in (
        lambda: sweep("demo", [skipped], ranks="2"),
        lambda: plan_card("demo", [skipped], "8gb", True),
    ):
        with pytest.raises(
            RequestError, match="^stages.skip leaves no stage to train; take one out of it.$"
        ):
            asked()
