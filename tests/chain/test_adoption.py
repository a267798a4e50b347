"""An adapter from another machine is taken in if it is what the plan asks for, and refused with
every difference.
"""

import json
import math
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from flows.commands.artifacts import import_adapter
from tasks.core.chain.adoption import Adoption, adopt
from tasks.core.chain.manifest import Draft
from tasks.core.chain.plan import recipe_of
from tasks.core.chain.run import Run
from tasks.core.chain.store import Store
from tasks.core.errors import RequestError
from tasks.core.preflight import prepare as prepare_module
from tasks.core.settings.profiles import load
from tasks.core.steps import chain
from tasks.core.training.spec import STAGE_VERSION, TrainingSpec
from tasks.core.training.stage import train
from tests.chain.forged_adapter import (
    flip_a_bit,
    forge,
    forget_checks,
    link_the_card,
    lose_half,
    plant_code,
    spoil_weights,
)
from tests.tiny import chat_rows, make_base, preference_pairs, write_jsonl

pytestmark = pytest.mark.slow  # they train

SETTINGS = (
    "stages.skip=[stage1]",
    "training.lora_rank=4",
    "stage2.learning_rate=0.002",
    "stage3.learning_rate=0.001",
)
OUTSIDE = {"download": {"base": "tiny"}, "market": {"day": "d1"}}


def of(home: Path, *overrides: str) -> Run:
    resolved = load("demo", (*SETTINGS, *overrides))
    steps = chain(resolved.settings)
    return Run(resolved, home, steps, OUTSIDE, (), lambda: lambda tag, digest: None)


def publish(run: Run, name: str, folder: Path) -> None:
    """Puts the folder's files into the store as the step's artifact."""
    step = run.steps[name]
    refs = {other: run.store.manifests(other)[-1].ref for other in step.reads}
    recipe = recipe_of(step, run.world(), refs)
    with run.store.staging(recipe, resumes=False) as out:
        shutil.copytree(folder, out, dirs_exist_ok=True)
        lineage = {other: ref.key for other, ref in refs.items()}
        made = {"profile": "demo", "finished": "2026-01-02", "seconds": 0}
        run.store.publish(out, Draft(recipe, step.content, lineage, False, {}, made))


@pytest.fixture(scope="module")
def elsewhere(tmp_path_factory) -> dict[str, Path]:
    """What the stages read, by step, and Stages 2 and 3 trained from it as on a GPU machine."""
    top = tmp_path_factory.mktemp("elsewhere")
    folders = {
        name: top / name
        for name in ("download", "market", "synthesize", "pairs", "stage2", "stage3")
    }
    for folder in folders.values():
        folder.mkdir()
    base = make_base(folders["download"] / "base")
    for file in ("download/sources/rows.csv", "market/train/days", "market/holdout/days"):
        (top / file).parent.mkdir()
        (top / file).write_text("a\n")
    write_jsonl(folders["synthesize"] / "rows.jsonl", chat_rows(8))
    write_jsonl(folders["pairs"] / "pairs.jsonl", preference_pairs(6))
    write_jsonl(folders["synthesize"] / "held_logs.jsonl", [])  # no stage reads it
    settings = of(top).settings
    parts = {
        "training": settings.training.model_dump(mode="json"),
        "schedule": settings.stage2.model_dump(mode="json"),
    }
    rows, out = str(folders["synthesize"] / "rows.jsonl"), str(folders["stage2"])
    stage2 = TrainingSpec("stage2", "sft", str(base), None, rows, out, **parts)
    train(stage2)
    schedule = settings.stage3.model_dump(mode="json")
    stage3 = replace(
        stage2,
        stage="stage3",
        method="dpo",
        schedule=schedule,
        start=out,
        out=str(folders["stage3"]),
    )
    train(replace(stage3, rows=str(folders["pairs"] / "pairs.jsonl")))
    return folders


