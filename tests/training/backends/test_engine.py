"""Whole stages on the engine: they train what TRL trains, resume to the bit, and say when they
cannot.
"""

import json
import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from peft import PeftModel
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM

from tasks.core.errors import RequestError, WorkError
from tasks.core.records.training_base import read_training_base
from tasks.core.settings.tree import Training
from tasks.core.training.backends import assembly
from tasks.core.training.backends.engine import EngineTrainer
from tasks.core.training.engine import attention
from tasks.core.training.hardware.machine import Machine
from tasks.core.training.planning import planner
from tasks.core.training.planning.costs import peak_gib, shape_of
from tasks.core.training.policy.base_model import read_config
from tasks.core.training.policy.loading import load_policy
from tasks.core.training.rows import sequences
from tasks.core.training.rows.sequences import sequences_of
from tasks.core.training.stage import train
from tests.training.conftest import attentive, changed, checked

CPU = Machine("cpu", torch.bfloat16, "2 CPU threads")


@pytest.fixture(autouse=True)
def in_bf16(monkeypatch):
    """As on the engine's GPUs, whatever this CPU computes fastest in."""
    monkeypatch.setattr(assembly, "find_machine", lambda: CPU)


def update(spec, start: Path | None = None) -> torch.Tensor:
    """What a stage added to its adapter, as one vector."""
    after = load_file(Path(spec.out) / "adapter_model.safetensors")
    before = load_file(start / "adapter_model.safetensors") if start else None
    return torch.cat(
        [
            (after[name] - before[name] if before else after[name]).flatten()
            for name in sorted(after)
        ]
    )


def loss_lines(spec) -> list[dict]:
    lines = [
        json.loads(line) for line in (Path(spec.out) / "telemetry.jsonl").read_text().splitlines()
    ]
    return [line for line in lines if "loss" in line]


def both(spec, tmp_path):
    """The stage on either backend."""
    specs = []
    for backend in ("trl", "engine"):
        (tmp_path / backend).mkdir()
        specs.append(changed(spec, backend=backend, out=str(tmp_path / backend)))
        assert train(specs[-1])["backend"] == backend
    return specs


@pytest.mark.slow
def test_sft_trains_what_trl_trains(sft, tmp_path):
    trl, engine = both(changed(sft, epochs=3), tmp_path)
    initial = load_policy(Path(sft.base), None, Training(**sft.training), CPU)
    initial.save_pretrained(tmp_path / "initial")
    one, other = (update(spec, tmp_path / "initial") for spec in (trl, engine))
    assert torch.nn.functional.cosine_similarity(one, other, dim=0) >= 0.99
    for line, wanted in zip(loss_lines(engine), loss_lines(trl), strict=True):
        assert line["loss"] == pytest.approx(wanted["loss"], rel=1e-2)
        assert line["grad_norm"] == pytest.approx(wanted["grad_norm"], rel=3e-2)
        assert line["learning_rate"] == wanted["learning_rate"]
        assert (line["step"], line["steps"]) == (wanted["step"], wanted["steps"])


@pytest.mark.slow
def test_dpo_trains_what_trl_trains(dpo, stage2, tmp_path):
    trl, engine = both(changed(dpo, epochs=3), tmp_path)
    one, other = (update(spec, stage2) for spec in (trl, engine))
    assert torch.nn.functional.cosine_similarity(one, other, dim=0) >= 0.99
    start = checked(engine.out)
    assert start["dpo_loss"] == pytest.approx(math.log(2), abs=1e-6)
    assert (
        start["dpo_reward"] == start["dpo_log_prob_gap"] == start["dpo_reference_at_the_end"] == 0
    )
    assert (
        max(start["packed_against_alone_at_start"], start["packed_against_alone_at_the_end"]) < 2e-2
    )
    for line, wanted in zip(loss_lines(engine), loss_lines(trl), strict=True):
        assert line["loss"] == pytest.approx(wanted["loss"], abs=1e-2)
        assert line["reward_margin"] == pytest.approx(wanted["reward_margin"], abs=2e-2)


@pytest.mark.slow
def test_the_plan_changes_no_loss(sft, tmp_path):
    """Micro-batches of few rows and checkpointed layers, as a small card forces, or neither."""
    training, lines = Training(**sft.training), []
    shape = shape_of(read_config(Path(sft.base)), training, CPU)
    for memory in (64, 1.15 * peak_gib(shape, 130, shape.layers, nf4=False)):
        spec = changed(sft, backend="engine", memory_gib=memory, out=str(tmp_path / str(memory)))
        Path(spec.out).mkdir()
        lines.append(
            (train(spec)["plan"], [(line["loss"], line["grad_norm"]) for line in loss_lines(spec)])
        )
    (roomy, wanted), (tight, found) = lines
    assert "0 of 2 layers" in roomy
    assert (
        "1 of 2 layers" in tight
    )  # the other's backward pass comes first, when all it would have kept is needed
    assert torch.tensor(found) == pytest.approx(torch.tensor(wanted), rel=2e-2)


@pytest.mark.slow
def test_a_base_kept_as_nf4_gives_the_same_adapter(sft, tmp_path):
    trained = []
    bases = []
    for form in ("bf16", "nf4"):
        spec = changed(sft, backend="engine", base_weights=form, out=str(tmp_path / form))
        Path(spec.out).mkdir()
        train(spec)
        bases.append(read_training_base(Path(spec.out)))
        tensors = load_file(Path(spec.out) / "adapter_model.safetensors")
        trained.append(
            torch.cat(
                [tensor.flatten() for name, tensor in sorted(tensors.items()) if "lora_B" in name]
            )
        )
    assert bases[0] == bases[1]
    assert (
        torch.cosine_similarity(*trained, dim=0) > 0.999
    )  # B was zero: all of it is what was learnt


