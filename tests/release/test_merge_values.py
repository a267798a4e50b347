"""Merging into what training saw: NF4's values, proven by their digests, and bases that come as
NF4.
"""

import hashlib
import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from bitsandbytes import functional
from peft import PeftModel
from safetensors.torch import load_file, save_file

from tasks.core.errors import WorkError
from tasks.core.records.training_base import TrainingBase, write_training_base
from tasks.core.release import nf4
from tasks.core.release.base_weights import open_base
from tasks.core.release.merge import merge
from tests.release.tiny_merge import (
    MODULES,
    load,
    load_nf4,
    merged_by_peft,
    silent,
    train,
    write_adapter,
    write_base,
)

TYPES = {"bfloat16": torch.bfloat16, "float16": torch.float16, "float32": torch.float32}


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    return write_base(tmp_path_factory.mktemp("base"))


@pytest.fixture
def adapter(base, tmp_path):
    return write_adapter(base, tmp_path / "adapter")


@pytest.fixture
def out(tmp_path):
    (tmp_path / "out").mkdir()
    return tmp_path / "out"


def values_in_nf4(base, dtype=torch.bfloat16):
    """Each weight as transformers and bitsandbytes hold it for QLoRA, by name."""
    values = {}
    for name, parameter in load_nf4(base, dtype).named_parameters():
        value = parameter.data
        if hasattr(parameter, "quant_state"):
            value = functional.dequantize_4bit(value, parameter.quant_state)
        values[name] = value
    return values


def is_linear(name):
    return any(f".{module}.weight" in name for module in MODULES)


def digests_of(values):
    digests = {}
    for name, value in values.items():
        if is_linear(name):
            data = value.contiguous().view(torch.uint8).numpy().tobytes()
            digests[name] = hashlib.sha256(data).hexdigest()
    return digests


def plain_copy(base, values, folder, dtype):
    """The base with other values, as a plain model."""
    model = load(base, dtype)
    model.load_state_dict(values, strict=False)
    model.save_pretrained(folder)
    return folder


@pytest.mark.parametrize(
    ("stored", "computed"),
    [
        ("bfloat16", "bfloat16"),
        ("bfloat16", "float16"),
        ("bfloat16", "float32"),
        ("float16", "bfloat16"),
        ("float32", "bfloat16"),
    ],
)
def test_values_are_those_of_training(out, tmp_path, stored, computed):
    base = write_base(tmp_path / "base", TYPES[stored])
    values = values_in_nf4(base, TYPES[computed])
    adapter = write_adapter(base, tmp_path / "adapter")
    nothing = {}
    for name, tensor in load_file(adapter / "adapter_model.safetensors").items():
        nothing[name] = tensor * 0
    save_file(nothing, adapter / "adapter_model.safetensors")
    write_training_base(adapter, TrainingBase("nf4", computed, tensors=digests_of(values)))
    assert merge(base, adapter, out, silent)["nf4_tensors"] == 14
    for name, tensor in load_file(out / "model.safetensors").items():
        written = torch.float16 if stored == "bfloat16" else TYPES[stored]
        assert torch.equal(tensor, values[name].to(written)), name


def test_sum_is_pefts_on_the_same_values(base, adapter, out, tmp_path):
    values = values_in_nf4(base)
    write_training_base(adapter, TrainingBase("nf4", "bfloat16", tensors=digests_of(values)))
    merge(base, adapter, out, silent)
    plain = plain_copy(base, values, tmp_path / "plain", torch.bfloat16)
    theirs = merged_by_peft(plain, adapter)
    for name, tensor in load_file(out / "model.safetensors").items():
        torch.testing.assert_close(tensor, theirs[name], rtol=2**-10, atol=1e-6)
        assert (tensor == theirs[name]).float().mean() > 0.99, name


