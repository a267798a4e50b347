"""What merging refuses: a short reason, a remedy, and nothing written."""

import json
import shutil
from collections import namedtuple

import pytest
import torch
from peft import IA3Config, LoHaConfig, get_peft_model
from safetensors.torch import load_file, save_file

from tasks.core.errors import RequestError, WorkError
from tasks.core.files.digests import digest_file
from tasks.core.release.merge import merge
from tests.release.tiny_merge import load, silent, train, write_adapter, write_base

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")

Usage = namedtuple("Usage", "total used free")


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    return write_base(tmp_path_factory.mktemp("base"))


@pytest.fixture(scope="module")
def whole(base, tmp_path_factory):
    return write_adapter(base, tmp_path_factory.mktemp("adapter"))


@pytest.fixture
def adapter(whole, tmp_path):
    return shutil.copytree(whole, tmp_path / "adapter")


@pytest.fixture
def out(tmp_path):
    (tmp_path / "out").mkdir()
    yield tmp_path / "out"
    assert not list((tmp_path / "out").iterdir())


def change_config(adapter, **values):
    file = adapter / "adapter_config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | values))


def change_tensors(adapter, change):
    file = adapter / "adapter_model.safetensors"
    save_file({name: change(name, value) for name, value in load_file(file).items()}, file)


@pytest.mark.parametrize(
    ("option", "value", "message"),
    [
        ("alora_invocation_tokens", [1], "alora_invocation_tokens.* acts on a part of the prompt"),
        ("layer_replication", [[0, 2]], "layer_replication.* layers of the base several times"),
        ("target_parameters", ["x"], "target_parameters.* tensors that are not layers"),
        ("fan_in_fan_out", True, "fan_in_fan_out.* transposed"),
        ("init_lora_weights", "pissa_niter_16", "began as pissa_niter_16.*Save it as plain LoRA"),
        ("init_lora_weights", "olora", "began as olora, which changed the base's weights"),
        ("init_lora_weights", "loftq", "began as loftq"),
        ("init_lora_weights", "corda", "began as corda"),
        ("peft_type", "ADALORA", "is ADALORA; only LoRA is merged"),
        ("r", 4, r"with matrices \(64, 8\) and \(8, 128\), which are not of rank 4"),
        ("lora_alpha", None, "has lora_alpha: None, which has to be a number"),
        ("lora_alpha", float("nan"), "has lora_alpha: nan, which has to be a number"),
        ("rank_pattern", {"(([a-z_.0-9]+)+)+X": 4}, "a regular expression, which is not matched"),
        ("rank_pattern", {"q_proj": "4"}, "has rank_pattern q_proj: '4', which has to be a number"),
        ("alpha_pattern", ["q_proj"], "has no table of layers as alpha_pattern"),
    ],
)
def test_another_method(base, adapter, out, option, value, message):
    change_config(adapter, **{option: value})
    with pytest.raises(WorkError, match=message):
        merge(base, adapter, out, silent)


@pytest.mark.parametrize(("config", "kind"), [(IA3Config, "IA3"), (LoHaConfig, "LOHA")])
def test_other_methods_of_peft(base, out, tmp_path, config, kind):
    options = {"target_modules": ["q_proj"], "task_type": "CAUSAL_LM"}
    if config is IA3Config:
        options["feedforward_modules"] = []
    get_peft_model(load(base), config(**options)).save_pretrained(tmp_path / "other")
    with pytest.raises(WorkError, match=f"is {kind}; only LoRA is merged"):
        merge(base, tmp_path / "other", out, silent)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"trainable_token_indices": [1, 2]}, "single rows of the embedding"),
        (
            {"use_dora": True, "target_modules": ["embed_tokens"]},
            "has .*embed_tokens.lora_magnitude_vector, which is not known here",
        ),
    ],
)
def test_what_is_trained_beside_layers(base, out, tmp_path, options, message):
    write_adapter(base, tmp_path / "other", **options)
    with pytest.raises(WorkError, match=message):
        merge(base, tmp_path / "other", out, silent)


def test_a_resized_head_that_peft_did_not_save(out, tmp_path):
    untied = write_base(tmp_path / "untied", tied=False)
    model = load(untied)
    model.resize_token_embeddings(104, mean_resizing=False)
    policy = train(model, target_modules=["embed_tokens"])
    policy.save_pretrained(tmp_path / "other", save_embedding_layers=True)
    with pytest.raises(WorkError, match=r"104 rows, the output layer 96: .*modules_to_save"):
        merge(untied, tmp_path / "other", out, silent)


