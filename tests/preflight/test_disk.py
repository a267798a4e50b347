"""The disk that a run needs follows from its base model and its steps."""

from pathlib import Path

import pytest

from tasks.core.chain.manifest import Draft, Recipe
from tasks.core.chain.store import Store
from tasks.core.errors import WorkError
from tasks.core.preflight.disk import base_bytes, check_space, needed_gib
from tasks.core.preflight.doctor import examine
from tasks.core.settings.profiles import load
from tasks.core.steps import chain

SEVEN_B = 15_300_000_000
AFTER_DOWNLOAD = ("stage1", "stage2", "stage3", "merge", "gguf", "quantize", "register")


def steps_of(settings, *names):
    steps = chain(settings)
    return [steps[name] for name in names or steps]


def test_the_need_follows_the_steps():
    settings = load("kospi-7b").settings
    whole = needed_gib(SEVEN_B, steps_of(settings))
    assert 60 < whole < 90
    # A changed rank downloads nothing, but merges again.
    assert 35 < needed_gib(SEVEN_B, steps_of(settings, *AFTER_DOWNLOAD)) < whole
    assert needed_gib(SEVEN_B, steps_of(settings, "evaluate")) == 1
    demo = load("demo").settings
    assert 3 < needed_gib(base_bytes(demo, None), steps_of(demo)) < 5


def test_a_small_local_model_needs_little(tmp_path):
    (tmp_path / "model.safetensors").write_bytes(bytes(1_000_000))
    settings = load("kospi-7b", [f"model.base={tmp_path}"]).settings
    assert base_bytes(settings, tmp_path) == 1_000_000
    assert needed_gib(base_bytes(settings, tmp_path), steps_of(settings)) < 3.1


def test_a_base_that_comes_as_nf4_is_merged_into_16_bit(tmp_path):
    (tmp_path / "model.safetensors").write_bytes(bytes(1_000_000))
    (tmp_path / "config.json").write_text('{"quantization_config": {}}')
    settings = load("kospi-7b", [f"model.base={tmp_path}"]).settings
    assert base_bytes(settings, tmp_path) == 4_000_000


def test_a_hub_model_is_as_large_as_its_download_was(tmp_path):
    commit = "c0ffee" + "0" * 34
    store, recipe = Store(tmp_path / "artifacts"), Recipe("download", 1, {}, {}, {})
    metrics = {"base": {"revision": commit, "bytes": 1_234}}
    with store.staging(recipe, resumes=False) as folder:
        (folder / "model").write_text("x")
        store.publish(
            folder,
            Draft(
                recipe,
                ("*",),
                {},
                False,
                metrics,
                {"profile": "demo", "finished": "2026-11-29T22:10:00+00:00"},
            ),
        )
    settings = load("kospi-7b", [f"model.base=owner/name@{commit}"]).settings
    assert base_bytes(settings, tmp_path) == 1_234


def test_what_the_disk_cannot_hold_is_refused(tmp_path):
    with pytest.raises(
        WorkError, match=r"GiB free and this run needs about 9000000\.0 GiB.*kospilot artifacts gc"
    ):
        check_space(tmp_path / "not" / "yet", 9e6)


@pytest.mark.skipif(not Path("/proc/self").is_dir(), reason="a disk without space is Linux's /proc")
def test_the_disk_that_counts_is_the_artifacts(tmp_path):
    (tmp_path / "artifacts").symlink_to("/proc")
    with pytest.raises(WorkError, match=rf"{tmp_path}/artifacts has 0\.0 GiB free"):
        check_space(tmp_path, 0.1)


def test_doctor_judges_the_settings_it_is_given(tmp_path, monkeypatch):
    monkeypatch.setenv("OLLAMA_HOST", "127.0.0.1:9")
    settings = load("demo", ["market.dir=/nowhere", f"model.base={tmp_path}"]).settings
    checks = {check.name: check for check in examine(settings, tmp_path)}
    for name in ("market", "model server", "base model"):
        assert checks[name].status == "fail"
    assert "There is no market folder /nowhere" in checks["market"].remedy
    assert "OLLAMA_HOST names http://127.0.0.1:9" in checks["model server"].remedy
