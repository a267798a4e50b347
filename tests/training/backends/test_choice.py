"""Which backend trains, why, and what Unsloth gets to train where it is the one.

Unsloth itself wants a GPU (tests/gpu/unsloth_same.py). Here a stand-in loads and adapts the base as
its calls ask.
"""

import json
import os
import subprocess
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from peft import LoraConfig, get_peft_model
from transformers import AutoModelForCausalLM, BitsAndBytesConfig

from tasks.core.errors import RequestError
from tasks.core.settings.tree import Training
from tasks.core.training import __main__ as program
from tasks.core.training.backends import assembly
from tasks.core.training.backends import unsloth as unsloth_first
from tasks.core.training.backends.choice import Backend, choose_backend
from tasks.core.training.hardware.machine import Machine
from tasks.core.training.policy.base_model import read_config
from tasks.core.training.policy.loading import load_fast_policy
from tasks.core.training.policy.quantized import dequantize_layers
from tasks.core.training.stage import train
from tests.training.conftest import changed, digests

CPU = Machine("cpu", torch.bfloat16, "2 CPU threads")
GPU = Machine("cuda", torch.bfloat16, "a card", 24)
OLD_GPU = Machine("cuda", torch.float16, "an old card", 16)
SMALL_GPU = Machine("cuda", torch.float16, "a small card", 4)
ODD = {"target_modules": ["q_proj", "lm_head"]}


@pytest.fixture
def installed(monkeypatch):
    """As if Unsloth were there, and PyTorch made for CUDA."""
    monkeypatch.setattr("tasks.core.training.backends.choice.find_spec", lambda name: name)
    monkeypatch.setattr("torch.version.cuda", "13.0")


@pytest.mark.parametrize(
    ("machine", "settings", "name", "why"),
    [
        (CPU, {}, "trl", "there is no GPU"),
        (CPU, {"backend": "engine"}, "engine", "asks for it"),
        (GPU, {}, "engine", "it knows qwen2 models and there is a GPU"),
        (GPU, {"backend": "trl"}, "trl", "asks for it"),
        (GPU, {"backend": "unsloth"}, "unsloth", "asks for it"),
        (OLD_GPU, {}, "unsloth", "an old card does not compute in bf16"),
        (GPU, {"lora_dropout": 0.1}, "unsloth", "training.lora_dropout=0.1 is not 0"),
        (GPU, ODD, "unsloth", "training.target_modules names lm_head"),
        (
            SMALL_GPU,
            {},
            "trl",
            "does not compute in bf16; nor unsloth: it wants 6 GB of GPU memory,"
            " and a small card has",
        ),
    ],
)
def test_the_backend_is_chosen_and_says_why(base, installed, machine, settings, name, why):
    chosen = choose_backend(Training(**settings), machine, read_config(base))
    assert chosen.name == name
    assert why in chosen.why


def test_an_engine_that_cannot_is_refused(sft):
    with pytest.raises(
        RequestError,
        match=r"engine cannot train this: training.lora_dropout=0.1 is not 0. Use .*=trl",
    ):
        train(changed(sft, backend="engine", lora_dropout=0.1))


@pytest.mark.parametrize(
    ("change", "machine", "reason"),
    [
        (None, CPU, "it wants a GPU, and there is none"),
        (("sys.platform", "darwin"), GPU, "it wants Linux, and this is darwin"),
        (
            ("torch.version.cuda", "11.7"),
            GPU,
            "it wants CUDA 11.8, and this PyTorch is made for 11.7",
        ),
        (("torch.version.cuda", None), GPU, "this PyTorch is made for None"),
        (
            ("tasks.core.training.backends.choice.find_spec", lambda name: None),
            GPU,
            r"it is not installed \(`uv sync --extra",
        ),
    ],
)
def test_unsloth_where_it_cannot_is_refused(base, installed, monkeypatch, change, machine, reason):
    if change:
        monkeypatch.setattr(*change)
    with pytest.raises(
        RequestError,
        match=rf"backend=unsloth cannot train this: .*{reason}.* Use training.backend=trl",
    ):
        choose_backend(Training(backend="unsloth"), machine, read_config(base))


class StandIn:
    """Unsloth's two calls, with what is known of their results: a mapping and a pattern in the
    adapter's config.
    """

    @staticmethod
    def from_pretrained(base, max_seq_length, dtype, load_in_4bit, fix_tokenizer, random_state):
        assert (max_seq_length, load_in_4bit, fix_tokenizer) == (512, True, False)
        quantization = BitsAndBytesConfig(
            load_in_4bit=True,
            bnb_4bit_quant_type="nf4",
            bnb_4bit_use_double_quant=True,
            bnb_4bit_compute_dtype=dtype,
        )
        model = AutoModelForCausalLM.from_pretrained(
            base, quantization_config=quantization, dtype=dtype, attn_implementation="sdpa"
        )
        dequantize_layers(model)
        print("Unsloth: banner")
        return model, None

    @staticmethod
    def get_peft_model(model, use_gradient_checkpointing, random_state, **lora):
        torch.manual_seed(random_state)
        policy = get_peft_model(model, LoraConfig(task_type="CAUSAL_LM", **lora))
        policy.peft_config["default"].auto_mapping = {"unsloth_fixed": True}
        policy.peft_config["default"].target_modules = "(?:.*?(?:q_proj|k_proj))"
        return policy.to(torch.bfloat16) if use_gradient_checkpointing else policy


