"""The importance matrix: what enters the layers of a small model, summed up and written as
llama.cpp reads it.
"""

import shutil

import gguf
import numpy as np
import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from tasks.core.errors import WorkError
from tasks.core.release import importance
from tasks.core.release.gguf_file import read_gguf
from tasks.core.release.imatrix import compute_imatrix
from tasks.core.release.importance import Importance, measure_importance, write_imatrix
from tasks.core.release.rows import Row
from tests.release.conftest import silent
from tests.tiny import chat_rows, make_base, write_jsonl

WIDTHS = {"attn_q": 64, "attn_k": 64, "attn_v": 64, "attn_output": 64}
WIDTHS |= {"ffn_gate": 64, "ffn_up": 64, "ffn_down": 128}
ROWS = [Row(f"sort {number % 3}", row["messages"]) for number, row in enumerate(chat_rows(12))]


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    return make_base(tmp_path_factory.mktemp("base"))


def write_gguf(file, architecture="qwen2", widths=WIDTHS):
    """A GGUF with the tensors of two layers; only their names and shapes count."""
    writer = gguf.GGUFWriter(file, architecture)
    writer.add_block_count(2)
    for layer in range(2):
        for name, width in widths.items():
            writer.add_tensor(f"blk.{layer}.{name}.weight", np.zeros((2, width), np.float16))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return file


@pytest.fixture
def f16(tmp_path):
    return write_gguf(tmp_path / "model-f16.gguf")


def test_rows_that_the_template_refuses_are_not_read(base, f16, tmp_path):
    folder = shutil.copytree(base, tmp_path / "base")
    template = folder / "chat_template.jinja"
    refusal = "{% if messages[0].role != 'system' %}{{ raise_exception('no') }}{% endif %}"
    template.write_text(refusal + template.read_text())
    whole = sum(row.messages[0]["role"] == "system" for row in ROWS)
    assert measure_importance(folder, f16, ROWS, silent, tokens=10_000).rows == whole == 8
    with pytest.raises(WorkError, match="There are no rows"):
        unasked = [row for row in ROWS if row.messages[0]["role"] == "user"]
        measure_importance(folder, f16, unasked, silent)


def test_every_matrix_of_every_layer_has_its_columns(base, f16):
    seen = []
    importance = measure_importance(
        base, f16, ROWS, lambda share, text: seen.append((share, text)), tokens=300
    )
    widths = {name: len(sums) for name, sums in importance.sums.items()}
    assert widths == {
        f"blk.{layer}.{name}.weight": width for layer in range(2) for name, width in WIDTHS.items()
    }
    assert importance.tokens == 300
    assert seen[0] == (0.0, "loading the model")
    assert seen[-1] == (1.0, "300 / 300 tokens read")


def test_sums_are_those_of_the_squares_that_enter(base, f16):
    """The first layer's input is its norm of the embeddings, which can be computed by hand."""
    importance = measure_importance(base, f16, ROWS[:1], silent)
    tokenizer = AutoTokenizer.from_pretrained(base)
    text = tokenizer.apply_chat_template(ROWS[0].messages, tokenize=False)
    ids = tokenizer(text, add_special_tokens=False)["input_ids"]
    assert importance.tokens == len(ids)
    assert tokenizer.convert_tokens_to_ids("<|im_start|>") in ids
    model = AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32).model
    with torch.inference_mode():
        entering = model.layers[0].input_layernorm(model.embed_tokens(torch.tensor(ids)))
    expected = entering.square().sum(0).numpy()
    for name in ("attn_q", "attn_k", "attn_v"):
        sums = importance.sums[f"blk.0.{name}.weight"]
        np.testing.assert_allclose(sums, expected, rtol=0.02)  # the model computes in bf16


