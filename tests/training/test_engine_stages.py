"""Whole stages on the engine: they train what TRL trains, resume to the bit, and say when they cannot."""

import json
import math
import shutil
import signal
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from peft import PeftModel
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM

from tasks.core.errors import RequestError, WorkError
from tasks.core.settings import Training
from tasks.core.training import checks
from tasks.core.training.engine import attention
from tasks.core.training.machine import Machine
from tasks.core.training.model import load_policy, read_config
from tasks.core.training.planner import peak_gib, shape_of
from tasks.core.training.stage import train
from tests.training.conftest import changed
from tests.training.test_resume import adapter_digest, killed_after

CPU = Machine("cpu", torch.bfloat16, "2 CPU threads")


def update(spec, start: Path | None = None) -> torch.Tensor:
    """What a stage added to its adapter, as one vector."""
    after = load_file(Path(spec.out) / "adapter_model.safetensors")
    before = load_file(start / "adapter_model.safetensors") if start else None
    return torch.cat([(after[name] - before[name] if before else after[name]).flatten() for name in sorted(after)])


def told(spec) -> list[dict]:
    lines = [json.loads(line) for line in (Path(spec.out) / "telemetry.jsonl").read_text().splitlines()]
    return [line for line in lines if "loss" in line]


def both(spec, tmp_path):
    """The stage on either backend."""
    specs = []
    for backend in ("trl", "engine"):
        (tmp_path / backend).mkdir()
        specs.append(changed(spec, backend=backend, out=str(tmp_path / backend)))
        assert train(specs[-1])["backend"] == backend
    return specs


def test_sft_trains_what_trl_trains(sft, tmp_path):
    trl, engine = both(changed(sft, epochs=3), tmp_path)
    initial = load_policy(Path(sft.base), None, Training(**sft.training), CPU)
    initial.save_pretrained(tmp_path / "initial")
    one, other = (update(spec, tmp_path / "initial") for spec in (trl, engine))
    assert torch.nn.functional.cosine_similarity(one, other, dim=0) >= 0.99
    for line, wanted in zip(told(engine), told(trl), strict=True):
        assert line["loss"] == pytest.approx(wanted["loss"], rel=1e-2)
        assert line["grad_norm"] == pytest.approx(wanted["grad_norm"], rel=3e-2)
        assert line["learning_rate"] == wanted["learning_rate"]
        assert (line["step"], line["steps"]) == (wanted["step"], wanted["steps"])


def test_dpo_trains_what_trl_trains(dpo, stage2, tmp_path):
    trl, engine = both(changed(dpo, epochs=3), tmp_path)
    one, other = (update(spec, stage2) for spec in (trl, engine))
    assert torch.nn.functional.cosine_similarity(one, other, dim=0) >= 0.99
    start = json.loads((Path(engine.out) / "checks.json").read_text())
    assert start["dpo_at_start"] == {"loss": pytest.approx(math.log(2), abs=1e-6), "reward": 0, "log_prob_gap": 0}
    assert start["engine_against_peft"] < 2e-2
    assert start["engine_against_peft_at_end"] < 2e-2
    for line, wanted in zip(told(engine), told(trl), strict=True):
        assert line["loss"] == pytest.approx(wanted["loss"], abs=1e-2)
        assert line["reward_margin"] == pytest.approx(wanted["reward_margin"], abs=2e-2)


def test_the_plan_changes_no_loss(sft, tmp_path):
    """Micro-batches of few rows and checkpointed layers, as a small card forces, or none of that."""
    training, lines = Training(**sft.training), []
    shape = shape_of(read_config(Path(sft.base)), training, CPU)
    for memory in (64, 1.06 * peak_gib(shape, 130, shape.layers, nf4=False)):
        spec = changed(sft, backend="engine", memory_gib=memory, out=str(tmp_path / str(memory)))
        Path(spec.out).mkdir()
        lines.append((train(spec)["plan"], [(line["loss"], line["grad_norm"]) for line in told(spec)]))
    (roomy, wanted), (tight, found) = lines
    assert "0 of 2 layers" in roomy
    assert "2 of 2 layers" in tight
    assert torch.tensor(found) == pytest.approx(torch.tensor(wanted), rel=2e-2)


def test_a_base_kept_as_nf4_gives_the_same_adapter(sft, tmp_path):
    digests = []
    for form in ("bf16", "nf4"):
        spec = changed(sft, backend="engine", base_weights=form, out=str(tmp_path / form))
        Path(spec.out).mkdir()
        train(spec)
        digests.append(adapter_digest(Path(spec.out)))
    assert digests[0] == digests[1]


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
    names = [set(load_file(Path(out) / "adapter_model.safetensors")) for out in (spec.out, f"{spec.out}-trl")]
    assert names[0] == names[1]


