"""A GGUF's table of contents is read as gguf-py wrote it; what is cut or no GGUF is named."""

import gguf
import numpy as np
import pytest

from tasks.core.errors import WorkError
from tasks.core.release.gguf_file import Tensor, read_gguf

WORDS = ["<|im_end|>", "국면", "", "Ġbear"]


@pytest.fixture
def file(tmp_path):
    writer = gguf.GGUFWriter(tmp_path / "model.gguf", "llama")
    writer.add_block_count(2)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_add_bos_token(True)
    writer.add_token_list(WORDS)
    writer.add_token_types([3, 1, 1, 1])
    writer.add_array("nested", [[1, 2], [3]])
    writer.add_tensor("a.weight", np.ones((3, 32), np.float16))
    writer.add_tensor("b.weight", np.ones(5, np.float32))
    quantized = gguf.quantize(np.ones((2, 64), np.float32), gguf.GGMLQuantizationType.Q8_0)
    writer.add_tensor("c.weight", quantized, raw_dtype=gguf.GGMLQuantizationType.Q8_0)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return tmp_path / "model.gguf"


def test_metadata_is_what_was_written(file):
    read = read_gguf(file)
    assert read.text("general.architecture") == "llama"
    assert read.text("no.such") == ""
    assert read.metadata["llama.block_count"] == 2
    assert read.metadata["llama.attention.layer_norm_rms_epsilon"] == pytest.approx(1e-5)
    assert read.metadata["tokenizer.ggml.add_bos_token"] is True
    assert read.metadata["tokenizer.ggml.tokens"] == WORDS
    assert read.metadata["tokenizer.ggml.token_type"] == (3, 1, 1, 1)
    assert read.metadata["nested"] == [(1, 2), (3,)]


def test_tensors_lie_where_gguf_py_finds_them(file):
    ours = read_gguf(file).tensors
    theirs = gguf.GGUFReader(file).tensors
    assert ours == [
        Tensor(
            each.name,
            each.tensor_type.name,
            tuple(int(length) for length in each.shape),
            begin=int(each.data_offset),
            size=int(each.n_bytes),
        )
        for each in theirs
    ]
    assert [(tensor.type, tensor.elements, tensor.size) for tensor in ours] == [
        ("F16", 96, 192),
        ("F32", 5, 20),
        ("Q8_0", 128, 136),
    ]


def test_what_is_cut_anywhere_is_named(file):
    whole = file.read_bytes()
    behind_the_last_tensor = read_gguf(file).tensors[-1].begin + 136
    for length in [*range(5, behind_the_last_tensor, 37), behind_the_last_tensor - 1]:
        file.write_bytes(whole[:length])
        with pytest.raises(WorkError, match=f"{file} is cut or damaged .* Remove it and run"):
            read_gguf(file)


def test_what_is_damaged_is_named(file):
    whole = bytearray(file.read_bytes())
    for place in (4, 8, 16, 24, 52):  # version, counts, a text's length, a type
        damaged = whole.copy()
        damaged[place : place + 4] = b"\xff\xff\xff\x7f"
        file.write_bytes(damaged)
        with pytest.raises(WorkError, match="is cut or damaged"):
            read_gguf(file)


@pytest.mark.parametrize("content", [b"", b"GG", b"<html>"])
def test_what_is_no_gguf_is_named(tmp_path, content):
    file = tmp_path / "model.gguf"
    file.write_bytes(content)
    with pytest.raises(WorkError, match=r"is not a GGUF: it begins with b'"):
        read_gguf(file)