@pytest.mark.slow
def test_what_the_engine_trained_peft_loads_and_computes_the_same(sft):
    """Without any of this project's code, on the plain base."""
    spec = changed(sft, backend="engine", epochs=3, learning_rate=1e-2)
    train(spec)
    ids = torch.arange(3, 40)[None]
    outputs = []
    for adapter in (None, spec.out):
        model = AutoModelForCausalLM.from_pretrained(spec.base, dtype=torch.float32)
        policy = PeftModel.from_pretrained(model, adapter) if adapter else model
        with torch.no_grad():
            outputs.append(policy(ids).logits)
    assert (outputs[0] - outputs[1]).abs().max() > 0.05
    config = json.loads((Path(spec.out) / "adapter_config.json").read_text())
    trl = json.loads((Path(train_by_trl(sft)) / "adapter_config.json").read_text())
    assert config == trl
    names = [
        set(load_file(Path(out) / "adapter_model.safetensors"))
        for out in (spec.out, f"{spec.out}-trl")
    ]
    assert names[0] == names[1]


def train_by_trl(spec) -> str:
    out = f"{spec.out}-trl"
    Path(out).mkdir()
    train(changed(spec, backend="trl", out=out))
    return out


@pytest.mark.slow
def test_plans_look_at_the_steps_that_are_trained(sft, monkeypatch):
    trained, planned = [], []
    make_plan, training_step = planner.make_plan, EngineTrainer.training_step

    def plan(shape, works, *given):
        planned.extend(work.sequences for work in works)
        return make_plan(shape, works, *given)

    def step(trainer, model, inputs, *given):
        trained.append(sequences_of(inputs["step"].rows))
        return training_step(trainer, model, inputs, *given)

    monkeypatch.setattr(planner, "make_plan", plan)
    monkeypatch.setattr(EngineTrainer, "training_step", step)
    train(changed(sft, backend="engine", epochs=1))
    assert planned == trained


@pytest.mark.slow
def test_single_modules_have_ranks_of_their_own(sft, dpo, tmp_path):
    """A whole SFT stage on either backend, and the DPO stage that continues it."""
    ranks = {"q_proj": 2, "down_proj": 6}
    trl, engine = both(changed(sft, module_ranks=ranks), tmp_path)
    saved = load_file(Path(engine.out) / "adapter_model.safetensors")
    found = {name.split(".")[-3]: len(matrix) for name, matrix in saved.items() if "lora_A" in name}
    assert found == {name: ranks.get(name, 4) for name in Training().target_modules}
    for line, wanted in zip(loss_lines(engine), loss_lines(trl), strict=True):
        assert line["loss"] == pytest.approx(wanted["loss"], rel=1e-2)
    assert (
        train(changed(dpo, backend="engine", module_ranks=ranks, start=engine.out))["backend"]
        == "engine"
    )


def test_packs_whose_rows_see_one_another_stop_the_stage(sft, tmp_path, monkeypatch):
    """As if the kernel took the pack for one long row."""

    def leak(queries, keys, values, pack):
        whole = replace(pack, query_lengths=[len(queries)], key_lengths=[len(keys)])
        return kept(queries, keys, values, whole)

    kept = attention._attend_by_segment
    monkeypatch.setattr(attention, "_attend_by_segment", leak)
    with pytest.raises(
        WorkError, match=r"off from float32's by 0\.\d+ nats a token, more than 0\.0\d+"
    ):
        train(changed(sft, backend="engine", base=str(attentive(sft, tmp_path / "attentive"))))


def test_a_row_that_is_packed_behind_another_ones_token_stops_the_stage(sft, tmp_path, monkeypatch):
    """As if two rows began alike one token longer than they do."""
    kept = sequences.count_shared
    monkeypatch.setattr(
        sequences,
        "count_shared",
        lambda one, other: min(kept(one, other) + 1, len(one), len(other)),
    )
    with pytest.raises(
        WorkError, match=r"off from float32's by 0\.\d+ nats a token, more than 0\.0\d+"
    ):
        train(changed(sft, backend="engine", base=str(attentive(sft, tmp_path / "attentive"))))


def test_attentive_weights_pass_where_nothing_leaks(sft, tmp_path):
    spec = changed(
        sft, backend="engine", base=str(attentive(sft, tmp_path / "attentive")), learning_rate=1e-2
    )
    train(spec)
    found = checked(spec.out)
    assert (
        max(found["packed_against_alone_at_start"], found["packed_against_alone_at_the_end"]) < 2e-2
    )
    assert 0 < max(found["off_from_float32_at_start"], found["off_from_float32_at_the_end"]) < 5e-2


def test_an_adapter_that_peft_would_compute_otherwise_stops_the_stage(sft, monkeypatch):
    """As if the engine trained with copies of the adapter that never follow it."""
    monkeypatch.setattr("tasks.core.training.engine.decoder.Engine.refresh", lambda engine: None)
    with pytest.raises(
        WorkError, match="Log-probs of rows packed together are off from float32's by"
    ):
        train(changed(sft, backend="engine", learning_rate=5e-2, epochs=2))


def test_no_memory_for_any_plan_is_refused_with_what_would_fit(sft):
    with pytest.raises(
        RequestError,
        match=r"takes \d\.\d GiB at least, but only 0.0001 GiB are there. No length fits",
    ):
        train(changed(sft, backend="engine", memory_gib=0.0001))
    shape = shape_of(read_config(Path(sft.base)), Training(**sft.training), CPU)
    cap = peak_gib(shape, 64, shape.layers, nf4=True) * 1.07
    with pytest.raises(
        RequestError, match=r"training.max_length=64 and training.base_weights=nf4 would fit\."
    ):
        train(changed(sft, backend="engine", memory_gib=cap))
