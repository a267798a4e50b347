"""Requests that cannot be met end before the first step, with exit code 2 and one line that says
what to change.
"""

import importlib
import json
import os
import shutil
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

import pytest
import torch
from bitsandbytes import cextension

from tasks.core.errors import RequestError, WorkError
from tasks.core.training import __main__ as program
from tasks.core.training.backends import assembly
from tasks.core.training.hardware.machine import Machine
from tasks.core.training.policy.base_model import load_tokenizer
from tasks.core.training.stage import train
from tests.tiny import make_base
from tests.training.conftest import adapter_digest, attentive, changed


def refused(spec, problem: str, error=RequestError) -> None:
    with pytest.raises(error, match=problem):
        train(spec)
    assert not (Path(spec.out) / "adapter_model.safetensors").exists()


@pytest.fixture
def broken(base, tmp_path) -> Path:
    return Path(shutil.copytree(base, tmp_path / "broken"))


def test_a_base_without_a_tokenizer(sft, broken):
    (broken / "tokenizer.json").unlink()
    refused(
        changed(sft, base=str(broken)),
        r"broken has no tokenizer.json \(it has: .*model.safetensors.*\)",
    )
    refused(changed(sft, base=str(broken / "nowhere")), "no such folder")


def test_a_base_without_a_chat_template(sft, broken):
    (broken / "chat_template.jinja").unlink()
    refused(changed(sft, base=str(broken)), "has no chat template; use an instruction-tuned model")


def test_a_template_that_never_writes_the_eos(sft, broken):
    template = broken / "chat_template.jinja"
    template.write_text(template.read_text().replace("<|im_end|>", "</turn>"))
    refused(changed(sft, base=str(broken)), r"never writes its EOS token '<\|im_end\|>'")


def test_a_padding_token_that_is_the_eos_is_replaced(broken):
    config = broken / "tokenizer_config.json"
    config.write_text(json.dumps(json.loads(config.read_text()) | {"pad_token": "<|im_end|>"}))
    assert load_tokenizer(broken).pad_token == "<|endoftext|>"


def test_a_padding_token_that_is_the_eos_and_cannot_be_replaced(sft, broken):
    config, vocabulary = broken / "tokenizer_config.json", broken / "tokenizer.json"
    config.write_text(json.dumps(json.loads(config.read_text()) | {"pad_token": "<|im_end|>"}))
    vocabulary.write_text(vocabulary.read_text().replace("<|endoftext|>", "<|other|>"))
    refused(
        changed(sft, base=str(broken)),
        r"pads with its EOS '<\|im_end\|>', .* Set pad_token in its tokenizer",
    )


def test_a_template_other_than_the_one_that_is_asked_for(sft, broken):
    template = broken / "chat_template.jinja"
    template.write_text(template.read_text().replace("<|im_start|>", "["))
    spec = changed(sft, base=str(broken))
    refused(
        spec,
        r"is none of ChatML, Llama-3, Llama-3\.1 and Gemma 3: it renders .* training\.template=any",
    )
    train(changed(spec, template="any"))


def test_a_gpu_whose_bitsandbytes_has_no_library(sft, monkeypatch):
    """bitsandbytes itself says nothing until the first weight is quantized."""
    monkeypatch.setattr(assembly, "find_machine", lambda: Machine("cuda", torch.bfloat16, "a card"))
    broken = cextension.ErrorHandlerMockBNBNativeLibrary("CUDA binary not found")
    monkeypatch.setattr(cextension, "lib", broken)
    refused(
        sft,
        r"There is a GPU \(a card\), but bitsandbytes has no library that works"
        " .* Install both anew",
    )


def test_a_start_adapter_of_other_weights_of_the_same_shape(dpo, tmp_path):
    other = attentive(dpo, tmp_path / "other")
    refused(
        changed(dpo, base=str(other)),
        "was trained on another base model: model.safetensors of .*other is not the one",
    )


def test_a_base_without_weights(sft, broken):
    (broken / "model.safetensors").unlink()
    refused(changed(sft, base=str(broken)), "broken cannot be loaded")


def test_a_micro_batch_that_does_not_divide_the_effective_batch(sft):
    refused(
        changed(sft, micro_batch=3),
        r"micro_batch=3 does not divide effective_batch=4: choose 1, 2, 4",
    )
    refused(changed(sft, micro_batch=8), r"micro_batch=8 does not divide effective_batch=4")


