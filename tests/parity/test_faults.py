"""Each fault that ruins a release is caught, and the hop that it is in is named."""

import json
import shutil

import numpy as np
import pytest
from gguf import GGUFReader
from safetensors.numpy import load_file, save_file

from tasks.core.errors import WorkError
from tasks.core.files.json_files import read_json, write_json
from tasks.core.parity import llama_hop
from tasks.core.parity.hop import MERGED, REFERENCE
from tasks.core.parity.jobs import LlamaJob
from tasks.core.parity.limits import CONVERSION, MERGE
from tasks.core.parity.proof import check, computed_figures
from tasks.core.parity.torch_hops import Hop, measure_torch
from tasks.core.parity.torch_model import load_merged
from tasks.core.records.training_base import TrainingBase, write_training_base
from tasks.core.release.merge import merge
from tests.release.conftest import silent

pytestmark = pytest.mark.slow

WEIGHTS = "adapter_model.safetensors"


@pytest.fixture
def hops(proven, tmp_path):
    """The reference's files; a hop measured anew writes its own beside them."""
    shutil.copytree(proven.hops, tmp_path / "hops")
    return tmp_path / "hops"


@pytest.fixture
def adapter(proven, tmp_path):
    return shutil.copytree(proven.release.adapter, tmp_path / "adapter")


@pytest.fixture
def f16(proven, tmp_path):
    return shutil.copyfile(proven.release.f16, tmp_path / "model-f16.gguf")


def merged_with(proven, adapter, hops):
    """The verdict on a model that was merged with this adapter folder."""
    folder = hops.parent / "merged"
    folder.mkdir()
    merge(proven.release.base, adapter, folder, silent)
    return verdict_on_merged(proven, folder, hops)


def verdict_on_merged(proven, folder, hops):
    measure_torch(Hop(MERGED, lambda: load_merged(folder)), hops / "prompts.json", silent)
    return verdict(proven, hops, MERGED)


def verdict_on_f16(proven, gguf, hops):
    llama_hop.main(LlamaJob(str(hops / "prompts.json"), "gguf", str(gguf)))
    return verdict(proven, hops, "gguf")


def verdict(proven, hops, name):
    before = REFERENCE if name == MERGED else MERGED
    names = [before, name]
    figures = [computed_figures(proven.release, proven.prompts, hops, one) for one in names]
    check(figures, MERGE if name == MERGED else CONVERSION)
    return figures[-1]


def change_json(file, **changes):
    write_json(file, {**read_json(file), **changes})


def parts_at(hop):
    return pytest.raises(WorkError, match=rf"It parts from it at {hop} \(")


def test_the_right_release_passes(proven, hops):
    assert verdict(proven, hops, MERGED).kl_mean.value < MERGE.kl_mean / 4
    figures = json.loads((proven.hops.parent / "figures.json").read_text())
    assert [one["name"] for one in figures] == ["adapter", "merge", "gguf", "quantize"]


def test_another_scale_in_the_merge(proven, adapter, hops):
    change_json(adapter / "adapter_config.json", lora_alpha=16)
    with parts_at("merge"):
        merged_with(proven, adapter, hops)


def test_one_layers_adapter_left_out(proven, adapter, hops):
    tensors = load_file(adapter / WEIGHTS)
    kept = {name: part for name, part in tensors.items() if ".1.mlp.down_proj" not in name}
    assert len(kept) == len(tensors) - 2
    save_file(kept, adapter / WEIGHTS)
    with parts_at("merge"):
        merged_with(proven, adapter, hops)


def test_a_transposed_update(proven, adapter, hops):
    tensors = load_file(adapter / WEIGHTS)
    layer = "base_model.model.model.layers.0.self_attn.q_proj"
    a, b = f"{layer}.lora_A.weight", f"{layer}.lora_B.weight"
    turned = {a: tensors[b].T.copy(), b: tensors[a].T.copy()}
    save_file(tensors | turned, adapter / WEIGHTS)
    with parts_at("merge"):
        merged_with(proven, adapter, hops)


def test_the_wrong_base_values(proven, adapter, hops):
    write_training_base(adapter, TrainingBase("none", "bfloat16"))
    with parts_at("merge") as raised:
        merged_with(proven, adapter, hops)
    assert "the adapter was merged into other base values" in str(raised.value)
    assert "whoever holds the name keeps it" in str(raised.value)


def test_an_end_of_answer_that_the_merged_folder_does_not_name(proven, hops, tmp_path):
    folder = shutil.copytree(proven.release.merged, tmp_path / "merged")
    change_json(folder / "generation_config.json", eos_token_id=0)
    with parts_at("merge"):
        verdict_on_merged(proven, folder, hops)


def test_the_right_f16_passes(proven, f16, hops):
    verdict_on_f16(proven, f16, hops)


@pytest.mark.parametrize("token", [0, 28])
def test_another_end_of_answer_in_the_gguf(proven, f16, hops, token):
    field(f16, "tokenizer.ggml.eos_token_id")[0] = token
    with parts_at("gguf"):
        verdict_on_f16(proven, f16, hops)


def test_another_template_in_the_gguf(proven, f16, hops):
    field(f16, "tokenizer.chat_template")[-8:] = ord(" ")
    with parts_at("gguf"):
        verdict_on_f16(proven, f16, hops)


def test_another_rope_base_in_the_gguf(proven, f16, hops):
    field(f16, "llama.rope.freq_base")[0] = 1_000_000.0
    with parts_at("gguf"):
        verdict_on_f16(proven, f16, hops)


def test_a_head_that_is_not_the_embedding(proven, f16, hops):
    weights = tensor(f16, "token_embd.weight")
    weights[:] = np.roll(weights, 1, axis=0)
    with parts_at("gguf"):
        verdict_on_f16(proven, f16, hops)


def test_another_models_gguf(proven, f16, hops):
    for part in GGUFReader(f16, "r+").tensors:
        weights = part.data
        weights[:] = np.random.default_rng(1).permutation(weights.ravel()).reshape(weights.shape)
    with parts_at("gguf"):
        verdict_on_f16(proven, f16, hops)


def field(gguf, name):
    """A metadata value as an array on the file itself."""
    entry = GGUFReader(gguf, "r+").fields[name]
    return entry.parts[entry.data[0]]


def tensor(gguf, name):
    """A tensor's values as an array on the file itself."""
    parts = {part.name: part for part in GGUFReader(gguf, "r+").tensors}
    return parts[name].data
