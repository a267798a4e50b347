"""base.json says what the adapter was trained on, to the last bit, whatever held it."""

import hashlib
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from bitsandbytes.functional import dequantize_4bit, quantize_4bit
from bitsandbytes.nn.modules import Linear4bit
from safetensors.torch import load_file

from tasks.core.errors import RequestError
from tasks.core.records.training_base import (
    TrainingBase,
    read_training_base,
    write_training_base,
)
from tasks.core.settings.tree import Training
from tasks.core.training.engine.decoder import Engine
from tasks.core.training.hardware.machine import Machine, find_machine
from tasks.core.training.policy.adapter import check_same_base
from tasks.core.training.policy.loading import load_policy
from tasks.core.training.policy.quantized import DequantizedLinear, describe_base
from tasks.core.training.stage import train
from tests.conftest import made_once
from tests.tiny import chat_rows, quantize_base, write_jsonl
from tests.training.conftest import TRAINING, changed, checked

IN_BF16 = Machine("cpu", torch.bfloat16, "")
IN_FLOAT32 = Machine("cpu", torch.float32, "")
FEW = Training(**TRAINING | {"target_modules": ["q_proj", "down_proj"]})
NONE = FEW.model_copy(update={"quantize_base": "none"})


@pytest.fixture(scope="module")
def nf4_base(base, tmp_path_factory):
    """The tiny base as one that comes in NF4, whose scales are not quantized."""

    def make(folder):
        quantize_base(base, folder / "base", bnb_4bit_use_double_quant=False)

    return made_once(tmp_path_factory, "nf4-base", make) / "base"


def digest(tensor):
    return hashlib.sha256(tensor.contiguous().view(torch.uint8).numpy().tobytes()).hexdigest()


def by_bitsandbytes(base, compute, double=True, cast=None):
    """The digests of NF4's values of each linear layer of the base's file."""
    digests = {}
    for name, weight in load_file(base / "model.safetensors").items():
        if "_proj.weight" in name:
            codes, state = quantize_4bit(
                weight.to(compute), compress_statistics=double, quant_type="nf4"
            )
            digests[name] = digest(dequantize_4bit(codes, state).to(cast or compute))
    return digests


@pytest.mark.parametrize("nf4", [True, False])
@pytest.mark.parametrize("machine", [IN_BF16, IN_FLOAT32])
def test_all_quantized_layers_are_there_by_the_digests_of_their_values(base, machine, nf4):
    """Those without an adapter too, and whether NF4 is kept or its values are."""
    policy = load_policy(base, None, FEW, machine, nf4)
    compute = str(machine.compute).removeprefix("torch.")
    wanted = TrainingBase("nf4", compute, 64, True, by_bitsandbytes(base, machine.compute))
    assert len(wanted.tensors) == 2 * 7
    assert describe_base(policy, machine.compute) == wanted
    Engine(policy, checkpointed=0)  # moves plain weights
    assert describe_base(policy, machine.compute) == wanted


def test_a_base_that_is_not_quantized_keeps_its_weights(base):
    policy = load_policy(base, None, NONE, IN_BF16)
    assert describe_base(policy, torch.bfloat16) == TrainingBase("none", "bfloat16")
    for layer in policy.modules():
        assert not isinstance(layer, Linear4bit | DequantizedLinear)
    own = load_file(base / "model.safetensors")["model.layers.1.mlp.up_proj.weight"]
    assert torch.equal(policy.get_base_model().model.layers[1].mlp.up_proj.weight, own)


@pytest.mark.parametrize("training", [FEW, NONE])
@pytest.mark.parametrize("nf4", [True, False])
def test_a_base_that_comes_in_nf4_is_taken_as_it_comes(base, nf4_base, training, nf4):
    wanted = by_bitsandbytes(base, torch.bfloat16, double=False)
    found = describe_base(load_policy(nf4_base, None, training, IN_BF16, nf4), torch.bfloat16)
    assert found == TrainingBase("nf4", "bfloat16", 64, False, wanted)