@pytest.fixture
def home(elsewhere, tmp_path) -> Path:
    """A store that holds all that the stages read."""
    run = of(tmp_path / "home")
    for name in ("download", "market", "synthesize", "pairs"):
        publish(run, name, elsewhere[name])
    return run.home


def action(run: Run, step: str) -> str:
    return next(line.action for line in run.plan([step]) if line.step == step)


def test_what_was_trained_elsewhere_is_the_plans(home, elsewhere):
    run = of(home)
    for stage in ("stage2", "stage3"):
        assert action(run, stage) == "run"
        adoption = adopt(run, None, elsewhere[stage])
        ref = adoption.ref
        assert (adoption.new, ref.step, action(run, stage)) == (True, stage, "skip")
        assert adopt(run, stage, elsewhere[stage]) == Adoption(ref, new=False)
    manifest = run.store.manifest("stage3", ref.key)
    assert manifest.metrics["trained"] == "elsewhere, and imported"
    assert manifest.metrics["checks"]["dpo_reward"] == 0
    assert manifest.lineage.keys() == {"download", "pairs", "stage2"}
    assert run.store.problem("stage3", ref.key, deep=True) is None


def test_an_adapter_that_a_full_card_made_smaller_is_the_plans_too(home, elsewhere, tmp_path):
    run, out = of(home, "training.shrink=true"), tmp_path / "small"
    settings = run.settings.training
    out.mkdir()
    told = {
        "step": 3,
        "error": "The GPU's memory is full.",
        "was": {"lora_rank": 4, "lora_alpha": settings.lora_alpha},
        "now": {"lora_rank": 2, "lora_alpha": settings.lora_alpha // 2},
    }
    (out / "tries.json").write_text(json.dumps([told]))
    rows = str(elsewhere["synthesize"] / "rows.jsonl")
    parts = {
        "training": run.settings.training.model_dump(mode="json"),
        "schedule": run.settings.stage2.model_dump(mode="json"),
    }
    train(
        TrainingSpec(
            "stage2", "sft", str(elsewhere["download"] / "base"), None, rows, str(out), **parts
        )
    )
    assert json.loads((out / "adapter_config.json").read_text())["r"] == 2
    ref = adopt(run, None, out).ref
    assert run.store.manifest("stage2", ref.key).metrics["given_up"]
    assert action(run, "stage2") == "skip"


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ({"alpha_pattern": {"q_proj": 640}}, "alpha_pattern {'q_proj': 640}, and the settings ask"),
        ({"rank_pattern": {"q_proj": 4}}, "rank_pattern {'q_proj': 4}, and the settings ask for"),
        ({"lora_alpha": 1}, "lora_alpha 1, and the settings ask for"),
        ({"target_modules": [1, "q_proj"]}, "target_modules .*q_proj.*, and the settings ask for"),
    ],
)
def test_a_smaller_adapter_has_the_scale_of_the_settings(home, elsewhere, tmp_path, values, told):
    copy = changed(elsewhere["stage2"], tmp_path / "copy")
    config = json.loads((copy / "training_config.json").read_text())
    config["training"]["shrink"] = True
    (copy / "training_config.json").write_text(json.dumps(config))
    forge(copy, "adapter_config.json", **values)
    with pytest.raises(RequestError, match=told):
        adopt(of(home, "training.shrink=true"), None, copy)


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"base_files": None}, "its base_files is no object"),
        ({"training": []}, "its training is no object"),
        ({"schedule": 3}, "its schedule is no object"),
        ({"start_files": ["a"]}, "its start_files is no object"),
        ({"base_files": {"config.json": 3}}, "one of its digests is no text"),
        ({"rows_sha256": None}, "one of its digests is no text"),
    ],
)
def test_a_record_of_another_form_is_refused(home, elsewhere, tmp_path, fields, told):
    with pytest.raises(RequestError, match=f"no usable training_config.json: {told}"):
        adopt(of(home), "stage2", changed(elsewhere["stage2"], tmp_path / "copy", **fields))


