"""Whole stages on the tiny model: what they train, what they leave behind, and that they repeat to
the byte.
"""

import json
import math
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoTokenizer, TrainingArguments
from trl import SFTConfig

from tasks.core.training.finished import UNFINISHED
from tasks.core.training.hardware.machine import find_machine
from tasks.core.training.spec import TrainingSpec
from tasks.core.training.stage import train
from tests.release.conftest import demo_base  # noqa: F401
from tests.tiny import chat_rows, write_jsonl
from tests.training.conftest import changed, checked, digests

pytestmark = pytest.mark.slow  # each test trains


def adapter(out: str | Path) -> dict[str, torch.Tensor]:
    return load_file(Path(out) / "adapter_model.safetensors")


def lines(out: str | Path) -> list[dict]:
    return [json.loads(line) for line in (Path(out) / "telemetry.jsonl").read_text().splitlines()]


def test_sft_moves_every_matrix_and_lowers_the_loss(sft):
    metrics = train(changed(sft, epochs=3, learning_rate=2e-2))
    figures = checked(sft.out)
    assert figures["layers_with_adapter"] == 2 * 7
    assert (
        figures["matrices_with_gradient"] == figures["matrices_in_the_optimizer"] == 2 * 7 * 2
    )  # (A, B)
    assert f"torch.{figures['base_computes_in']}" == str(find_machine().compute)
    assert figures["optimizer_state"] == "float32"
    assert figures["elements_moved_share"] > 0.9
    assert all(tensor.dtype == torch.float32 for tensor in adapter(sft.out).values())
    assert all(tensor.any() for tensor in adapter(sft.out).values())
    assert metrics["steps"] == 21
    assert metrics["final_loss"] < metrics["first_loss"] - 0.25
    assert math.isfinite(metrics["eval_loss"])


def test_a_stage_of_a_single_step_moves_the_adapter(sft):
    """Its one step was the warm-up's first, whose rate is 0."""
    write_jsonl(Path(sft.rows), chat_rows(4))
    metrics = train(changed(sft, epochs=1, effective_batch=16, micro_batch=1))
    assert metrics["steps"] == 1
    assert checked(sft.out)["elements_moved_share"] > 0


def few_steps(sft: TrainingSpec) -> TrainingSpec:
    """Six steps over four rows: a large model takes seconds for each."""
    write_jsonl(Path(sft.rows), chat_rows(4))
    return changed(sft, epochs=3, effective_batch=2, save_every=6)


@pytest.mark.parametrize("backend", ["trl", "engine"])
def test_the_demos_own_model_learns(sft, demo_base, backend):  # noqa: F811
    """SmolLM2 itself: 30 layers with seven matrices each."""
    train(changed(few_steps(sft), base=str(demo_base), learning_rate=5e-3, backend=backend))
    figures = checked(sft.out)
    assert (figures["layers_with_adapter"], figures["matrices_that_did_not_move"]) == (30 * 7, 0)
    losses = [line["loss"] for line in lines(sft.out) if "loss" in line]
    assert losses[-1] < 0.7 * losses[0]


def test_a_young_adapter_of_the_demos_own_model_is_taken_for_what_it_is(sft, demo_base):  # noqa: F811
    """Most of its updates are smaller than bf16's last bit, and PEFT's forward pass is 0.15 nats a
    token off.
    """
    train(changed(few_steps(sft), base=str(demo_base), learning_rate=3e-4, backend="engine"))
    found = checked(sft.out)
    assert found["packed_against_alone_at_the_end"] < 1e-2
    assert abs(found["mean_off_from_float32_at_the_end"]) < 0.06


def test_an_adapter_folder_is_complete_and_names_no_place_of_this_machine(stage2, base):
    names = {file.name for file in stage2.iterdir()}
    assert names >= {
        "adapter_config.json",
        "adapter_model.safetensors",
        "tokenizer.json",
        "tokenizer_config.json",
        "chat_template.jinja",
        "training_config.json",
        "base.json",
        "README.md",
        "loss.png",
        "telemetry.jsonl",
        "checks.json",
        "metrics.json",
        "tensorboard",
    }
    assert not names & set(UNFINISHED)
    template = "chat_template.jinja"
    assert (stage2 / template).read_bytes() == (base / template).read_bytes()
    for name in (
        "adapter_config.json",
        "training_config.json",
        "README.md",
        "tokenizer_config.json",
    ):
        assert str(base.parent) not in (stage2 / name).read_text()
    config = json.loads((stage2 / "adapter_config.json").read_text())
    assert config["target_modules"] == sorted(config["target_modules"])
    assert AutoTokenizer.from_pretrained(stage2).eos_token == "<|im_end|>"


def test_telemetry_tells_each_step(sft, capsys):
    train(sft)
    loss_lines = [line for line in lines(sft.out) if "loss" in line]
    assert [line["step"] for line in loss_lines] == [1, 2, 3, 4, 5, 6, 7]
    needed = {
        "time",
        "stage",
        "steps",
        "epoch",
        "loss",
        "grad_norm",
        "learning_rate",
        "tokens_per_s",
        "eta_s",
    }
    assert all(
        line.keys() >= needed and line["memory_gib"] > 0 and line["tokens_per_s"] > 0
        for line in loss_lines
    )
    assert loss_lines[-1]["eta_s"] == 0
    assert [json.loads(line) for line in capsys.readouterr().out.splitlines()] == loss_lines
    assert "eval_loss" in lines(sft.out)[-1]