@pytest.mark.skipif(torch.cuda.is_available(), reason="a GPU multiplies F16 fast")
def test_a_cpu_does_not_compute_in_f16(base, tmp_path):
    """Merged models come in F16, in which a CPU takes seven times as long."""
    merged = AutoModelForCausalLM.from_pretrained(base, dtype=torch.float16)
    merged.save_pretrained(tmp_path)
    assert importance._load(tmp_path).dtype in (torch.bfloat16, torch.float32)


def test_the_same_rows_give_the_same_bytes(base, f16, tmp_path):
    for name in ("one", "two"):
        importance = measure_importance(base, f16, ROWS, silent, tokens=200)
        write_imatrix(importance, tmp_path / name)
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()


def test_the_file_is_what_llama_cpp_reads(tmp_path):
    sums = {"blk.0.attn_q.weight": np.arange(4, dtype=np.float32)}
    write_imatrix(Importance(sums, tokens=100, rows=3), tmp_path / "imatrix.gguf")
    written = read_gguf(tmp_path / "imatrix.gguf")
    assert written.text("general.type") == "imatrix"
    assert written.metadata["imatrix.datasets"] == ["kospilot's training rows"]
    assert written.metadata["imatrix.chunk_count"] == 3
    assert written.metadata["imatrix.chunk_size"] == 33
    assert [(tensor.name, tensor.type, tensor.shape) for tensor in written.tensors] == [
        ("blk.0.attn_q.weight.in_sum2", "F32", (4, 1)),
        ("blk.0.attn_q.weight.counts", "F32", (1, 1)),
    ]
    values = {
        each.name: each.data.ravel().tolist() for each in gguf.GGUFReader(written.path).tensors
    }
    assert values["blk.0.attn_q.weight.in_sum2"] == [0, 1, 2, 3]
    assert values["blk.0.attn_q.weight.counts"] == [100]


def test_another_models_gguf_is_named(base, tmp_path):
    other = write_gguf(tmp_path / "other.gguf", widths={"attn_q": 32})
    with pytest.raises(WorkError, match=r"No layer of this qwen2 model .* release.imatrix=off"):
        measure_importance(base, other, ROWS, silent)
    unknown = write_gguf(tmp_path / "unknown.gguf", architecture="no-such")
    with pytest.raises(WorkError, match="does not know the architecture no-such"):
        measure_importance(base, unknown, ROWS, silent)


def test_a_broken_model_is_named(base, f16, tmp_path):
    model = AutoModelForCausalLM.from_pretrained(base, dtype=torch.bfloat16)
    model.model.layers[1].input_layernorm.weight.data[3] = float("inf")
    model.save_pretrained(tmp_path / "broken")
    AutoTokenizer.from_pretrained(base).save_pretrained(tmp_path / "broken")
    with pytest.raises(WorkError, match=r"What enters blk\.1\.attn_q\.weight is no finite number"):
        measure_importance(tmp_path / "broken", f16, ROWS, silent, tokens=50)


def test_without_rows_there_is_no_matrix(base, f16):
    with pytest.raises(WorkError, match="There are no rows"):
        measure_importance(base, f16, [], silent)


@pytest.mark.slow
def test_its_program_tells_what_it_did(base, f16, tmp_path):
    seen = []
    rows = [{"messages": row.messages, "source": row.sort} for row in ROWS]
    file = write_jsonl(tmp_path / "rows.jsonl", rows)
    target = tmp_path / "imatrix.gguf"
    metrics = compute_imatrix(base, f16, file, target, lambda share, text: seen.append(text))
    assert metrics == {"rows": 12, "tokens": metrics["tokens"], "tensors": 14}
    assert seen[0] == "loading the model"
    assert seen[-1] == f"{metrics['tokens']:,} / 9,216 tokens read"
    assert len(read_gguf(target).tensors) == 28


@pytest.mark.slow
def test_its_programs_error_is_said(base, f16, tmp_path):
    file = write_jsonl(tmp_path / "rows.jsonl", [])
    with pytest.raises(WorkError, match=f"^{file} has no rows. Make the file again.$"):
        compute_imatrix(base, f16, file, tmp_path / "imatrix.gguf", silent)