def test_layers_that_are_not_adapted_are_nf4_too(base, out, tmp_path):
    adapter = write_adapter(base, tmp_path / "adapter", target_modules=["q_proj"])
    merge(base, adapter, out, silent, TrainingBase("nf4", "bfloat16"))
    values = values_in_nf4(base)
    merged = load_file(out / "model.safetensors")
    assert torch.equal(merged[(name := "model.layers.0.mlp.up_proj.weight")], values[name].half())
    assert torch.equal(merged[(name := "model.embed_tokens.weight")], values[name].half())


@pytest.mark.parametrize("recorded", [True, False])
def test_16_bit_is_the_default_of_others_adapters(base, adapter, out, recorded):
    if recorded:
        write_training_base(adapter, TrainingBase("none", "bfloat16"))
    assert merge(base, adapter, out, silent)["nf4_tensors"] == 0
    theirs = merged_by_peft(base, adapter)
    name = "model.layers.1.mlp.down_proj.weight"
    torch.testing.assert_close(
        load_file(out / "model.safetensors")[name], theirs[name], rtol=2**-10, atol=1e-6
    )


def test_adapters_of_before_were_trained_on_nf4(base, adapter, out):
    (adapter / "training_config.json").write_text('{"version": 3}')
    checks = {"base_computes_in": {"value": "bfloat16"}}
    (adapter / "checks.json").write_text(json.dumps(checks))
    assert merge(base, adapter, out, silent)["nf4_tensors"] == 14


def test_other_values_than_those_of_training_are_refused(base, adapter, out):
    digests = digests_of(values_in_nf4(base))
    digests[name := "model.layers.1.mlp.up_proj.weight"] = "0" * 64
    write_training_base(adapter, TrainingBase("nf4", "bfloat16", tensors=digests))
    (out / "model.safetensors").write_bytes(b"what a killed merge left")
    with pytest.raises(WorkError, match=f"{name} does not have the values in NF4 .* Take the base"):
        merge(base, adapter, out, silent)
    assert not list(out.iterdir())


def test_a_layer_of_the_record_that_the_base_lacks_is_refused(base, adapter, out):
    digests = {"model.layers.7.mlp.up_proj.weight": "0" * 64}
    write_training_base(adapter, TrainingBase("nf4", "bfloat16", tensors=digests))
    with pytest.raises(WorkError, match="trained on a base with model.layers.7.mlp"):
        merge(base, adapter, out, silent)


def test_a_mean_that_another_machine_summed_otherwise_is_found(out, tmp_path):
    """A GPU, or another number of threads, adds the scales up in another order."""
    base = write_base(tmp_path / "base", torch.float32)
    adapter = write_adapter(base, tmp_path / "adapter")
    weight = load(base, torch.float32).state_dict()[(name := "model.layers.0.mlp.up_proj.weight")]
    codes, state = functional.quantize_4bit(weight, compress_statistics=True, quant_type="nf4")
    here = functional.dequantize_4bit(codes, state)
    scales = weight.reshape(-1, 64).abs().amax(1)
    for _ in range(3):
        state.offset = torch.nextafter(state.offset, torch.tensor(torch.inf))
    state.absmax, state.state2 = functional.quantize_blockwise(scales - state.offset, blocksize=256)
    there = functional.dequantize_4bit(codes, state)
    assert not torch.equal(here, there)
    digests = digests_of({name: there})
    write_training_base(adapter, TrainingBase("nf4", "float32", tensors=digests))
    assert merge(base, adapter, out, silent)["nf4_tensors"] == 1


@pytest.mark.parametrize("double", [True, False])
@pytest.mark.parametrize("block", [64, 128])
def test_other_forms_of_nf4(base, adapter, out, block, double):
    trained = TrainingBase("nf4", "bfloat16", block, double)
    merge(base, adapter, out, silent, trained)
    weight = load(base).state_dict()[(name := "model.layers.0.self_attn.k_proj.weight")]
    codes, state = functional.quantize_4bit(
        weight, blocksize=block, compress_statistics=double, quant_type="nf4"
    )
    write_training_base(
        adapter,
        replace(trained, tensors=digests_of({name: functional.dequantize_4bit(codes, state)})),
    )
    merge(base, adapter, out, silent)


