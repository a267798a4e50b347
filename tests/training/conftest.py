"""The tiny base model and one finished Stage 2 on it, shared by the tests of training.

Both are made once for all processes.
"""

import json
import multiprocessing
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoConfig, AutoModelForCausalLM

from tasks.core.errors import WorkError
from tasks.core.files.digests import digest_file
from tasks.core.settings.tree import Stage2, Stage3, Training
from tasks.core.training.hardware.machine import Machine, Speed
from tasks.core.training.planning.costs import Shape, shape_of
from tasks.core.training.spec import TrainingSpec
from tasks.core.training.stage import train
from tests.conftest import made_once
from tests.tiny import chat_rows, make_base, preference_pairs, write_jsonl

TRAINING = {"max_length": 512, "lora_rank": 4, "lora_alpha": 8}
SCHEDULE = {"epochs": 1, "effective_batch": 4, "micro_batch": 2, "log_every": 1, "save_every": 2}
SCHEDULE |= {"keep": 2, "gradient_checkpointing": False}

H200 = Speed(operations=750e12, bandwidth=4.0e12, start=7.4e-6)
SMALL = {"hidden_size": 48, "intermediate_size": 80, "num_hidden_layers": 2, "vocab_size": 64}
SMALL |= {"num_attention_heads": 3, "num_key_value_heads": 1}

# a fresh process each, without the seconds that loading torch takes
processes = multiprocessing.get_context("forkserver")
processes.set_forkserver_preload(["tasks.core.training.stage"])


@pytest.fixture(scope="session")
def base(tmp_path_factory) -> Path:
    def make(folder: Path) -> None:
        make_base(folder / "base")

    return made_once(tmp_path_factory, "tiny-base", make) / "base"


@pytest.fixture
def sft(base, tmp_path) -> TrainingSpec:
    """Seven steps of SFT on 29 rows (one of them is kept for the eval loss)."""
    rows = write_jsonl(tmp_path / "rows.jsonl", chat_rows(29))
    return _spec(base, rows, tmp_path / "sft", Stage2(**SCHEDULE, learning_rate=2e-3))


@pytest.fixture(scope="session")
def stage2(base, tmp_path_factory) -> Path:
    """A finished Stage 2: what `sft` trains if nothing is changed."""

    def make(folder: Path) -> None:
        rows = write_jsonl(folder / "rows.jsonl", chat_rows(29))
        train(_spec(base, rows, folder / "adapter", Stage2(**SCHEDULE, learning_rate=2e-3)))

    return made_once(tmp_path_factory, "tiny-stage2", make) / "adapter"


@pytest.fixture
def dpo(base, stage2, tmp_path) -> TrainingSpec:
    """Five steps of DPO on 20 pairs that continue the Stage 2 adapter."""
    rows = write_jsonl(tmp_path / "pairs.jsonl", preference_pairs(20))
    spec = _spec(base, rows, tmp_path / "dpo", Stage3(**SCHEDULE, learning_rate=1e-3))
    return replace(spec, stage="stage3", method="dpo", start=str(stage2))


@pytest.fixture
def shape() -> Shape:
    """Qwen2.5-7B with an adapter of the defaults."""
    config = AutoConfig.for_model(
        "qwen2",
        hidden_size=3584,
        intermediate_size=18944,
        num_hidden_layers=28,
        num_attention_heads=28,
        num_key_value_heads=4,
        vocab_size=152064,
        tie_word_embeddings=False,
    )
    return shape_of(
        config, Training(), Machine("cpu", torch.bfloat16, "")
    )  # the measured runs had plain AdamW


@pytest.fixture
def plant(monkeypatch):
    """plant(where, name, fault): the function is replaced by one that gets the right one's result
    and arguments.
    """

    def put(where, name, fault):
        right = getattr(where, name)
        monkeypatch.setattr(
            where, name, lambda *given, **named: fault(right(*given, **named), *given)
        )

    return put


def _spec(base: Path, rows: Path, out: Path, schedule) -> TrainingSpec:
    out.mkdir()
    training: dict[str, Any] = Training(**TRAINING).model_dump(mode="json")
    return TrainingSpec(
        "stage2", "sft", str(base), None, str(rows), str(out), training, schedule.model_dump()
    )


def adapter_digest(out: str | Path) -> str:
    """The digest of an adapter's weights."""
    return digest_file(Path(out) / "adapter_model.safetensors")


def digests(out: str | Path) -> list[str]:
    """The digests of the files that are an adapter's content."""
    return [
        digest_file(Path(out) / "adapter_config.json"),
        adapter_digest(out),
        digest_file(Path(out) / "base.json"),
    ]


def attentive(spec, folder: Path, louder: int = 1) -> Path:
    """The base with weights so large that what a token attends to matters, unlike in one with
    random weights.
    """
    model = AutoModelForCausalLM.from_pretrained(spec.base, dtype=torch.bfloat16)
    for layer in model.model.layers:
        for projection in (
            layer.self_attn.q_proj,
            layer.self_attn.k_proj,
            layer.self_attn.v_proj,
            layer.mlp.up_proj,
        ):
            projection.weight.data *= 20
        layer.self_attn.o_proj.weight.data *= louder
    model.model.norm.weight.data *= louder
    shutil.copytree(spec.base, folder)
    model.save_pretrained(folder)
    return folder


def checked(out: str | Path) -> dict[str, Any]:
    """The figures of a stage's checks.json, every one of which held."""
    checks = json.loads((Path(out) / "checks.json").read_text())
    assert all(check["ok"] for check in checks.values())
    return {name: check["value"] for name, check in checks.items()}


def changed(spec: TrainingSpec, **fields) -> TrainingSpec:
    """The spec with other settings; a name of both sections is the schedule's."""
    schedule = spec.schedule | {
        name: value for name, value in fields.items() if name in spec.schedule
    }
    training = spec.training | {
        name: value for name, value in fields.items() if name in spec.training
    }
    rest = {
        name: value
        for name, value in fields.items()
        if name not in schedule and name not in training
    }
    return replace(spec, training=training, schedule=schedule, **rest)


def refused(spec, problem: str) -> None:
    """The stage stops, says so, leaves no adapter, and its table holds the check that failed."""
    with pytest.raises(WorkError, match=problem):
        train(spec)
    assert not (Path(spec.out) / "adapter_model.safetensors").exists()
    found = json.loads((Path(spec.out) / "checks.json").read_text())
    assert not all(check["ok"] for check in found.values())
