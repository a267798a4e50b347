"""llama.cpp's own quantizer on a small model: what came out is said, and what is wrong is named."""

from dataclasses import replace

import numpy as np
import pytest

from tasks.core.errors import WorkError
from tasks.core.release.gguf_file import read_gguf
from tasks.core.release.importance import Importance, write_imatrix
from tasks.core.release.quantization import Quantization
from tasks.core.release.quantize import quantize
from tests.release.conftest import quantize_plainly, silent

pytestmark = pytest.mark.slow

NARROW = (
    "; 15 of 15 matrices have rows of 64 or 96, no multiple of 256, and so a type with smaller"
    " blocks and more bits)"
)


@pytest.fixture
def out(tmp_path):
    (tmp_path / "out").mkdir()
    return tmp_path / "out"


@pytest.fixture
def imatrix(tiny_f16, tmp_path):
    """A matrix in which the first column of every layer matters most."""

    def sums(width):
        return np.r_[1e6, np.ones(width - 1)].astype(np.float32)

    layers = [each for each in read_gguf(tiny_f16).tensors if each.name.startswith("blk.")]
    widths = {each.name: each.shape[0] for each in layers if len(each.shape) > 1}
    importance = Importance({name: sums(width) for name, width in widths.items()}, 100, 3)
    (tmp_path / "imatrix").mkdir()
    write_imatrix(importance, tmp_path / "imatrix" / "imatrix.gguf")
    return tmp_path / "imatrix" / "imatrix.gguf"


def types_of(file):
    return {tensor.name: tensor.type for tensor in read_gguf(file).tensors}


def test_quantizing_is_repeatable_and_smaller(tiny_f16, llama, tmp_path, out):
    seen = []
    metrics = quantize_plainly(
        tiny_f16, "Q8_0", llama, out, lambda share, text: seen.append((share, text))
    )
    assert metrics["bytes"] == (out / "model.gguf").stat().st_size < metrics["from_bytes"]
    assert seen[-2] == (1.0, "20 / 20 tensors to Q8_0")
    assert seen[-1] == (1.0, "Q8_0: 5 MB, 8.50 bits a weight")
    again = tmp_path / "again"
    again.mkdir()
    quantize_plainly(tiny_f16, "Q8_0", llama, again, silent)
    assert (again / "model.gguf").read_bytes() == (out / "model.gguf").read_bytes()


def test_real_bits_and_types_are_said(tiny_f16, llama, out, caplog):
    caplog.set_level("INFO")
    metrics = quantize_plainly(tiny_f16, "Q4_K_M", llama, out, silent)
    tensors = read_gguf(out / "model.gguf").tensors
    bits = 8 * sum(each.size for each in tensors) / sum(each.elements for each in tensors)
    assert metrics["bits_per_weight"] == round(bits, 2)
    assert sum(metrics["tensor_types"].values()) == len(tensors) == 20
    assert f"Q4_K_M: 5 MB, {bits:.2f} bits a weight (" in caplog.text
    assert NARROW in caplog.text


def test_f16_is_the_same_bytes_once(tiny_f16, llama, out):
    metrics = quantize_plainly(tiny_f16, "F16", llama, out, silent)
    assert (out / "model.gguf").samefile(tiny_f16)
    assert metrics["quantization"] == "F16"
    assert metrics["bits_per_weight"] == pytest.approx(16, abs=0.01)


def test_f16_is_copied_where_it_cannot_be_shared(tiny_f16, llama, out, monkeypatch):
    def refuse(source, target):
        raise OSError(18, "Invalid cross-device link")

    monkeypatch.setattr("os.link", refuse)
    quantize_plainly(tiny_f16, "F16", llama, out, silent)
    assert not (out / "model.gguf").samefile(tiny_f16)
    assert (out / "model.gguf").read_bytes() == tiny_f16.read_bytes()


def test_an_importance_matrix_changes_the_rounding(tiny_f16, llama, imatrix, out, tmp_path):
    plain = quantize(out / "plain.gguf", tiny_f16, Quantization("Q2_K"), llama, silent)
    how = Quantization("Q2_K", imatrix)
    metrics = quantize(out / "model.gguf", tiny_f16, how, llama, silent)
    assert (plain["importance_matrix"], metrics["importance_matrix"]) == (False, True)
    assert metrics["bits_per_weight"] == plain["bits_per_weight"]
    assert (out / "model.gguf").read_bytes() != (out / "plain.gguf").read_bytes()
    said = read_gguf(out / "model.gguf").metadata
    assert said["quantize.imatrix.dataset"] == "kospilot's training rows"
    assert said["quantize.imatrix.entries_count"] == 14
    assert said["quantize.imatrix.file"] == "imatrix.gguf"
    elsewhere = tmp_path / "elsewhere"
    imatrix.parent.rename(elsewhere)
    how = Quantization("Q2_K", elsewhere / "imatrix.gguf")
    quantize(tmp_path / "again.gguf", tiny_f16, how, llama, silent)
    assert (tmp_path / "again.gguf").read_bytes() == (out / "model.gguf").read_bytes()


