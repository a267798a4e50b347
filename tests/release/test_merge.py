"""Merging on a two-layer model: files, shards and progress, and what never changes."""

import json
import subprocess
import sys

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from tasks.core.release.merge import merge
from tasks.core.release.weights import encode, read_array, read_header
from tests.release.tiny_merge import (
    MODULES,
    load,
    merged_by_peft,
    silent,
    write_adapter,
    write_base,
)


@pytest.fixture
def base(tmp_path):
    return write_base(tmp_path / "base")


@pytest.fixture
def out(tmp_path):
    (tmp_path / "out").mkdir()
    return tmp_path / "out"


def test_only_adapted_tensors_change(base, out, tmp_path):
    metrics = merge(base, write_adapter(base, tmp_path / "adapter"), out, silent)
    assert (metrics["adapted_tensors"], metrics["nf4_tensors"]) == (14, 0)
    before = load_file(base / "model.safetensors")
    for name, tensor in load_file(out / "model.safetensors").items():
        adapted = any(f".{module}.weight" in name for module in MODULES)
        assert adapted != torch.equal(tensor, before[name].half()), name


def test_merged_model_loads_and_ties_its_embedding(base, out, tmp_path):
    merge(base, write_adapter(base, tmp_path / "adapter"), out, silent)
    model = load(out)
    assert model.lm_head.weight.data_ptr() == model.model.embed_tokens.weight.data_ptr()
    for name in ("generation_config.json", "chat_template.jinja", "tokenizer.json"):
        assert (out / name).read_bytes() == (base / name).read_bytes()
    before, after = (json.loads((folder / "config.json").read_text()) for folder in (base, out))
    assert after == before | {"dtype": "float16"}


def test_shards_and_their_index_stay(out, tmp_path):
    base = write_base(tmp_path / "sharded", shard="40KB")
    assert len(list(base.glob("*.safetensors"))) > 2
    adapter = write_adapter(base, tmp_path / "adapter")
    merge(base, adapter, out, silent)
    index = json.loads((out / "model.safetensors.index.json").read_text())
    theirs = merged_by_peft(base, adapter)
    for name, file in index["weight_map"].items():
        torch.testing.assert_close(
            load_file(out / file)[name], theirs[name], rtol=2**-10, atol=1e-6
        )


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


def test_what_a_killed_merge_left_is_written_over(base, out, tmp_path):
    merge(base, None, out, silent)
    whole = (out / "model.safetensors").read_bytes()
    (out / "model.safetensors").write_bytes(whole[: len(whole) // 2])
    (out / "config.json").unlink()
    merge(base, None, out, silent)
    assert (out / "model.safetensors").read_bytes() == whole
    assert (out / "config.json").exists()


def test_a_16_bit_merge_does_not_wait_for_torch(base, out, tmp_path):
    adapter = write_adapter(base, tmp_path / "adapter")
    program = f"""
import sys
from pathlib import Path
from tasks.core.release.merge import merge
merge(Path({str(base)!r}), Path({str(adapter)!r}), Path({str(out)!r}), lambda *_: None)
assert "torch" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", program], check=True)


def test_bfloat16_rounds_as_torch_does(tmp_path):
    values = torch.cat(
        [torch.randn(10_000), torch.tensor([0.0, -0.0, 1.00390625, 1.01171875, 3.3e38, 1e-40])]
    )
    assert encode(values.numpy(), "BF16") == values.bfloat16().view(torch.int16).numpy().tobytes()
    save_file({"x": values.bfloat16()}, tmp_path / "x.safetensors")
    read = read_array(read_header(tmp_path / "x.safetensors"), "x")
    assert np.array_equal(read, values.bfloat16().float().numpy())
