"""Artifacts made before the steps had files of their own are still found.

demo_manifests.json holds the manifests of a demo home of that time. A step whose version or
settings are changed on purpose gets its new key here. register and evaluate read parity's verdict,
which came later; normalize drops rows that it let through.
"""

import json
from pathlib import Path

import pytest

from tasks.core.chain.manifest import Recipe
from tasks.core.chain.plan import World, difference, recipe_of
from tasks.core.chain.store import Store
from tasks.core.settings.profiles import load
from tasks.core.steps import chain

MANIFESTS = json.loads(Path(__file__).with_name("demo_manifests.json").read_text(encoding="utf-8"))
CHANGED = ("market", "normalize", "synthesize", "pairs", "register", "evaluate")
OLD = {manifest["recipe"]["step"]: manifest for manifest in MANIFESTS}


@pytest.fixture
def world(tmp_path):
    """The old store, as far as plans look at it, and the outside world as it was."""
    store = Store(tmp_path)
    for step, manifest in OLD.items():
        folder = store.path(step, manifest["key"])
        folder.mkdir(parents=True)
        made = {"profile": "demo", "finished": "2026-11-29T22:10:00+00:00"}
        (folder / "manifest.json").write_text(json.dumps(manifest | {"made": made}))
    as_it_was = ["training.quantize_base=nf4", "release.imatrix=off"]
    as_it_was += ["stages.stage1=train", "stage2.learning_rate=1.0e-3"]
    as_it_was += ["stage2.token_budget=14000", "synthesis.token_budget=3000"]
    as_it_was += ["training.max_length=4096", "release.quantization=Q4_K_M"]
    as_it_was += ["stage3.token_budget=6000", "stage3.effective_batch=2"]
    as_it_was += ["evaluation.baseline=true"]
    settings = load("demo", as_it_was).settings
    outside = {step: manifest["recipe"]["outside"] for step, manifest in OLD.items()}
    return World("demo", settings, chain(settings), outside, store, lambda tag, digest: None)


@pytest.mark.parametrize("name", [name for name in OLD if name not in CHANGED])
def test_its_key_is_the_same(world, name):
    step = world.steps[name]
    refs = {other: world.store.known(other, OLD[other]["key"]).ref for other in step.reads}
    old = Recipe(**OLD[name]["recipe"])
    new = recipe_of(step, world, refs)
    assert difference(old, new) == "its artifact is not there", "the recipe changed"
    assert new.key == OLD[name]["key"]


def test_every_step_of_the_demo_was_there(world):
    later = {"rehearse", "parity"}
    assert [name for name in world.steps if name not in later] == list(OLD)


def test_rejects_are_made_again_and_say_why():
    """They depend on how the model is served, which their key did not say."""
    settings = load("demo", ["pairs.model_reject_share=0.15"]).settings
    now = {
        "release.quantization": "Q4_K_M",
        "release.num_ctx": settings.release.num_ctx,
        "release.num_predict": settings.release.num_predict,
        "release.system_language": "ko",
    }
    old = Recipe("rejects", 1, {}, {"release.quantization": "Q4_K_M"}, {})
    assert difference(old, Recipe("rejects", 1, {}, now, {})) == (
        "release.num_ctx changed from unset to 8192; release.num_predict changed from unset to"
        " 2048; release.system_language changed from unset to ko"
    )
