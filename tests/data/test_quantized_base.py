"""A base model that comes quantized: bitsandbytes' NF4 is accepted, another is named early."""

import shutil
from pathlib import Path

import pytest
from safetensors.torch import load_file, save_file

from tasks.core.data.base_model.check import check
from tasks.core.data.base_model.config import base_config
from tasks.core.data.base_model.folder import fingerprint_base
from tasks.core.errors import RequestError
from tasks.core.files.digests import digest_file
from tasks.core.files.json_files import read_json, write_json
from tests.conftest import made_once
from tests.tiny import make_base, quantize_base

WEIGHT = "model.layers.0.mlp.up_proj.weight"


@pytest.fixture(scope="module")
def nf4_base(tmp_path_factory):
    def make(folder):
        quantize_base(make_base(folder / "own"), folder / "base")

    return made_once(tmp_path_factory, "quantized-base", make) / "base"


@pytest.fixture
def folder(nf4_base, tmp_path):
    return Path(shutil.copytree(nf4_base, tmp_path / "model"))


def test_a_base_in_nf4_has_no_faults(nf4_base, tmp_path):
    assert check(nf4_base) == []
    assert fingerprint_base(str(nf4_base), tmp_path, digest_file)
    assert base_config(str(nf4_base), tmp_path)["quantization_config"]["load_in_4bit"]


NF4 = {"quant_method": "bitsandbytes", "load_in_4bit": True, "bnb_4bit_quant_type": "nf4"}


@pytest.mark.parametrize(
    ("quantization", "name"),
    [
        ({"quant_method": "gptq", "bits": 4}, "gptq"),
        ({"quant_method": "awq"}, "awq"),
        ({"quant_method": "fp8"}, "fp8"),
        ({"quant_method": "bitsandbytes", "load_in_8bit": True}, "bitsandbytes int8"),
        (NF4 | {"bnb_4bit_quant_type": "fp4"}, "bitsandbytes FP4"),
        ({"load_in_4bit": True}, "bitsandbytes FP4"),  # as bitsandbytes understands it
        (NF4 | {"bnb_4bit_quant_storage": "bfloat16"}, "bitsandbytes NF4 stored as bfloat16"),
    ],
)
def test_another_quantization_is_refused_before_anything_is_copied(
    folder, tmp_path, quantization, name
):
    config = read_json(folder / "config.json")
    write_json(folder / "config.json", config | {"quantization_config": quantization})
    for attempt in (
        lambda: fingerprint_base(str(folder), tmp_path, digest_file),
        lambda: base_config(str(folder), tmp_path),
    ):
        with pytest.raises(RequestError) as refused:
            attempt()
        assert f"model comes quantized as {name}, which cannot be trained" in str(refused.value)
        assert "a bitsandbytes NF4 version of it (…-bnb-4bit): model.base=" in str(refused.value)


def change_tensors(folder, change):
    file = folder / "model.safetensors"
    tensors = load_file(file)
    change(tensors)
    save_file(tensors, file, metadata={"format": "pt"})


def forget_quantization(folder):
    config = read_json(folder / "config.json")
    del config["quantization_config"]
    write_json(folder / "config.json", config)


def lose_states(tensors):
    for name in [name for name in tensors if ".quant_state." in name]:
        del tensors[name]


@pytest.mark.parametrize(
    ("spoil", "fault"),
    [
        (forget_quantization, "14 weights are in NF4, and its config.json has no quantization_"),
        (
            lambda folder: change_tensors(folder, lose_states),
            "its config.json has a quantization_config, and no weight is in NF4",
        ),
        (
            lambda folder: change_tensors(folder, lambda tensors: tensors.pop(f"{WEIGHT}.absmax")),
            f"1 tensors of weights in NF4 are missing, among them {WEIGHT}.absmax",
        ),
    ],
)
def test_weights_that_are_not_what_the_configuration_says_are_found(folder, spoil, fault):
    spoil(folder)
    (found,) = check(folder)
    assert fault in found


def test_a_shard_that_is_cut_is_found(folder):
    file = folder / "model.safetensors"
    file.write_bytes(file.read_bytes()[:-100])
    (found,) = check(folder)
    assert "model.safetensors cannot be read" in found
