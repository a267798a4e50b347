"""What runs again, and what does not, after the chain has run once."""

import json
import os
import shutil

import pytest

pytestmark = pytest.mark.slow

ALWAYS = {"download", "normalize", "stage1", "market"}


def test_the_same_again_runs_nothing_and_says_why(finished):
    before = finished.made()
    done = finished.run()
    assert "Nothing to do" in done.stderr
    assert finished.made() == before
    assert {line["action"] for line in finished.plan().values()} == {"skip"}


def test_more_rows_run_synthesis_and_leave_the_rest(finished, tmp_path):
    home = finished.copy(tmp_path / "home")
    planned = home.plan("synthesis.rows=26")
    assert {step for step, line in planned.items() if line["action"] == "skip"} >= ALWAYS
    assert planned["synthesize"]["action"] == "run"
    assert planned["synthesize"]["reason"] == "synthesis.rows changed from 24 to 26"
    before = home.made()
    home.run("synthesis.rows=26", "--until", "pairs")
    after = home.made()
    assert {step for step in after if after[step] != before[step]} == {"synthesize", "pairs"}


@pytest.mark.parametrize(
    "how", ["stage1.log_every=3", "stage2.micro_batch=2", "stage3.save_every=5"]
)
def test_how_the_work_is_done_makes_nothing_run(finished, how):
    assert {line["action"] for line in finished.plan(how).values()} == {"skip"}


def test_touching_the_market_makes_nothing_run(finished):
    for file in (finished.folder / "market").rglob("*.parquet"):
        os.utime(file)
    assert {line["action"] for line in finished.plan().values()} == {"skip"}


def test_a_deleted_gguf_is_rebuilt_and_nothing_is_trained(finished, tmp_path):
    home = finished.copy(tmp_path / "home")
    (home.path("quantize") / "model.gguf").unlink()
    before, done = home.made(), home.run()
    assert "model.gguf is missing" in done.stderr
    assert "merge: its content was expended and gguf needs it" in done.stderr
    after = home.made()
    assert {step for step in after if after[step] != before[step]} == {"quantize"}
    assert home.newest("quantize").digest == finished.newest("quantize").digest
    told = home.figures
    assert told["kospilot_step_outcome", "quantize", "ran"] == 1
    assert told["kospilot_step_outcome", "stage2", "skipped"] == 1
    assert told["kospilot_training_tokens_per_second", "stage2", ""] > 0
    assert told["kospilot_run_succeeded", "", ""] == 1
    # The promotion was found, not made again, and what can be rebuilt went all the same.
    assert all(home.store.expended(home.newest(step)) for step in ("merge", "gguf"))


def test_a_truncated_adapter_is_trained_again_to_the_same_bytes(finished, tmp_path):
    home = finished.copy(tmp_path / "home")
    adapter = home.path("stage2") / "adapter_model.safetensors"
    whole = adapter.read_bytes()
    adapter.unlink()  # the copy shares its bytes with the original
    adapter.write_bytes(whole[: len(whole) // 2])
    before, done = home.made(), home.run()
    assert "its artifact is damaged: adapter_model.safetensors has" in done.stderr
    after = home.made()
    assert {step for step in after if after[step] != before[step]} == {"stage2"}
    assert home.newest("stage2").digest == finished.newest("stage2").digest


def test_without_prefects_database_nothing_runs(finished, tmp_path):
    home = finished.copy(tmp_path / "home")
    shutil.rmtree(home.folder / "prefect")
    assert "Nothing to do" in home.run().stderr
    assert not (home.folder / "prefect").exists()


def test_a_forced_step_runs_and_equal_content_stops_there(finished, tmp_path):
    home = finished.copy(tmp_path / "home")
    before = home.made()
    home.run("--force", "normalize")
    after = home.made()
    assert {step for step in after if after[step] != before[step]} == {"normalize"}


def test_the_modelfile_of_a_registration_names_the_released_gguf(finished):
    modelfile = finished.path("register") / "Modelfile"
    first = modelfile.read_text(encoding="utf-8").splitlines()[0]
    named = modelfile.parent / first.removeprefix("FROM ")
    assert named.resolve() == (finished.path("quantize") / "model.gguf").resolve()


def test_the_store_explains_itself(finished):
    listed = json.loads(finished.kospilot("artifacts", "list", "--json").stdout)
    states = {line["step"]: line["state"] for line in listed}
    assert states["merge"] == states["gguf"] == "expended"
    assert states["quantize"] == states["stage3"] == "intact"
    shown = json.loads(
        finished.kospilot("artifacts", "show", finished.newest("stage2").key, "--json").stdout
    )
    assert shown["lineage"].keys() == {"download", "synthesize", "stage1"}
    assert (
        "intact" in finished.kospilot("artifacts", "verify", finished.newest("stage3").key).stdout
    )
    assert (
        "was the first of its step"
        in finished.kospilot("artifacts", "why", finished.newest("stage1").key).stdout
    )
    garbage = finished.kospilot("artifacts", "gc").stdout.splitlines()[1:]
    # The downloads are the user's own: there a killed one may have left something.
    assert [line for line in garbage if "downloads/tmp" not in line] == []
