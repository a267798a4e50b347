"""Trials: short runs with other micro-batches or ranks, in the training process, that leave nothing
behind.
"""

import json
import sys
from dataclasses import asdict, replace
from pathlib import Path

import pytest
import torch

from tasks.core.errors import RequestError
from tasks.core.preflight.trials import carry_out_trials
from tasks.core.processes import child
from tasks.core.processes.child import ChildFailed
from tasks.core.training.__main__ import main
from tasks.core.training.backends import assembly
from tasks.core.training.backends.policy_trainer import PolicyTrainer
from tests.training.conftest import changed

pytestmark = pytest.mark.slow  # each test trains


def run(spec, trials: list[dict], tmp_path, monkeypatch, capsys) -> list[dict]:
    (tmp_path / "spec.json").write_text(json.dumps(asdict(spec)))
    (tmp_path / "trials.json").write_text(json.dumps(trials))
    monkeypatch.setattr(
        sys, "argv", ["training", str(tmp_path / "spec.json"), str(tmp_path / "trials.json")]
    )
    assert main() == 0
    assert list(Path(spec.out).iterdir()) == []
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


@pytest.mark.parametrize("backend", ["trl", "engine"])
def test_a_sweep_trains_the_same_rows_at_each_rank(sft, tmp_path, monkeypatch, capsys, backend):
    """Updates are scaled alike: alpha / r is the profile's, as module_ranks and shrink keep it."""
    monkeypatch.setattr(
        PolicyTrainer, "_save_checkpoint", lambda *given: pytest.fail("a checkpoint is in the time")
    )
    scales, kept = [], assembly.load_policy

    def load(*given):
        policy = kept(*given)
        layers = [module for module in policy.modules() if hasattr(module, "lora_A")]
        scales.append({layer.scaling["default"] for layer in layers})
        return policy

    monkeypatch.setattr(assembly, "load_policy", load)
    spec = changed(sft, backend=backend, learning_rate=2e-2)
    trials = [{"steps": 4, "rank": rank} for rank in (2, 6, 2)]
    outcomes = run(spec, trials, tmp_path, monkeypatch, capsys)
    assert [line["rank"] for line in outcomes] == [2, 6, 2]
    assert scales == [{2.0}] * 3
    assert {(line["backend"], line["steps"]) for line in outcomes} == {(backend, 4)}
    assert outcomes[1]["parameters"] == 3 * outcomes[0]["parameters"]
    assert outcomes[0]["eval_loss"] == outcomes[2]["eval_loss"] != outcomes[1]["eval_loss"]
    assert all(line["tokens_per_s"] > 0 and line["step_s"] > 0 for line in outcomes)
    assert {line["peak_gib"] for line in outcomes} == {None}, "a process's memory is not a trial's"
    assert all(("expected_peak_gib" in line) == (backend == "engine") for line in outcomes)


def test_a_probe_scales_the_planners_micro_batch(sft, tmp_path, monkeypatch, capsys):
    spec = changed(sft, backend="engine")
    scales = [{"steps": 3, "scale": scale} for scale in (1, 0.5, 2)]
    planned, half, double = run(spec, scales, tmp_path, monkeypatch, capsys)
    tokens = [int(line["micro_batch"].split()[0]) for line in (planned, half, double)]
    assert tokens[1] < tokens[0]
    assert tokens[2] == 2 * tokens[0]
    assert planned["loss"] == pytest.approx(double["loss"], rel=1e-2)  # however it is packed


def test_a_probe_scales_trls_micro_batch_and_of_pairs(dpo, tmp_path, monkeypatch, capsys):
    outcomes = run(
        dpo, [{"steps": 2, "scale": scale} for scale in (1, 2)], tmp_path, monkeypatch, capsys
    )
    assert [line["micro_batch"] for line in outcomes] == [2, 4]
    assert all(line["loss"] == pytest.approx(0.693, abs=0.01) for line in outcomes)


@pytest.mark.parametrize("backend", ["trl", "engine"])
@pytest.mark.parametrize("method", ["sft", "dpo"])
def test_few_rows_are_all_trained(method, backend, request, tmp_path, monkeypatch, capsys):
    spec = changed(request.getfixturevalue(method), backend=backend)
    few = tmp_path / "few.jsonl"
    few.write_text("".join(Path(spec.rows).read_text().splitlines(keepends=True)[:3]))
    (outcome,) = run(replace(spec, rows=str(few)), [{"steps": 1}], tmp_path, monkeypatch, capsys)
    assert (outcome["steps"], outcome["eval_loss"]) == (1, None)


def test_trials_that_cannot_be_run_say_why_and_stop_no_other(sft, tmp_path, monkeypatch, capsys):
    errors = {
        64: torch.OutOfMemoryError("CUDA out of memory."),
        63: RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED"),
    }
    kept = assembly.load_policy

    def full(base, start, training, *rest):
        if training.lora_rank in errors:
            raise errors[training.lora_rank]
        return kept(base, start, training, *rest)

    monkeypatch.setattr(assembly, "load_policy", full)
    asked = [{"rank": 64}, {"rank": 63}, {"scale": 1.5}, {"rank": 2}]
    trials = [{"steps": 1} | trial for trial in asked]
    *memory, divided, last = run(sft, trials, tmp_path, monkeypatch, capsys)
    full_card = "The GPU's memory was full."
    assert memory == [{"rank": 64, "problem": full_card}, {"rank": 63, "problem": full_card}]
    assert divided["problem"] == "micro_batch=3 does not divide effective_batch=4: choose 1, 2, 4."
    assert (last["rank"], last["steps"]) == (2, 1)


def test_an_error_of_their_process_is_told(sft, monkeypatch):
    def fails(process, on_line):
        raise ChildFailed(
            "python exited with 2:\nsome library\nerror: The base model has no tokenizer.json.", 2
        )

    monkeypatch.setattr(child, "start_child", lambda command, env: None)
    monkeypatch.setattr(child, "wait_for_child", fails)
    with pytest.raises(RequestError, match=r"^The base model has no tokenizer.json.$"):
        carry_out_trials(sft, [{"steps": 1}], print)


def test_trials_that_are_none_are_refused(sft, tmp_path, monkeypatch, capsys):
    with pytest.raises(AssertionError, match="assert 2 == 0"):
        run(sft, [{"steps": 1, "ranks": 2}], tmp_path, monkeypatch, capsys)
    assert "trials.json is no list of trials" in capsys.readouterr().err