@pytest.fixture
def stand_in(monkeypatch):
    monkeypatch.setitem(sys.modules, "unsloth", SimpleNamespace(FastLanguageModel=StandIn))
    monkeypatch.setattr(
        assembly, "choose_backend", lambda *given: Backend("unsloth", "the test asks for it")
    )


@pytest.mark.slow
@pytest.mark.parametrize("method", ["sft", "dpo"])
def test_unsloths_policy_is_trained_and_saved_as_the_others(
    stand_in, method, request, tmp_path, capsys
):
    """The same rows in the same order, a new adapter or the earlier stage's, to the same bytes."""
    spec = request.getfixturevalue(method)
    assert train(spec)["backend"] == "unsloth"
    assert all(json.loads(line) for line in capsys.readouterr().out.splitlines())
    (tmp_path / "trl").mkdir()
    with pytest.MonkeyPatch.context() as plain:
        plain.setattr(assembly, "choose_backend", choose_backend)
        assert train(changed(spec, backend="trl", out=str(tmp_path / "trl")))["backend"] == "trl"
    assert digests(spec.out) == digests(tmp_path / "trl")


def test_unsloths_weights_are_float32_and_a_strange_start_is_refused(stand_in, base, stage2):
    training = Training(max_length=512, lora_rank=4, lora_alpha=8)
    policy = load_fast_policy(base, stage2, training, CPU, checkpointing=True)
    assert {weight.dtype for name, weight in policy.named_parameters() if "lora_" in name} == {
        torch.float32
    }
    with pytest.raises(RequestError, match=r"has r 4 \(settings: 6\)"):
        load_fast_policy(
            base, stage2, training.model_copy(update={"lora_rank": 6}), CPU, checkpointing=True
        )


@pytest.mark.parametrize(("quantize_base", "asked"), [("nf4", True), ("none", False)])
def test_unsloth_quantizes_what_the_settings_ask_for(base, monkeypatch, quantize_base, asked):
    seen = []

    class Loads(StandIn):
        @staticmethod
        def from_pretrained(base, load_in_4bit, **named):
            seen.append(load_in_4bit)
            return StandIn.from_pretrained(base, load_in_4bit=True, **named)

    monkeypatch.setitem(sys.modules, "unsloth", SimpleNamespace(FastLanguageModel=Loads))
    training = Training(max_length=512, lora_rank=4, quantize_base=quantize_base)
    load_fast_policy(base, None, training, CPU, checkpointing=False)
    assert seen == [asked]


def test_a_process_that_needs_unsloth_begins_again_with_it(sft, tmp_path, monkeypatch):
    spec_file = tmp_path / "spec.json"
    spec_file.write_text(json.dumps(asdict(sft)))
    monkeypatch.setattr(sys, "argv", ["training", str(spec_file)])
    monkeypatch.setattr(
        program, "backend_of", lambda spec: Backend("unsloth", "the test asks for it")
    )
    monkeypatch.setattr(program, "exec_python", lambda *arguments: sys.exit(str(arguments)))
    with pytest.raises(
        SystemExit, match=rf"'-m', 'tasks.core.training.backends.unsloth', '{spec_file}'"
    ):
        program.main()


def test_what_unsloth_generates_stays_while_a_process_starts_over_and_goes_at_the_end(
    tmp_path, monkeypatch
):
    monkeypatch.setattr(os, "environ", dict(os.environ))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    seen = []

    def train():
        seen.append(
            (os.environ["UNSLOTH_COMPILE_LOCATION"], [str(folder) for folder in tmp_path.iterdir()])
        )
        return (
            unsloth_first.main() if len(seen) == 1 else 0
        )  # as the program that it becomes, in its environment

    monkeypatch.setattr(unsloth_first, "_import_and_train", train)
    assert unsloth_first.main() == 0
    assert seen[0] == seen[1]
    assert seen[0][1] == [seen[0][0]]
    assert not list(tmp_path.iterdir())


def test_an_unsloth_that_cannot_be_imported_says_so(tmp_path):
    (tmp_path / "unsloth.py").write_text(
        "raise NotImplementedError('Unsloth cannot find any torch accelerator')\n"
    )
    command = [sys.executable, "-m", "tasks.core.training.backends.unsloth", "spec.json"]
    env = {**os.environ, "PYTHONPATH": str(tmp_path)}
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, env=env, cwd=Path.cwd()
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert (
        "cannot be imported: NotImplementedError: Unsloth cannot find any torch accelerator"
        in done.stderr
    )
    assert "Use training.backend=trl" in done.stderr
