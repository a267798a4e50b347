"""Adapters as PEFT's users make them: the merged model answers as the one that was trained, which
PEFT's own merge does not reach if the output layer is tied to the embedding.
"""

import json

import pytest
import torch
from safetensors.torch import load_file

from tasks.core.release.merge import merge
from tests.release.tiny_merge import (
    load,
    logits,
    merged_by_peft,
    silent,
    train,
    write_adapter,
    write_base,
)

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")

PLAIN = {
    "alpha over r": {},
    "rank-stabilized": {"use_rslora": True},
    "patterns": {"rank_pattern": {"q_proj": 4}, "alpha_pattern": {"layers.1.mlp.up_proj": 40}},
    "a whole name": {"alpha_pattern": {r"^model\.layers\.1\.mlp\.up_proj$": 40}},
    "DoRA": {"use_dora": True},
    "biases of adapted layers": {"bias": "lora_only"},
    "all biases": {"bias": "all"},
    "LoRA of biases": {"lora_bias": True, "target_modules": ["q_proj", "v_proj"]},
    "a saved norm": {"modules_to_save": ["norm"]},
    "one layer": {"layers_to_transform": [1]},
}
OF_THE_VOCABULARY = {
    "saved head": {"modules_to_save": ["lm_head"]},
    "saved embedding": {"modules_to_save": ["embed_tokens"]},
    "both saved": {"modules_to_save": ["embed_tokens", "lm_head"]},
    "LoRA of the head": {"target_modules": ["q_proj", "lm_head"]},
    "LoRA of the embedding": {"target_modules": ["q_proj", "embed_tokens"]},
    "LoRA of both": {"target_modules": ["embed_tokens", "lm_head"]},
}
KEPT_TIED = {
    "saved as one": {"modules_to_save": ["embed_tokens"], "ensure_weight_tying": True},
    "LoRA of one": {"target_modules": ["embed_tokens"], "ensure_weight_tying": True},
}


@pytest.fixture
def out(tmp_path):
    (tmp_path / "out").mkdir()
    return tmp_path / "out"


@pytest.mark.parametrize("options", PLAIN.values(), ids=PLAIN)
def test_tensors_are_those_of_pefts_merge(out, tmp_path, options):
    base = write_base(tmp_path / "base")
    adapter = write_adapter(base, tmp_path / "adapter", **options)
    merge(base, adapter, out, silent)
    theirs = merged_by_peft(base, adapter)
    for name, tensor in load_file(out / "model.safetensors").items():
        # both sum in float32 and round once: only a sum that ends near a tie of F16 may fall to the
        # other side
        torch.testing.assert_close(tensor, theirs[name], rtol=2**-10, atol=1e-6)
        assert (tensor == theirs[name]).float().mean() > 0.99, name


@pytest.mark.parametrize("tied", [True, False], ids=["tied", "untied"])
@pytest.mark.parametrize("options", OF_THE_VOCABULARY.values(), ids=OF_THE_VOCABULARY)
def test_head_and_embedding_answer_as_trained(out, tmp_path, options, tied):
    base = write_base(tmp_path / "base", torch.float32, tied=tied)
    policy = train(load(base, torch.float32), **options)
    policy.save_pretrained(tmp_path / "adapter")
    merge(base, tmp_path / "adapter", out, silent)
    merged = load(out, torch.float32)
    torch.testing.assert_close(logits(merged), logits(policy), rtol=1e-4, atol=1e-4)
    assert merged.config.tie_word_embeddings is False


@pytest.mark.parametrize("options", KEPT_TIED.values(), ids=KEPT_TIED)
def test_what_peft_ties_on_purpose_answers_as_trained(out, tmp_path, options):
    base = write_base(tmp_path / "base", torch.float32)
    policy = train(load(base, torch.float32), **options)
    policy.save_pretrained(tmp_path / "adapter")
    merge(base, tmp_path / "adapter", out, silent)
    torch.testing.assert_close(
        logits(load(out, torch.float32)), logits(policy), rtol=1e-4, atol=1e-4
    )


def test_a_tied_embedding_saved_as_one_stays_one(out, tmp_path):
    base = write_base(tmp_path / "base")
    write_adapter(base, tmp_path / "adapter", **KEPT_TIED["saved as one"])
    merge(base, tmp_path / "adapter", out, silent)
    assert "lm_head.weight" not in load_file(out / "model.safetensors")
    assert json.loads((out / "config.json").read_text())["tie_word_embeddings"] is True


@pytest.mark.parametrize(
    ("tied", "targets"),
    [(True, ["q_proj"]), (False, ["q_proj"]), (True, ["q_proj", "embed_tokens"])],
    ids=["tied", "untied", "adapted"],
)
def test_resized_embeddings_bring_their_size_and_tokenizer(out, tmp_path, tied, targets):
    base = write_base(tmp_path / "base", torch.float32, tied=tied)
    model = load(base, torch.float32)
    model.resize_token_embeddings(104, mean_resizing=False)
    policy = train(model, target_modules=targets)
    adapter = tmp_path / "adapter"
    policy.save_pretrained(adapter, save_embedding_layers=True)
    (adapter / "tokenizer.json").write_text('{"added": 8}', encoding="utf-8")
    merge(base, adapter, out, silent)
    merged = load(out, torch.float32)
    assert merged.config.vocab_size == 104
    torch.testing.assert_close(logits(merged), logits(policy), rtol=1e-4, atol=1e-4)
    assert (out / "tokenizer.json").read_text() == '{"added": 8}'
    assert (out / "chat_template.jinja").read_text() == "{{ messages }}"


def test_an_index_names_a_head_that_was_untied(out, tmp_path):
    base = write_base(tmp_path / "base", shard="40KB")
    adapter = write_adapter(base, tmp_path / "adapter", modules_to_save=["lm_head"])
    merge(base, adapter, out, silent)
    index = json.loads((out / "model.safetensors.index.json").read_text())
    file = index["weight_map"]["lm_head.weight"]
    assert load_file(out / file)["lm_head.weight"].shape == (96, 64)
    files = [load_file(path) for path in out.glob("*.safetensors")]
    sizes = [tensor.nbytes for tensors in files for tensor in tensors.values()]
    assert index["metadata"]["total_size"] == sum(sizes)