def test_values_are_those_of_bitsandbytes_for_every_case():
    """Every mantissa of a scale, with every weight down to 2⁻⁸ of it, of either sign."""
    tops = np.arange(0x3F80, 0x4000)[:, None]
    magnitudes = tops - np.arange(8 * 128)
    cases = np.stack([magnitudes, magnitudes | 0x8000], axis=-1).reshape(-1)
    blocks = np.zeros((len(cases), 32), np.uint16)
    blocks[:, 0] = cases
    blocks[:, 1] = np.repeat(tops, len(cases) // 128)
    for scale in (1.0, 2.0**-6, 0.0):
        weights = (torch.from_numpy(blocks).view(torch.bfloat16) * scale).bfloat16().reshape(-1)
        codes, state = functional.quantize_4bit(weights, blocksize=32, quant_type="nf4")
        assert torch.equal(nf4._scales_of(weights, 32), state.absmax)
        theirs = functional.dequantize_4bit(codes, state).reshape(-1)
        ours = torch.frombuffer(nf4._quantize(weights, state.absmax, 32), dtype=torch.bfloat16)
        assert torch.equal(ours, theirs)


def test_a_part_of_the_values_is_as_in_the_whole(base):
    """Rows that begin or end within a block are asked for if a model is narrow."""
    weight = open_base(base).weights["model.layers.0.mlp.up_proj.weight"]
    read = next(nf4.quantized(weight, TrainingBase("nf4", "bfloat16")))
    whole = read(0, 2 * weight.shape[0] * weight.shape[1])
    for begin, end in ((0, 2), (62, 258), (130, 200), (len(whole) - 6, len(whole))):
        assert read(begin, end) == whole[begin:end]


@pytest.fixture(scope="module")
def packed(base, tmp_path_factory):
    """The base as published bnb-4bit models are."""
    folder = tmp_path_factory.mktemp("packed")
    load_nf4(base).save_pretrained(folder, max_shard_size="60KB")
    return folder


def test_a_base_that_comes_as_nf4_is_written_in_16_bit(base, packed, out):
    assert any(
        "absmax" in name for file in packed.glob("*.safetensors") for name in load_file(file)
    )
    metrics = merge(packed, None, out, silent)
    assert metrics["nf4_tensors"] == 14
    assert "quantization_config" not in json.loads((out / "config.json").read_text())
    index = json.loads((out / "model.safetensors.index.json").read_text())["weight_map"]
    values = values_in_nf4(base)
    merged = load(out).state_dict()
    assert index.keys() | {"lm_head.weight"} == merged.keys()
    for name, value in values.items():
        assert torch.equal(merged[name], value), name


@pytest.mark.parametrize("recorded", [True, False])
def test_an_adapter_of_a_base_that_comes_as_nf4(base, packed, out, tmp_path, recorded):
    policy = train(load(packed))
    adapter = tmp_path / "adapter"
    policy.save_pretrained(adapter)
    values = values_in_nf4(base)
    if recorded:
        write_training_base(adapter, TrainingBase("nf4", "bfloat16", tensors=digests_of(values)))
    merge(packed, adapter, out, silent)
    plain = plain_copy(base, values, tmp_path / "plain", torch.bfloat16)
    theirs = PeftModel.from_pretrained(load(plain), adapter).merge_and_unload().state_dict()
    for name, tensor in load(out).state_dict().items():
        torch.testing.assert_close(tensor, theirs[name], rtol=2**-7, atol=1e-6)


def test_another_nf4_base_than_that_of_training_is_refused(packed, adapter, out):
    digests = {"model.layers.0.mlp.up_proj.weight": "0" * 64}
    write_training_base(adapter, TrainingBase("nf4", "bfloat16", tensors=digests))
    with pytest.raises(WorkError, match="is not the base of that training"):
        merge(packed, adapter, out, silent)
    assert not list(out.iterdir())
