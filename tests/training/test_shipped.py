"""The Stage 1 adapter that ships: when it stands for the stage, and what it is held against."""

import pytest
from safetensors.torch import load_file

from tasks.core.errors import WorkError
from tasks.core.files.digests import digest_file
from tasks.core.files.json_files import read_json
from tasks.core.settings.profiles import load
from tasks.core.steps import chain
from tasks.core.training.shipped import shipped_folder, take_shipped

FOLDER = shipped_folder()


@pytest.mark.parametrize(
    "other",
    [
        "stages.stage1=train",
        "model.base=somebody/something",
        "training.lora_rank=8",
        "training.quantize_base=nf4",
        "training.target_modules=[q_proj]",
        "data.own=rows.jsonl",
        "data.reasoning_logs=logs",
    ],
)
def test_it_stands_for_the_stage_only_where_it_fits(other):
    assert load("demo").settings.ships_stage1
    settings = load("demo", [other]).settings
    assert not settings.ships_stage1
    assert set(chain(settings)["stage1"].reads) == {"download", "normalize"}


def test_a_shipped_stage_reads_no_rows():
    assert set(chain(load("demo").settings)["stage1"].reads) == {"download"}


def test_its_files_are_those_that_were_made():
    digests = read_json(FOLDER / "training_config.json")["adapter_files"]
    assert digests == {name: digest_file(FOLDER / name) for name in digests}
    assert (FOLDER / "adapter_model.safetensors").stat().st_size < 11_000_000


def test_it_has_the_form_that_the_settings_name():
    training = load("demo").settings.training
    config = read_json(FOLDER / "adapter_config.json")
    assert (config["r"], config["lora_alpha"]) == (training.lora_rank, training.lora_alpha)
    assert sorted(config["target_modules"]) == sorted(training.target_modules)
    weights = load_file(FOLDER / "adapter_model.safetensors")
    elements = sum(weight.numel() for weight in weights.values())
    assert elements == read_json(FOLDER / "checks.json")["lora_parameters_float32"]["value"]


def test_all_its_checks_held():
    assert all(check["ok"] for check in read_json(FOLDER / "checks.json").values())


def test_it_says_how_it_was_made():
    made = read_json(FOLDER / "made.json")
    assert {"where", "rows", "commands", "licence", "trained_weights_sha256"} <= made.keys()


def test_another_base_is_refused(tmp_path):
    base = tmp_path / "base"
    base.mkdir()
    (base / "model.safetensors").write_bytes(b"other weights")
    with pytest.raises(WorkError, match="stages.stage1=train"):
        take_shipped(base, tmp_path / "out")
    assert not (tmp_path / "out").exists()
