"""The plan: skip, run or depends, with the reason; keys follow content, not history."""

import time

import pytest

from tasks.core.chain.manifest import Draft
from tasks.core.chain.plan import World, plan, recipe_of
from tasks.core.chain.store import Store
from tasks.core.settings.profiles import load
from tasks.core.steps import chain
from tests.every_step import EVERY_STEP

OUTSIDE = {"download": {"base": "abc"}, "market": {"year=2024/month=1/data.parquet": "d1"}}

FILES = {
    "download": ["base/model.safetensors", "base/tokenizer.json", "sources/krx_won.csv"],
    "rehearse": ["rehearsal.json"],
    "normalize": ["rows.parquet"],
    "market": ["train/snapshots.parquet", "holdout/snapshots.parquet"],
    "synthesize": ["rows.jsonl"],
    "pairs": ["pairs.jsonl"],
    **dict.fromkeys(
        ("stage1", "stage2", "stage3"), ["adapter_config.json", "adapter_model.safetensors"]
    ),
    "merge": ["model.safetensors", "config.json"],
    "gguf": ["model-f16.gguf"],
    "imatrix": ["imatrix.gguf"],
    "quantize": ["model.gguf"],
    "parity": ["verdict.json"],
    "register": ["registration.json"],
    "baseline": ["model.gguf"],
    "evaluate": ["questions.jsonl", "marks.jsonl", "scores.json"],
    "promote": ["promotion.json"],
}

METRICS = {"name": "kospilot-demo", "tag": "kospilot-demo:1", "digest": "d", "promoted": True}


def world(store, *overrides, outside=None, force=(), server_problem=lambda tag, digest: None):
    settings = load("demo", [*EVERY_STEP, *overrides]).settings
    return World(
        "demo", settings, chain(settings), outside or OUTSIDE, store, server_problem, force
    )


def build(world_now, contents=None):
    """Makes every step that the plan does not skip, with files whose bytes are given per step."""
    refs, made = {}, []
    for name, step in world_now.steps.items():
        recipe = recipe_of(step, world_now, {other: refs[other] for other in step.reads})
        found = world_now.store.manifest(name, recipe.key)
        if world_now.store.problem(name, recipe.key):
            made.append(name)
            with world_now.store.staging(recipe, resumes=False) as out:
                for file in FILES[name]:
                    (out / file).parent.mkdir(parents=True, exist_ok=True)
                    (out / file).write_text(
                        (contents or {}).get(f"{name}/{file}", f"{name} {file}")
                    )
                lineage = {other: refs[other].key for other in step.reads}
                how = {"profile": "demo", "finished": f"{time.time():.6f}", "seconds": 0}
                found = world_now.store.publish(
                    out, Draft(recipe, step.content, lineage, step.expendable, METRICS, how)
                )
        refs[name] = found.ref
    return made


def actions(world_now, targets=("promote",)):
    return {line.step: line.action for line in plan(world_now, targets)}


def reasons(world_now):
    return {line.step: line.reason for line in plan(world_now, ["promote"])}


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path)


def test_an_empty_store_runs_everything_and_a_full_one_nothing(store):
    assert set(actions(world(store)).values()) == {"run"}
    assert build(world(store)) == list(FILES)
    assert set(actions(world(store)).values()) == {"skip"}


def test_more_synthetic_rows_run_synthesis_and_the_rest_depends(store):
    build(world(store))
    found = actions(world(store, "synthesis.rows=130"))
    assert [name for name, action in found.items() if action == "skip"] == [
        "download", "normalize", "market", "stage1", "baseline"
    ]  # fmt: skip
    assert found["synthesize"] == "run"
    assert found["stage2"] == found["pairs"] == found["promote"] == "depends"
    assert (
        reasons(world(store, "synthesis.rows=130"))["synthesize"]
        == "synthesis.rows changed from 120 to 130"
    )


def test_the_same_bytes_again_make_nothing_downstream_run(store):
    build(world(store))
    assert build(world(store, "synthesis.seed=7")) == ["synthesize"]


def test_how_the_work_is_done_makes_nothing_run(store):
    build(world(store))
    changed = world(
        store,
        "stage1.log_every=7",
        "stage2.micro_batch=2",
        "stage3.save_every=9",
        "stage1.keep=1",
        "training.backend=engine",
        "training.memory_gib=24",
    )
    assert set(actions(changed).values()) == {"skip"}


def test_new_days_in_the_holdout_change_the_evaluation_and_nothing_else(store):
    build(world(store))
    longer = {**OUTSIDE, "market": {"year=2024/month=1/data.parquet": "d2"}}
    contents = {"market/holdout/snapshots.parquet": "one more day"}
    # the toy scores come out equal here, so promote has nothing new to weigh
    assert build(world(store, outside=longer), contents) == ["market", "evaluate"]
    changed = {**OUTSIDE, "market": {"year=2024/month=1/data.parquet": "d3"}}
    assert (
        reasons(world(store, outside=changed))["market"] == "year=2024/month=1/data.parquet changed"
    )


def test_damage_runs_the_step_and_says_what_is_damaged(store):
    build(world(store))
    manifest = store.manifests("stage2")[0]
    (store.path("stage2", manifest.key) / "adapter_model.safetensors").write_text("cut")
    assert (
        "its artifact is damaged: adapter_model.safetensors has 3 bytes"
        in reasons(world(store))["stage2"]
    )
    assert actions(world(store))["merge"] == "depends"


def test_expended_content_is_rebuilt_only_for_a_step_that_needs_it(store):
    build(world(store))
    for step in ("merge", "gguf"):
        store.expend(store.manifests(step)[0].ref)
    assert set(actions(world(store)).values()) == {"skip"}
    (store.path("quantize", store.manifests("quantize")[0].key) / "model.gguf").unlink()
    found = reasons(world(store))
    assert "gguf needs it" in found["merge"]
    assert "quantize needs it" in found["gguf"]
    assert found["stage3"] == "intact"


def test_force_and_the_live_server(store):
    build(world(store))
    assert reasons(world(store, force=("gguf",)))["gguf"] == "forced"
    gone = world(store, server_problem=lambda tag, digest: f"the server does not hold {tag}")
    assert reasons(gone)["register"] == "the server does not hold kospilot-demo:1"