def test_an_interrupted_attempt_makes_room(home, elsewhere):
    run = of(home)
    key = next(line.key for line in run.plan(["stage2"]) if line.step == "stage2")
    left = run.store.root / ".staging" / f"stage2-{key}" / "checkpoints"
    left.mkdir(parents=True)
    ref = adopt(run, "stage2", elsewhere["stage2"]).ref
    assert not (run.store.path(ref.step, ref.key) / "checkpoints").exists()
    assert not left.exists()


def test_the_command_says_what_it_did(home, elsewhere, monkeypatch, capsys):
    monkeypatch.setattr(prepare_module, "prepare", lambda profile, overrides: of(home, *overrides))
    import_adapter(elsewhere["stage2"], "demo", [], "stage2")
    told = capsys.readouterr()
    assert told.err == "stage2 is in the store now: the next run skips it.\n"
    assert told.out.split()[0] == "stage2"
    import_adapter(elsewhere["stage2"], "demo", [], None)
    assert capsys.readouterr().err == "stage2 was there already, intact.\n"


@pytest.mark.parametrize(
    ("overrides", "told"),
    [
        (("stage2.learning_rate=0.001",), ["stage2.learning_rate was 0.002, and is 0.001 here"]),
        (
            ("training.lora_rank=8", "training.max_length=5000", "stage2.log_every=3"),
            [
                "training.max_length was 2048, and is 5000 here",
                "training.lora_rank was 4, and is 8 here",
            ],
        ),
    ],
)
def test_other_settings_are_listed(home, elsewhere, overrides, told):
    with pytest.raises(RequestError, match="is not what demo asks for as stage2") as refusal:
        adopt(of(home, *overrides), None, elsewhere["stage2"])
    assert str(refusal.value).splitlines()[1:] == [f"  - {line}" for line in told]
    assert not Store(home / "artifacts").manifests("stage2")


@pytest.mark.parametrize(
    ("section", "more", "told"),
    [
        (
            "training",
            {"module_ranks": {"q_proj": 8}},
            ["training.module_ranks was {'q_proj': 8}, and is not set here"],
        ),
        (
            "schedule",
            {"eval_every": 5, "patience": 2},
            [
                "stage2.eval_every was 5, and is not set here",
                "stage2.patience was 2, and is not set here",
            ],
        ),
        ("schedule", {"eval_every": 5, "log_every": 3}, []),
    ],
)
def test_settings_that_the_plan_does_not_ask_for_at_all(
    home, elsewhere, tmp_path, section, more, told
):
    config = json.loads((elsewhere["stage2"] / "training_config.json").read_text())
    copy = changed(elsewhere["stage2"], tmp_path / "copy", **{section: config[section] | more})
    if not told:
        assert adopt(of(home), None, copy).new
        return
    with pytest.raises(RequestError) as refusal:
        adopt(of(home), None, copy)
    assert str(refusal.value).splitlines()[1:] == [f"  - {line}" for line in told]


def changed(folder: Path, target: Path, **fields) -> Path:
    """A copy of the folder whose training_config.json says something else."""
    shutil.copytree(folder, target)
    file = target / "training_config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | fields))
    return target


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        (
            {"rows_sha256": "0" * 64},
            r"rows.jsonl of synthesize was 000000000000, and is [0-9a-f]{12} here",
        ),
        (
            {"base_files": {}},
            r"base/model.safetensors of download was not there, and is [0-9a-f]{12} here",
        ),
        (
            {"start_files": {"a": "b"}},
            "it started from an earlier stage's adapter, and here it starts from the base",
        ),
        (
            {"version": 99},
            f"it was trained by version 99 of the stages, and this is {STAGE_VERSION}",
        ),
        ({"stage": "stage3"}, "it is stage3, not stage2"),
        (
            {"adapter_files": {}},
            "training_config.json has no digest of each of adapter_config.json, adapter_model",
        ),
    ],
)
def test_other_inputs_are_refused(home, elsewhere, tmp_path, fields, told):
    with pytest.raises(RequestError, match=told):
        adopt(of(home), "stage2", changed(elsewhere["stage2"], tmp_path / "copy", **fields))


