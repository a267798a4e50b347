"""Quantizing as a part of the chain: what runs, what is read, and what is made."""

from types import SimpleNamespace
from typing import get_args

import pytest

from tasks.core.errors import RequestError
from tasks.core.preflight.disk import needed_gib
from tasks.core.records.quantizations import BITS, share_of_base
from tasks.core.release.gguf_file import read_gguf
from tasks.core.settings.profiles import load
from tasks.core.settings.release import QuantizationName
from tasks.core.steps import chain
from tests.every_step import EVERY_STEP
from tests.release.conftest import demo_base, llama, silent, tiny_base, tiny_f16  # noqa: F401
from tests.tiny import chat_rows, write_jsonl


def steps_with(*overrides):
    return chain(load("demo", [*EVERY_STEP, *overrides]).settings)


def test_every_quantization_that_is_offered_has_its_bits():
    assert tuple(BITS) == get_args(QuantizationName)
    assert share_of_base("F16") == 1
    assert 0.3 < share_of_base("Q4_K_M") < 0.4


def test_the_matrix_is_made_only_for_what_uses_it():
    steps = steps_with()
    assert steps["imatrix"].reads.keys() == {"merge", "gguf", "synthesize"}
    assert steps["quantize"].reads.keys() == {"gguf", "imatrix"}
    assert "imatrix" not in steps_with("release.imatrix=off")
    assert "imatrix" not in steps_with("release.quantization=Q8_0")
    steps = steps_with("release.quantization=F16", "release.also=[Q2_K]")
    assert steps["quantize"].reads.keys() == {"gguf"}
    assert steps["also"].reads.keys() == {"gguf", "imatrix"}


def test_the_matrix_is_of_the_released_stages_rows():
    steps = steps_with("stages.skip=[stage2, stage3]")
    assert steps["imatrix"].reads["normalize"] == ("rows.parquet",)
    steps = steps_with("stages.skip=[stage1, stage2, stage3]")
    assert steps["imatrix"].reads["synthesize"] == ("rows.jsonl",)


def test_further_quantizations_leave_the_released_one_as_it_is():
    steps = steps_with("release.also=[Q8_0, F16]")
    assert "also" not in steps_with()
    for name in ("quantize", "register"):
        assert not {"release", "release.also"} & set(steps[name].settings)
        assert "also" not in steps[name].reads


def test_disk_is_counted_by_the_quantization():
    base = 16 * 2**30
    small, large, three = (
        needed_gib(base, [step for name, step in steps.items() if name in ("quantize", "also")])
        for steps in (
            steps_with("release.quantization=Q2_K"),
            steps_with("release.quantization=F16"),
            steps_with("release.quantization=F16", "release.also=[Q8_0, Q2_K]"),
        )
    )
    assert small == pytest.approx(1 + 5.14)
    assert large == 1 + 16
    assert three == pytest.approx(1 + 16 + 8.51 + 5.14)


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("release.quantization=Q4KM", "'Q8_0', 'Q5_K_M', 'Q4_K_M'"),
        ("release.also=[Q4_K_M]", "Q4_K_M is release.quantization already; name others only"),
        ("release.also=[Q8_0, Q8_0]", "each quantization is made once; name it once"),
        ("release.imatrix=perhaps", "should be a valid boolean"),
        ("release.tensor_types={ffn_don: Q6_K}", r"no tensor ffn_don\. Did you mean ffn_down\?"),
        ("release.tensor_types={blk.x.ffn_up: Q6_K}", r"no tensor blk\.x\.ffn_up\. Did you mean"),
        ("release.tensor_types={ffn_down: q6}", r"no type q6\. Did you mean Q6_K\?"),
        ("release.tensor_types={ffn_down: IQ1_S}", r"no type IQ1_S\. .* Types are F16, BF16"),
    ],
)
def test_what_is_not_known_is_refused_before_anything_runs(override, said):
    with pytest.raises(RequestError, match=said):
        load("demo", [*EVERY_STEP, override])


def test_types_of_tensors_that_are_not_quantized_are_refused():
    overrides = ["release.quantization=F16", "release.tensor_types={ffn_down: Q6_K}"]
    with pytest.raises(RequestError, match="F16 is not quantized, so no tensor of it gets another"):
        load("demo", [*EVERY_STEP, *overrides])


def test_types_are_written_as_llama_cpp_does():
    settings = load(
        "demo", ["release.tensor_types={ffn_down: q6_k, blk.0.attn_v: iq4_nl}"]
    ).settings
    assert settings.release.tensor_types == {"ffn_down": "Q6_K", "blk.0.attn_v": "IQ4_NL"}


@pytest.mark.slow
def test_the_three_steps_in_turn(tiny_base, tiny_f16, llama, tmp_path, monkeypatch):  # noqa: F811
    monkeypatch.setattr("tasks.core.tools.ensure_llama_cpp", lambda home, progress: llama)
    rows = [{**row, "metadata": {"kind": "what_if", "language": "ko"}} for row in chat_rows(30)]
    folders = {"merge": tiny_base, "gguf": tiny_f16.parent, "synthesize": tmp_path}
    write_jsonl(tmp_path / "rows.jsonl", rows)
    overrides = [
        "release.quantization=Q2_K",
        "release.also=[Q4_K_M, F16]",
        "release.tensor_types={attn_v: Q8_0}",
    ]
    settings = load("demo", [*EVERY_STEP, *overrides]).settings
    metrics = {}
    for name in ("imatrix", "quantize", "also"):
        step = chain(settings)[name]
        folders[name] = tmp_path / name
        folders[name].mkdir()
        job = SimpleNamespace(
            settings=settings.declared(step.readable_settings),
            home=tmp_path,
            out=folders[name],
            reads=step.reads,
            folder=folders.get,
            progress=silent,
        )
        metrics[name] = step.build(job)
    assert metrics["imatrix"]["rows"] == 30
    assert metrics["imatrix"]["tensors"] == 14
    assert metrics["quantize"]["importance_matrix"]
    made = sorted(file.name for file in folders["also"].iterdir())
    assert made == ["model-F16.gguf", "model-Q4_K_M.gguf"]
    assert (folders["also"] / "model-F16.gguf").samefile(tiny_f16)
    for file in (folders["quantize"] / "model.gguf", folders["also"] / "model-Q4_K_M.gguf"):
        whole = read_gguf(file)
        assert whole.metadata["quantize.imatrix.entries_count"] == 14
        types = {tensor.name: tensor.type for tensor in whole.tensors}
        assert types["blk.0.attn_v.weight"] == "Q8_0"