@pytest.mark.parametrize("nf4", [True, False])
def test_its_values_are_computed_with_in_the_machines_type(base, nf4_base, nf4):
    """They are bf16's, as they were when it was quantized."""
    policy = load_policy(nf4_base, None, FEW, IN_FLOAT32, nf4)
    wanted = by_bitsandbytes(base, torch.bfloat16, double=False, cast=torch.float32)
    assert describe_base(policy, torch.float32).tensors == wanted
    assert policy(torch.tensor([[1, 2, 3]])).logits.dtype == torch.float32


def test_an_output_layer_in_nf4_is_refused(base, tmp_path):
    folder = quantize_base(base, tmp_path / "head", llm_int8_skip_modules=["q_proj"])
    with pytest.raises(RequestError, match=r"has its output layer \(lm_head\) in NF4 too"):
        load_policy(folder, None, FEW, IN_BF16)


NF4 = TrainingBase("nf4", "bfloat16", 64, True, {"a.weight": "11", "b.weight": "22"})


@pytest.mark.parametrize(
    ("now", "told"),
    [
        (
            TrainingBase("none", "bfloat16"),
            r"trained on the base as NF4 values, in bfloat16 \(blocks of 64, scales quantized"
            r" too\); this stage would hold it as its own weights, in bfloat16\. Train the earlier"
            r" stage again, .*, or set training\.quantize_base=nf4",
        ),
        (replace(NF4, compute_type="float32"), "in bfloat16 .* would hold it as .* in float32"),
        (replace(NF4, double_quantization=False), "quantized too.*; .*scales as they are"),
        (
            replace(NF4, tensors={"a.weight": "11", "b.weight": "33"}),
            r"other values of 1 of the base's layers: those of b\.weight have sha256 22 in its"
            r" base\.json and 33 here\. It had another base, or .*\. Train the earlier stage",
        ),
        (replace(NF4, tensors={"a.weight": "11"}), "b.weight have sha256 22 .* and None here"),
    ],
)
def test_an_adapter_of_other_values_is_not_continued(tmp_path, now, told):
    check_same_base(tmp_path, now)  # without base.json it may have been trained on any
    write_training_base(tmp_path, NF4)
    check_same_base(tmp_path, NF4)
    with pytest.raises(RequestError, match=told):
        check_same_base(tmp_path, now)


def test_a_stage_leaves_it_beside_its_adapter(stage2, base):
    machine = find_machine()
    policy = load_policy(base, None, Training(**TRAINING), machine)
    assert read_training_base(stage2) == describe_base(policy, machine.compute)
    card = (stage2 / "README.md").read_text()
    assert "It was trained on as NF4 values, in " in card


@pytest.mark.parametrize("backend", ["trl", "engine"])
def test_a_stage_that_would_train_on_other_values_is_refused(dpo, backend):
    with pytest.raises(RequestError, match="NF4 values, .* hold it as its own weights"):
        train(changed(dpo, quantize_base="none", backend=backend))


@pytest.mark.slow
@pytest.mark.parametrize(("backend", "form"), [("trl", "auto"), ("engine", "nf4")])
def test_a_stage_on_a_base_that_comes_in_nf4(sft, base, nf4_base, caplog, backend, form):
    write_jsonl(Path(sft.rows), chat_rows(8))
    asked = {"backend": backend, "base_weights": form}
    if form == "auto":
        asked["quantize_base"] = "none"
    train(changed(sft, base=str(nf4_base), **asked))
    assert checked(sft.out)["layers_with_adapter"] == 14
    found = read_training_base(Path(sft.out))
    compute = find_machine().compute
    assert not found.double_quantization
    assert found.tensors == by_bitsandbytes(base, torch.bfloat16, double=False, cast=compute)
    assert ("training.quantize_base=none changes nothing" in caplog.text) == (form == "auto")


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["trl", "engine"])
def test_a_stage_on_a_base_that_is_not_quantized(sft, backend):
    write_jsonl(Path(sft.rows), chat_rows(8))
    train(changed(sft, quantize_base="none", backend=backend))
    assert checked(sft.out)["layers_with_adapter"] == 14
    assert read_training_base(Path(sft.out)).quantization == "none"
    assert "It was trained on as its own weights, in" in (Path(sft.out) / "README.md").read_text()
