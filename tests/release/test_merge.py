"""Merging on a two-layer model: what PEFT's own merge gives, nothing written for an adapter of
another base.
"""

import json

import numpy as np
import pytest
import torch
from peft import LoraConfig, PeftModel, get_peft_model
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM, Qwen2Config, Qwen2ForCausalLM

from tasks.core.errors import WorkError
from tasks.core.release.merge import merge
from tasks.core.release.weights import read_array, read_header, to_bytes

MODULES = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]


def silent(share, text):
    pass


def write_base(folder, dtype=torch.bfloat16, shard="50GB", **changes):
    torch.manual_seed(7)
    shape = {
        "hidden_size": 48,
        "intermediate_size": 80,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
    }
    config = Qwen2Config(
        **shape, num_key_value_heads=2, vocab_size=96, tie_word_embeddings=True, **changes
    )
    Qwen2ForCausalLM(config).to(dtype).save_pretrained(folder, max_shard_size=shard)
    (folder / "chat_template.jinja").write_text("{{ messages }}", encoding="utf-8")
    (folder / "tokenizer.json").write_text("{}", encoding="utf-8")
    return folder


def write_adapter(base, folder, **options):
    torch.manual_seed(11)
    model = AutoModelForCausalLM.from_pretrained(base, dtype=torch.bfloat16)
    lora = LoraConfig(r=8, lora_alpha=16, target_modules=MODULES, task_type="CAUSAL_LM", **options)
    model = get_peft_model(model, lora, autocast_adapter_dtype=True)
    for name, parameter in model.named_parameters():
        if "lora_" in name:
            parameter.data = torch.randn_like(parameter, dtype=torch.float32) * 0.3
    model.save_pretrained(folder)
    return folder


def merged_by_peft(base, adapter):
    model = AutoModelForCausalLM.from_pretrained(base, dtype=torch.bfloat16)
    return PeftModel.from_pretrained(model, adapter).merge_and_unload().state_dict()


@pytest.fixture
def base(tmp_path):
    return write_base(tmp_path / "base")


@pytest.fixture
def out(tmp_path):
    (tmp_path / "out").mkdir()
    return tmp_path / "out"


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"use_rslora": True},
        {"rank_pattern": {"q_proj": 4}, "alpha_pattern": {"layers.1.mlp.up_proj": 40}},
    ],
)
def test_merge_is_that_of_peft(base, out, tmp_path, options):
    adapter = write_adapter(base, tmp_path / "adapter", **options)
    metrics = merge(base, adapter, out, silent)
    assert metrics["adapted_tensors"] == 14
    ours, theirs = load_file(out / "model.safetensors"), merged_by_peft(base, adapter)
    before = load_file(base / "model.safetensors")
    for name, tensor in ours.items():
        # both sum in float32 and round once: only a sum that ends on a tie of bf16 may fall to the
        # other side
        torch.testing.assert_close(tensor, theirs[name], rtol=2**-7, atol=1e-6)
        assert (tensor == theirs[name]).float().mean() > 0.999, name
        adapted = any(f".{module}.weight" in name for module in MODULES)
        assert adapted != torch.equal(tensor, before[name]), name


def test_merged_model_loads_and_ties_its_embedding(base, out, tmp_path):
    merge(base, write_adapter(base, tmp_path / "adapter"), out, silent)
    model = AutoModelForCausalLM.from_pretrained(out, dtype=torch.bfloat16)
    assert model.lm_head.weight.data_ptr() == model.model.embed_tokens.weight.data_ptr()
    for name in ("config.json", "generation_config.json", "chat_template.jinja", "tokenizer.json"):
        assert (out / name).read_bytes() == (base / name).read_bytes()


def test_shards_and_their_index_stay(out, tmp_path):
    base = write_base(tmp_path / "sharded", shard="40KB")
    assert len(list(base.glob("*.safetensors"))) > 2
    adapter = write_adapter(base, tmp_path / "adapter")
    merge(base, adapter, out, silent)
    index = json.loads((out / "model.safetensors.index.json").read_text())
    theirs = merged_by_peft(base, adapter)
    for name, file in index["weight_map"].items():
        torch.testing.assert_close(load_file(out / file)[name], theirs[name], rtol=2**-7, atol=1e-6)


def test_without_an_adapter_the_base_is_copied(base, out):
    merge(base, None, out, silent)
    assert (out / "model.safetensors").read_bytes() == (base / "model.safetensors").read_bytes()


def test_same_input_same_bytes(base, out, tmp_path):
    adapter, again = write_adapter(base, tmp_path / "adapter"), tmp_path / "again"
    again.mkdir()
    merge(base, adapter, out, silent)
    merge(base, adapter, again, silent)
    assert (out / "model.safetensors").read_bytes() == (again / "model.safetensors").read_bytes()


def test_progress_ends_at_the_whole(base, out):
    seen = []
    merge(base, None, out, lambda share, text: seen.append(share))
    assert seen == sorted(seen)
    assert 0.9 < seen[-1] <= 1


def test_an_adapter_of_another_base_is_refused_before_anything_is_written(base, out, tmp_path):
    wider = tmp_path / "wider"
    torch.manual_seed(1)
    shape = {
        "hidden_size": 64,
        "intermediate_size": 80,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
    }
    Qwen2ForCausalLM(Qwen2Config(**shape, num_key_value_heads=2, vocab_size=96)).save_pretrained(
        wider
    )
    adapter = write_adapter(wider, tmp_path / "adapter")
    with pytest.raises(WorkError, match="it is an adapter of another base model"):
        merge(base, adapter, out, silent)
    assert not list(out.iterdir())


def test_a_layer_that_the_base_lacks_is_named(base, out, tmp_path):
    adapter = write_adapter(base, tmp_path / "adapter")
    tensors = load_file(adapter / "adapter_model.safetensors")
    renamed = {name.replace("layers.1.", "layers.9."): tensor for name, tensor in tensors.items()}
    save_file(renamed, adapter / "adapter_model.safetensors")
    with pytest.raises(WorkError, match=r"7 of the 14 layers .* are not in .*model\.layers\.9\."):
        merge(base, adapter, out, silent)


def test_what_is_not_plain_lora_is_refused(base, out, tmp_path):
    adapter = write_adapter(base, tmp_path / "adapter", use_dora=True)
    with pytest.raises(WorkError, match="lora_magnitude_vector.*Only plain LoRA"):
        merge(base, adapter, out, silent)


@pytest.mark.parametrize("cut", ["base", "adapter"])
def test_a_cut_file_is_named(base, out, tmp_path, cut):
    adapter = write_adapter(base, tmp_path / "adapter")
    file = base / "model.safetensors" if cut == "base" else adapter / "adapter_model.safetensors"
    file.write_bytes(file.read_bytes()[:-100])
    with pytest.raises(WorkError, match=f"{file} is cut"):
        merge(base, adapter, out, silent)


def test_a_base_without_safetensors_is_refused(out, tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(WorkError, match=r"holds no \*\.safetensors"):
        merge(tmp_path / "empty", None, out, silent)


def test_bfloat16_rounds_as_torch_does(tmp_path):
    values = torch.cat(
        [torch.randn(10_000), torch.tensor([0.0, -0.0, 1.00390625, 1.01171875, 3.3e38, 1e-40])]
    )
    assert to_bytes(values.numpy(), "BF16") == values.bfloat16().view(torch.int16).numpy().tobytes()
    save_file({"x": values.bfloat16()}, tmp_path / "x.safetensors")
    read = read_array(read_header(tmp_path / "x.safetensors"), "x")
    assert np.array_equal(read, values.bfloat16().float().numpy())