def test_a_layer_trained_whole_that_was_not_saved(base, adapter, out):
    change_config(adapter, modules_to_save=["lm_head"])
    with pytest.raises(WorkError, match="names lm_head as trained whole.*that training is lost"):
        merge(base, adapter, out, silent)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_values_that_are_no_numbers(base, adapter, out, value):
    name = "base_model.model.model.layers.1.mlp.up_proj.lora_B.weight"

    def spoil(at, tensor):
        return tensor.index_fill(0, torch.tensor([3]), value) if at == name else tensor

    change_tensors(adapter, spoil)
    with pytest.raises(WorkError, match=f"{name} in .* not numbers .*lower learning rate"):
        merge(base, adapter, out, silent)


def test_an_adapter_of_another_shape(base, out, tmp_path):
    wider = write_base(tmp_path / "wider", hidden_size=96)
    write_adapter(wider, tmp_path / "other")
    message = r"B \(96, 8\), A \(8, 128\); in .* it is \(64, 128\): .* of another base model"
    with pytest.raises(WorkError, match=message):
        merge(base, tmp_path / "other", out, silent)


def test_a_layer_that_the_base_lacks(base, adapter, out):
    file = adapter / "adapter_model.safetensors"
    tensors = load_file(file)
    save_file({name.replace("s.1.", "s.9."): value for name, value in tensors.items()}, file)
    with pytest.raises(WorkError, match=r"7 of the 14 layers .* are not in .*model\.layers\.9\."):
        merge(base, adapter, out, silent)


def test_a_base_of_the_same_shape_that_was_not_trained_on(base, adapter, out, tmp_path):
    other = shutil.copytree(base, tmp_path / "other")
    change = load_file(other / "model.safetensors")
    change["model.norm.weight"] += 1
    save_file(change, other / "model.safetensors", metadata={"format": "pt"})
    digests = {"model.safetensors": digest_file(other / "model.safetensors")}
    (adapter / "training_config.json").write_text(json.dumps({"base_files": digests}))
    with pytest.raises(WorkError, match="is not the file that .* was trained on"):
        merge(base, adapter, out, silent)


@pytest.mark.parametrize("cut", ["base", "adapter"])
def test_a_cut_file(base, adapter, out, tmp_path, cut):
    base = shutil.copytree(base, tmp_path / "base")
    file = base / "model.safetensors" if cut == "base" else adapter / "adapter_model.safetensors"
    file.write_bytes(file.read_bytes()[:-100])
    with pytest.raises(WorkError, match=f"{file} is cut"):
        merge(base, adapter, out, silent)


def test_a_shard_that_is_not_there(out, tmp_path):
    base = write_base(tmp_path / "sharded", shard="40KB")
    second = sorted(base.glob("*.safetensors"))[1]
    second.unlink()
    with pytest.raises(WorkError, match=rf"lacks 1 of its \d+ weight files.* {second.name}"):
        merge(base, None, out, silent)


def test_an_index_that_points_elsewhere(base, out, tmp_path):
    base = shutil.copytree(base, tmp_path / "base")
    index = {"weight_map": {"model.norm.weight": "../model.safetensors"}}
    (base / "model.safetensors.index.json").write_text(json.dumps(index))
    with pytest.raises(WorkError, match="not a file of its folder"):
        merge(base, None, out, silent)


def test_a_base_without_weights(out, tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(WorkError, match=r"holds no \*\.safetensors"):
        merge(tmp_path / "empty", None, out, silent)


def test_an_adapter_without_its_file(base, adapter, out):
    (adapter / "adapter_model.safetensors").unlink()
    with pytest.raises(WorkError, match=r"holds no adapter_model\.safetensors"):
        merge(base, adapter, out, silent)


def test_an_adapter_whose_config_says_nothing(base, adapter, out):
    (adapter / "adapter_config.json").write_text("[]")
    with pytest.raises(WorkError, match=r"adapter_config\.json is not an adapter's configuration"):
        merge(base, adapter, out, silent)


def test_a_disk_that_is_too_small(base, adapter, out, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda path: Usage(10**9, 10**9, 1000))
    with pytest.raises(WorkError, match=r"takes about [0-9]+ MB and the disk of .* has 0 MB free"):
        merge(base, adapter, out, silent)


def test_another_quantization(base, out, tmp_path):
    base = shutil.copytree(base, tmp_path / "base")
    file = base / "config.json"
    quantization = {"quantization_config": {"quant_method": "gptq", "bits": 4}}
    file.write_text(json.dumps(json.loads(file.read_text()) | quantization))
    with pytest.raises(RequestError, match="comes quantized as gptq"):
        merge(base, None, out, silent)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_a_sum_that_f16_cannot_hold(out, tmp_path, dtype):
    base = write_base(tmp_path / "half", dtype)
    adapter = write_adapter(base, tmp_path / "other")
    change_tensors(adapter, lambda name, tensor: tensor * 3000)
    with pytest.raises(WorkError, match="with its adapter has .* holds less than 65,504"):
        merge(base, adapter, out, silent)