def test_single_tensors_get_their_types(tiny_f16, llama, out):
    types = {"ffn_down": "Q8_0", "blk.1.ffn_down": "F16", "attn_v": "Q6_K", "token_embd": "Q5_1"}
    how = Quantization("Q4_K_M", tensor_types=types)
    quantize(out / "model.gguf", tiny_f16, how, llama, silent)
    made = types_of(out / "model.gguf")
    assert made["blk.0.ffn_down.weight"] == "Q8_0"
    assert made["blk.1.ffn_down.weight"] == "F16"
    assert made["token_embd.weight"] == "Q5_1"
    assert made["blk.0.attn_v.weight"] == "Q8_0"  # Q6_K has blocks of 256: it falls back
    assert made["blk.0.attn_q.weight"] == "Q5_0"


def test_a_tensor_that_the_model_lacks_is_named(tiny_f16, llama, out):
    how = Quantization("Q4_K_M", tensor_types={"output": "Q8_0"})
    with pytest.raises(WorkError, match=r"names output, and .* no such tensor\..* It has attn_k,"):
        quantize(out / "model.gguf", tiny_f16, how, llama, silent)
    assert not list(out.iterdir())


def test_a_cut_gguf_is_refused(tiny_f16, llama, tmp_path, out):
    cut = tmp_path / "cut.gguf"
    cut.write_bytes(tiny_f16.read_bytes()[:-1000])
    with pytest.raises(WorkError, match=f"{cut} is cut or damaged"):
        quantize_plainly(cut, "Q8_0", llama, out, silent)
    cut.write_bytes(b"<html>")
    with pytest.raises(WorkError, match=f"{cut} is not a GGUF: it begins with b'<htm'"):
        quantize_plainly(cut, "Q8_0", llama, out, silent)


def test_a_cut_matrix_is_refused(tiny_f16, llama, imatrix, out):
    imatrix.write_bytes(imatrix.read_bytes()[:-1000])
    with pytest.raises(WorkError, match=f"{imatrix} is cut or damaged"):
        quantize(out / "model.gguf", tiny_f16, Quantization("Q2_K", imatrix), llama, silent)


def test_the_quantizers_own_message_is_in_the_error(tiny_f16, llama, out):
    with pytest.raises(
        WorkError, match="could not make Q9_9 of .*: llama_quantize: invalid ftype 'Q9_9'$"
    ):
        quantize_plainly(tiny_f16, "Q9_9", llama, out, silent)


def quantizer(llama, tmp_path, script):
    """A llama-quantize that does what the script says."""
    program = tmp_path / "llama-quantize"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    return replace(llama, quantize=program)


@pytest.mark.parametrize(
    ("script", "said"),
    [
        ("echo this build is broken; exit 1", "this build is broken"),
        ("kill -9 $$", "it was killed, as happens when the memory is full"),
        ("true", r"said that it was done and wrote no .*model\.gguf"),
        ('head -c 100000 "$1" > "$2"', r"model\.gguf is cut or damaged"),
    ],
)
def test_a_quantizer_that_fails_is_named(tiny_f16, llama, tmp_path, out, script, said):
    with pytest.raises(WorkError, match=said):
        quantize_plainly(tiny_f16, "Q8_0", quantizer(llama, tmp_path, script), out, silent)


def test_an_old_llama_cpp_is_named(tiny_f16, llama, imatrix, tmp_path, out):
    old = quantizer(llama, tmp_path, "echo 'usage: llama-quantize [--pure] in out type'; exit 1")
    for how, remedy in (
        (Quantization("Q2_K", imatrix), r"knows no --imatrix: .* do without: release\.imatrix=off"),
        (Quantization("Q2_K", tensor_types={"ffn_down": "Q8_0"}), "knows no --tensor-type: "),
    ):
        with pytest.raises(WorkError, match=f"{old.quantize} {remedy}"):
            quantize(out / "model.gguf", tiny_f16, how, old, silent)


def test_types_that_were_not_made_are_noticed(tiny_f16, llama, tmp_path, out):
    """An old llama-quantize knows the option and takes the name otherwise."""
    script = f'echo "--tensor-type"; exec {llama.quantize} "$3" "$4" "$5"'
    how = Quantization("Q4_K_M", tensor_types={"ffn_down": "Q8_0"})
    with pytest.raises(
        WorkError, match=r"ffn_down.weight Q\d_\d, and .* asks for Q8_0: .* too old"
    ):
        quantize(out / "model.gguf", tiny_f16, how, quantizer(llama, tmp_path, script), silent)


def test_a_disk_too_small_is_named_before_anything_is_written(tiny_f16, llama, out, monkeypatch):
    monkeypatch.setattr("shutil.disk_usage", lambda folder: type("", (), {"free": 1_000_000}))
    with pytest.raises(WorkError, match=r"model\.gguf takes about \d+ MB and the disk of .*gc"):
        quantize_plainly(tiny_f16, "Q4_K_M", llama, out, silent)
    assert not list(out.iterdir())
