"""Each stage, killed outright, ends with the very adapter of one that nobody killed.

It is killed twice: as it starts, and at a random moment of its training. Asked to end, it does so
at once.
"""

import json
import multiprocessing
import os
import random
import signal
import sys
import time
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from tasks.core.training.__main__ import main
from tasks.core.training.finished import UNFINISHED
from tasks.core.training.spec import TrainingSpec
from tasks.core.training.stage import train
from tests.training.conftest import adapter_digest, changed, processes


def start(spec: TrainingSpec) -> multiprocessing.Process:
    process = processes.Process(target=train, args=(spec,))
    process.start()
    return process


def last_step(spec: TrainingSpec) -> int:
    file = Path(spec.out) / "telemetry.jsonl"
    lines = file.read_text().splitlines() if file.exists() else []
    return max((json.loads(line)["step"] for line in lines if line.endswith("}")), default=0)


def kill_once(spec: TrainingSpec, step: int, delay: float) -> None:
    """Starts the stage and kills it `delay` seconds after a step; step 0 is its start."""
    process = start(spec)
    while step and process.is_alive() and last_step(spec) < step:
        time.sleep(0.002)
    time.sleep(delay)
    process.kill()
    process.join()
    assert process.exitcode == -signal.SIGKILL, "it came to its end before it was killed"


@pytest.fixture
def seed() -> int:
    """Of the moments; shown where a test fails, and taken from KILL_SEED to repeat it."""
    chosen = int(os.environ.get("KILL_SEED") or random.SystemRandom().randrange(10**6))
    print(f"KILL_SEED={chosen}")
    return chosen


@pytest.mark.slow
@pytest.mark.parametrize(
    ("stage", "backend"),
    [("stage1", "engine"), ("stage2", "trl"), ("stage3", "engine"), ("stage3", "trl")],
)
def test_a_stage_that_is_killed_ends_with_the_same_adapter(
    stage, backend, request, tmp_path, stage2, seed
):
    spec = request.getfixturevalue("dpo" if stage == "stage3" else "sft")
    spec = replace(spec, stage=stage, start=None if stage == "stage1" else str(stage2))
    spec = changed(spec, backend=backend, save_every=1)
    whole = replace(spec, out=str(tmp_path / "whole"))
    Path(whole.out).mkdir()
    train(whole)
    steps, moments = last_step(whole), random.Random(seed)
    kill_once(spec, 0, moments.uniform(0, 0.5))  # while it reads, turns rows into tokens, loads
    kill_once(spec, moments.randrange(2, steps - 1), moments.uniform(0, 0.1))
    metrics = train(spec)
    assert metrics["resumed_from"].startswith("checkpoint-")
    assert adapter_digest(Path(spec.out)) == adapter_digest(Path(whole.out))
    assert not any((Path(spec.out) / name).exists() for name in UNFINISHED)
    lines = [
        json.loads(line) for line in (Path(spec.out) / "telemetry.jsonl").read_text().splitlines()
    ]
    assert [line["step"] for line in lines if "loss" in line] == list(range(1, steps + 1))


def run_program(spec_file: Path, errors: Path) -> None:
    """`python -m tasks.core.training SPEC 2>ERRORS`"""
    with errors.open("w") as file:
        os.dup2(file.fileno(), sys.stderr.fileno())
    sys.argv = ["training", str(spec_file)]
    sys.exit(main())


@pytest.mark.slow
@pytest.mark.parametrize(
    ("sign", "code"), [(signal.SIGTERM, -signal.SIGTERM), (signal.SIGINT, 130)]
)
def test_a_stage_ends_at_once_when_asked_to(sft, tmp_path, sign, code):
    spec, errors = changed(sft, epochs=100), tmp_path / "errors.txt"
    (tmp_path / "spec.json").write_text(json.dumps(asdict(spec)))
    process = processes.Process(target=run_program, args=(tmp_path / "spec.json", errors))
    process.start()
    while last_step(spec) < 3:
        assert process.is_alive()
        time.sleep(0.01)
    os.kill(process.pid, sign)
    process.join(30)
    assert process.exitcode == code
    if sign == signal.SIGINT:
        said = errors.read_text()
        assert said.rstrip().endswith(
            "error: Interrupted; the next run goes on from the last checkpoint."
        )
        assert "Traceback" not in said