def train_by_trl(spec) -> str:
    out = f"{spec.out}-trl"
    Path(out).mkdir()
    train(changed(spec, backend="trl", out=out))
    return out


def test_single_modules_have_ranks_of_their_own(sft, dpo, tmp_path):
    """A whole SFT stage on either backend, and the DPO stage that continues it."""
    ranks = {"q_proj": 2, "down_proj": 6}
    trl, engine = both(changed(sft, module_ranks=ranks), tmp_path)
    saved = load_file(Path(engine.out) / "adapter_model.safetensors")
    found = {name.split(".")[-3]: len(matrix) for name, matrix in saved.items() if "lora_A" in name}
    assert found == {name: ranks.get(name, 4) for name in Training().target_modules}
    for line, wanted in zip(told(engine), told(trl), strict=True):
        assert line["loss"] == pytest.approx(wanted["loss"], rel=1e-2)
    assert train(changed(dpo, backend="engine", module_ranks=ranks, start=engine.out))["backend"] == "engine"


@pytest.mark.parametrize(("method", "step"), [("sft", 5), ("dpo", 3)])
def test_a_killed_stage_ends_with_the_same_adapter(method, step, request, tmp_path):
    spec = changed(request.getfixturevalue(method), backend="engine", save_every=1, epochs=2)
    (tmp_path / "whole").mkdir()
    train(replace(spec, out=str(tmp_path / "whole")))
    assert killed_after(spec, step)[0] == -signal.SIGKILL
    metrics = train(spec)
    assert metrics["resumed_from"].startswith("checkpoint-")
    assert adapter_digest(Path(spec.out)) == adapter_digest(tmp_path / "whole")
    steps = {line["step"] for line in told(spec)}
    assert steps == set(range(1, metrics["steps"] + 1))


def test_packs_whose_rows_see_one_another_stop_the_stage(sft, tmp_path, monkeypatch):
    """As if the kernel took the pack for one long row."""

    def leak(queries, keys, values, pack):
        whole = replace(pack, query_lengths=[len(queries)], key_lengths=[len(keys)])
        return kept(queries, keys, values, whole)

    kept = attention._attend_by_segment
    monkeypatch.setattr(attention, "_attend_by_segment", leak)
    with pytest.raises(WorkError, match=r"log-probs of packed rows differ from PEFT's by \d+\.\d+ nats a token"):
        train(changed(sft, backend="engine", base=str(attentive(sft, tmp_path / "attentive"))))


def attentive(spec, folder: Path) -> Path:
    """The base with weights so large that what a token attends to matters, unlike in one with random weights."""
    model = AutoModelForCausalLM.from_pretrained(spec.base, dtype=torch.bfloat16)
    for layer in model.model.layers:
        for projection in (layer.self_attn.q_proj, layer.self_attn.k_proj, layer.self_attn.v_proj, layer.mlp.up_proj):
            projection.weight.data *= 20
    shutil.copytree(spec.base, folder)
    model.save_pretrained(folder)
    return folder


def test_attentive_weights_pass_where_nothing_leaks(sft, tmp_path):
    spec = changed(sft, backend="engine", base=str(attentive(sft, tmp_path / "attentive")), learning_rate=1e-2)
    train(spec)
    found = json.loads((Path(spec.out) / "checks.json").read_text())
    assert max(found["engine_against_peft"], found["engine_against_peft_at_end"]) < 2e-2


def test_an_adapter_that_peft_would_compute_otherwise_stops_the_stage(sft, monkeypatch):
    """As if the engine trained with copies of the adapter that never follow it."""
    monkeypatch.setattr("tasks.core.training.engine.decoder.Engine.refresh", lambda engine: None)
    with pytest.raises(WorkError, match="differ from PEFT's by"):
        train(changed(sft, backend="engine", learning_rate=5e-2, epochs=2))


@pytest.mark.parametrize(("dtype", "allowed"), [(torch.float32, 1e-4), (torch.bfloat16, 2e-2)])
def test_a_gap_to_peft_is_told_with_its_size(dtype, allowed):
    one = torch.tensor([-2.0, -3.0])
    assert checks.check_engine(one, one + 0.9 * allowed, dtype)
    with pytest.raises(WorkError, match=f"more than {allowed:g}. Use training.backend=trl"):
        checks.check_engine(one, one + 1.1 * allowed, dtype)
    with pytest.raises(WorkError, match="by nan nats"):
        checks.check_engine(one, one * torch.nan, dtype)


def test_no_memory_for_any_plan_is_refused(sft):
    with pytest.raises(
        RequestError, match=r"takes \d\.\d GiB at least, but only 0.0001 GiB are there. Lower training.max"
    ):
        train(changed(sft, backend="engine", memory_gib=0.0001))