def test_rows_that_are_all_too_long(sft):
    refused(
        changed(sft, max_length=8),
        r"No row fits training.max_length=8: the shortest of 29 has \d+ tokens",
    )


def test_a_target_that_the_base_does_not_have(sft):
    wrong = ["q_proj", "w_proj"]
    refused(
        changed(sft, target_modules=wrong),
        r"names w_proj, which the base model does not have.*down_proj",
    )


def test_a_rank_for_a_module_that_gets_no_adapter(sft):
    refused(
        changed(sft, target_modules=["q_proj"], module_ranks={"v_proj": 2}),
        "v_proj gets no adapter",
    )


@pytest.mark.parametrize(
    ("setting", "problem"),
    [
        ({"lora_rank": 8}, r"has r 4 \(settings: 8\)"),
        ({"target_modules": ["q_proj"]}, "has target_modules"),
        ({"module_ranks": {"q_proj": 2}}, r"has rank_pattern \{\} \(settings: \{'q_proj': 2\}\)"),
    ],
)
def test_a_start_adapter_of_other_settings(dpo, setting, problem):
    refused(changed(dpo, **setting), problem)


def test_a_start_adapter_of_another_base(dpo, stage2, tmp_path):
    """It says so itself; one that says nothing of its base has matrices too many."""
    spec = changed(dpo, base=str(make_base(tmp_path / "other", layers=1)))
    refused(spec, "was trained on another base model: model.safetensors of .*other is not the one")
    silent = Path(shutil.copytree(stage2, tmp_path / "silent"))
    (silent / "training_config.json").unlink()
    refused(
        changed(spec, start=str(silent)),
        "was made for another base model: 14 matrices have no counterpart",
    )


def test_a_start_that_is_no_adapter_or_a_damaged_one(dpo, stage2, tmp_path):
    refused(changed(dpo, start=str(tmp_path)), "is no adapter folder")
    damaged = Path(shutil.copytree(stage2, tmp_path / "damaged"))
    os.truncate(damaged / "adapter_model.safetensors", 1_000)
    refused(changed(dpo, start=str(damaged)), "damaged")


def test_rows_that_are_pairs_where_conversations_are_wanted(sft, dpo):
    refused(changed(sft, rows=dpo.rows), "row 1 has no messages", WorkError)


def run(spec_file: Path, monkeypatch) -> int:
    monkeypatch.setattr(sys, "argv", ["training", str(spec_file)])
    return program.main()


@pytest.mark.parametrize(
    ("change", "code", "problem"),
    [
        ({"micro_batch": 3}, 2, "error: micro_batch=3"),
        ({"learning_rate": 1e30}, 1, "Lower stage2.learning_rate"),
    ],
)
def test_the_command_ends_with_the_code_and_the_message(
    sft, tmp_path, monkeypatch, capsys, change, code, problem
):
    spec_file = tmp_path / "spec.json"
    spec_file.write_text(json.dumps(asdict(changed(sft, **change))))
    assert run(spec_file, monkeypatch) == code
    last = capsys.readouterr().err.splitlines()[-1]
    assert last.startswith("error: ")
    assert problem in last


def test_a_specification_that_is_none(tmp_path, monkeypatch, capsys):
    assert run(tmp_path / "nowhere.json", monkeypatch) == 2
    assert "nowhere.json is no training specification" in capsys.readouterr().err.splitlines()[-1]


@pytest.mark.slow
def test_the_process_needs_neither_prefect_nor_duckdb_and_says_the_same(sft, stage2, tmp_path):
    """It runs alone on a GPU machine; only its JSON lines are on stdout."""
    for name in ("prefect", "duckdb", "typer", "pydantic_settings"):
        (tmp_path / "absent" / f"{name}.py").parent.mkdir(exist_ok=True)
        (tmp_path / "absent" / f"{name}.py").write_text(
            f"raise ImportError('{name} is not here')\n"
        )
    spec_file = tmp_path / "spec.json"
    spec_file.write_text(json.dumps(asdict(sft)))
    env = {**os.environ, "PYTHONPATH": str(tmp_path / "absent")}
    command = [sys.executable, "-m", "tasks.core.training", str(spec_file)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=True, env=env)
    assert [json.loads(line)["step"] for line in done.stdout.splitlines()] == [1, 2, 3, 4, 5, 6, 7]
    assert adapter_digest(sft.out) == adapter_digest(stage2)


def test_importing_the_training_program_leaves_the_importer_its_network(monkeypatch):
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    before = dict(os.environ)
    importlib.reload(program)
    assert dict(os.environ) == before
