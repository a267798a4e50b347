"""Several processes train what one trains; on GPUs they are the cards, here they share the CPU."""

import json
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from tasks.core.training.stage import train
from tests.training.conftest import changed


def train_by_two(spec) -> None:
    spec_file = Path(spec.out).with_suffix(".json")
    spec_file.write_text(json.dumps(asdict(spec)))
    command = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2", "-m", "tasks.core.training"]
    done = subprocess.run([sys.executable, *command, str(spec_file)], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    steps = [line for line in told(spec) if "loss" in line]
    assert [json.loads(line) for line in done.stdout.splitlines()] == steps, "one process tells"


def told(spec) -> list[dict]:
    return [json.loads(line) for line in (Path(spec.out) / "telemetry.jsonl").read_text().splitlines()]


def test_two_processes_train_what_one_trains(dpo, tmp_path):
    spec = changed(dpo, backend="engine")
    two = changed(spec, out=str(tmp_path / "two"))
    Path(two.out).mkdir()
    train(spec)
    train_by_two(two)
    adapters = [load_file(Path(each.out) / "adapter_model.safetensors") for each in (spec, two)]
    flat = [
        torch.cat([adapter[name].flatten() for name in sorted(adapter) if "lora_B" in name]) for adapter in adapters
    ]
    assert torch.cosine_similarity(*flat, dim=0) > 0.999
    for one, other in zip(told(spec), told(two), strict=True):
        for figure in {"loss", "eval_loss", "reward_margin"} & one.keys():
            assert other[figure] == pytest.approx(one[figure], rel=1e-2, abs=2e-3)
    assert json.loads((Path(two.out) / "metrics.json").read_text())["cards"] == 2