def test_the_same_seed_gives_the_same_bytes(sft, stage2):
    train(sft)
    assert digests(sft.out) == digests(stage2)


def test_another_seed_gives_other_bytes(sft, stage2):
    train(changed(sft, seed=43))
    assert digests(sft.out)[1] != digests(stage2)[1]


def test_the_split_into_micro_batches_changes_neither_loss_nor_steps(sft, tmp_path):
    """Losses are means over the step's trained tokens, not means of the micro-batches' means."""
    figures = []
    for micro in (1, 4):
        out = tmp_path / f"micro{micro}"
        out.mkdir()
        train(changed(sft, out=str(out), micro_batch=micro))
        figures.append([(line["loss"], line["grad_norm"]) for line in lines(out) if "loss" in line])
    in_ones, in_fours = torch.tensor(figures)
    assert in_ones == pytest.approx(in_fours, rel=2e-2)


def test_gradient_checkpointing_changes_nothing(sft, stage2):
    train(changed(sft, gradient_checkpointing=True))
    assert digests(sft.out) == digests(stage2)


@pytest.mark.parametrize(
    ("backend", "config"),
    [("trl", "trl.SFTConfig"), ("engine", "engine.TrainingArguments")],
)
def test_a_second_card_is_left_alone_where_one_process_trains(sft, monkeypatch, backend, config):
    """transformers would give it the rows of the next step."""

    def on_two(**arguments):
        made = right(**arguments)
        made._n_gpu = 2
        return made

    right = {"trl": SFTConfig, "engine": TrainingArguments}[backend]
    monkeypatch.setattr(f"tasks.core.training.backends.{config}", on_two)
    train(changed(sft, backend=backend))
    assert [line["step"] for line in lines(sft.out) if "loss" in line] == [1, 2, 3, 4, 5, 6, 7]


def test_dpo_starts_at_ln_2_and_learns_the_preference(dpo, stage2):
    train(changed(dpo, epochs=3))
    start = checked(dpo.out)
    assert start["dpo_loss"] == pytest.approx(math.log(2), abs=1e-6)
    assert (
        start["dpo_reward"] == start["dpo_log_prob_gap"] == start["dpo_reference_at_the_end"] == 0
    )
    loss_lines = [line for line in lines(dpo.out) if "loss" in line]
    assert loss_lines[0]["loss"] == pytest.approx(
        math.log(2), abs=1e-4
    )  # the first step of the warm-up has rate 0
    assert loss_lines[-1]["reward_margin"] > 0.05 > abs(loss_lines[0]["reward_margin"])
    assert loss_lines[-1]["loss"] < math.log(2)
    moved = [
        not torch.equal(tensor, adapter(stage2)[name]) for name, tensor in adapter(dpo.out).items()
    ]
    assert all(moved)


def test_dpo_without_an_earlier_stage_starts_from_the_base(dpo):
    train(changed(dpo, start=None))
    assert checked(dpo.out)["dpo_loss"] == pytest.approx(math.log(2), abs=1e-6)


def test_a_stage_continues_the_earlier_adapter(sft, stage2):
    train(changed(sft, start=str(stage2), learning_rate=1e-9))
    for name, tensor in adapter(sft.out).items():
        assert torch.allclose(tensor, adapter(stage2)[name], atol=1e-6)


def test_whole_text_loss_trains_the_prompts_too(sft):
    metrics = train(changed(sft, assistant_only_loss=False))
    assert checked(sft.out)["trained_share"] == 1
    assert metrics["steps"] == 7


def test_rows_beyond_the_length_and_the_budget_are_left_out_and_counted(sft):
    long = {
        "messages": [{"role": "user", "content": "x " * 600}, {"role": "assistant", "content": "y"}]
    }
    write_jsonl(Path(sft.rows), [*chat_rows(29), long])
    metrics = train(changed(sft, token_budget=1_000, epochs=2))
    assert metrics["left_out"]["longer than max_length"] == 1
    assert metrics["left_out"]["beyond the token budget"] == 29 - 1 - metrics["rows"] > 0
    assert 500 < metrics["positions_trained"] <= 1_000


def test_rows_that_the_template_refuses_are_left_out_and_counted(sft, tmp_path):
    base = Path(shutil.copytree(sft.base, tmp_path / "own-base"))
    template = base / "chat_template.jinja"
    refusal = "{% if messages[-1].content == 'hold' %}{{ raise_exception('no') }}{% endif %}"
    template.write_text(refusal + template.read_text())
    metrics = train(changed(sft, base=str(base)))
    assert metrics["left_out"]["refused by the chat template"] > 0
    assert checked(sft.out)["rows_refused by the chat template"] > 0
    assert "refused by the chat template" in (Path(sft.out) / "README.md").read_text()