def test_another_start_is_refused(home, elsewhere, tmp_path):
    run = of(home)
    adopt(run, None, elsewhere["stage2"])
    files = {"adapter_config.json": "1" * 64, "adapter_model.safetensors": "2" * 64}
    with pytest.raises(
        RequestError, match=r"adapter_model.safetensors of stage2 was 222222222222, and is"
    ):
        adopt(run, None, changed(elsewhere["stage3"], tmp_path / "copy", start_files=files))


@pytest.mark.parametrize(
    ("spoil", "told"),
    [
        (
            lambda folder: forge(folder, "adapter_config.json", lora_alpha=640),
            "adapter_config.json has lora_alpha 640, and the settings ask for",
        ),
        (
            lambda folder: forge(folder, "adapter_config.json", use_rslora=True),
            "adapter_config.json has use_rslora True, and a stage has False",
        ),
        (
            lambda folder: forge(folder, "adapter_config.json", alpha_pattern={"(a+)+X": 1}),
            "a regular expression, which is not matched",
        ),
        (spoil_weights, "holds values that are not numbers"),
        (flip_a_bit, "it was changed or damaged on the way"),
        (lose_half, "its check layers_with_adapter counted 14, and there are 7"),
        (forget_checks, "checks.json lacks 10 checks that every stage makes"),
        (
            lambda folder: forge(folder, "metrics.json", final_loss=math.nan),
            "metrics.json has no figure for final_loss: nan",
        ),
        (link_the_card, "README.md is a link to /etc/passwd"),
        (plant_code, "brings code of its own \\(tokenizer_evil.py\\)"),
    ],
)
def test_what_a_folder_says_about_itself_is_recomputed(home, elsewhere, tmp_path, spoil, told):
    copy = changed(elsewhere["stage2"], tmp_path / "copy")
    spoil(copy)
    with pytest.raises(RequestError, match=told):
        adopt(of(home), None, copy)
    assert not Store(home / "artifacts").manifests("stage2")


def test_only_what_a_stage_leaves_is_taken_in(home, elsewhere, tmp_path):
    copy = changed(elsewhere["stage2"], tmp_path / "copy")
    (copy / "optimizer.pt").write_bytes(b"a pickle")
    run = of(home)
    ref = adopt(run, None, copy).ref
    assert not (run.store.path("stage2", ref.key) / "optimizer.pt").exists()


def test_lost_files_and_failed_checks_are_refused(home, elsewhere, tmp_path):
    copy = changed(elsewhere["stage2"], tmp_path / "copy")
    (copy / "metrics.json").unlink()
    checks = json.loads((copy / "checks.json").read_text())
    checks["matrices_with_gradient"]["ok"] = False
    (copy / "checks.json").write_text(json.dumps(checks))
    with pytest.raises(RequestError) as refusal:
        adopt(of(home), None, copy)
    assert str(refusal.value).splitlines()[1:] == [
        "  - metrics.json is missing",
        "  - its check matrices_with_gradient did not hold",
    ]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "not there"),
        ("{", "no usable"),
        ('{"stage": "stage2"}', "does not say adapter_files, base_files"),
        ("3", "no"),
    ],
)
def test_a_folder_that_no_training_wrote(home, tmp_path, text, told):
    if text:
        (tmp_path / "training_config.json").write_text(text)
    with pytest.raises(RequestError, match="has no usable training_config.json") as refusal:
        adopt(of(home), None, tmp_path)
    assert told in str(refusal.value) or not text


def test_what_it_was_trained_from_has_to_be_there_first(elsewhere, tmp_path):
    with pytest.raises(
        RequestError, match=r"synthesize is not there for these settings.*--until synthesize"
    ):
        adopt(of(tmp_path / "empty"), None, elsewhere["stage2"])
    with pytest.raises(
        RequestError, match="stage1 is no training stage of these settings. Stages: stage2, stage3"
    ):
        adopt(of(tmp_path / "empty"), "stage1", elsewhere["stage2"])
