"""Several processes train what one trains; on GPUs they are the cards, here they share the CPU."""

import json
import os
import shutil
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

import psutil
import pytest
import torch
from safetensors.torch import load_file
from torch.distributed.elastic.multiprocessing.errors import ChildFailedError, ProcessFailure

from tasks.core.processes.server import free_port
from tasks.core.training.__main__ import main
from tasks.core.training.hardware import ranks
from tasks.core.training.processes import launcher
from tasks.core.training.processes.launcher import AGAIN
from tasks.core.training.stage import train
from tests.tiny import chat_rows, write_jsonl
from tests.training.conftest import changed, processes


def written(spec) -> Path:
    """The spec's file."""
    file = Path(spec.out).with_suffix(".json")
    file.write_text(json.dumps(asdict(spec)))
    return file


def command_for_two(spec) -> list[str]:
    launch = "tasks.core.training.processes.launcher"
    return [sys.executable, "-m", launch, "2", str(written(spec))]


def by_two(spec) -> subprocess.CompletedProcess:
    scratch = Path(f"{spec.out}-scratch")
    scratch.mkdir()
    env = {**os.environ, "TMPDIR": str(scratch)}
    done = subprocess.run(
        command_for_two(spec), capture_output=True, text=True, timeout=300, check=False, env=env
    )
    assert not list(scratch.glob("torchelastic*"))
    return done


def together(spec) -> list[int]:
    """Exit codes of two processes that train without a launcher.

    They also save the seconds that loading torch takes. Each writes its stderr beside spec.out.
    """
    file, port = written(spec), free_port()
    both = [processes.Process(target=member, args=(number, port, file)) for number in (0, 1)]
    for process in both:
        process.start()
    for process in both:
        process.join(300)
    return [process.exitcode for process in both]


def member(number: int, port: int, spec_file: Path) -> None:
    """What each process does that launcher.py starts."""
    os.environ |= {
        "RANK": str(number),
        "WORLD_SIZE": "2",
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(port),
        "TORCHELASTIC_RUN_ID": "by hand",
    }
    with errors_file(spec_file, number).open("w") as file:
        os.dup2(file.fileno(), sys.stderr.fileno())
    sys.argv = ["training", str(spec_file)]
    sys.exit(main())


def errors_file(spec_file: Path, number: int) -> Path:
    return spec_file.with_suffix(f".{number}.txt")


def assert_both_end(spec, code: int, error: str) -> None:
    """Both processes end with the code, and the error is the last that each of them says."""
    assert together(spec) == [code, code]
    for number in (0, 1):
        said = errors_file(written(spec), number).read_text()
        assert said.splitlines()[-1].startswith(f"error: {error}")
        assert "Traceback" not in said


def telemetry(spec) -> list[dict]:
    return [
        json.loads(line) for line in (Path(spec.out) / "telemetry.jsonl").read_text().splitlines()
    ]


def all_of_b(spec) -> torch.Tensor:
    """The adapter's matrices B as one vector."""
    adapter = load_file(Path(spec.out) / "adapter_model.safetensors")
    return torch.cat([adapter[name].flatten() for name in sorted(adapter) if "lora_B" in name])


@pytest.mark.slow
def test_two_processes_train_what_one_trains(dpo, tmp_path):
    spec = changed(dpo, backend="engine")
    two = changed(spec, out=str(tmp_path / "two"))
    Path(two.out).mkdir()
    train(spec)
    # the first process alone logs step 1
    stopped = by_two(changed(two, max_minutes=1e-6, log_every=5))
    assert stopped.returncode == 1
    error = "error: stage3 stopped at step 1 of 5, because training.max_minutes is over."
    assert error in stopped.stderr
    assert "ChildFailedError" not in stopped.stderr, "torchrun's words would bury it"
    assert [json.loads(line) for line in stopped.stdout.splitlines()] == telemetry(two), (
        "one process tells"
    )
    assert together(two) == [0, 0]
    assert torch.cosine_similarity(all_of_b(spec), all_of_b(two), dim=0) > 0.999
    for one, other in zip(telemetry(spec), telemetry(two), strict=True):
        for figure in {"loss", "eval_loss", "reward_margin"} & one.keys():
            assert other[figure] == pytest.approx(one[figure], rel=1e-2, abs=2e-3)
    metrics = json.loads((Path(two.out) / "metrics.json").read_text())
    assert (metrics["cards"], metrics["resumed_from"]) == (2, "checkpoint-1")


@pytest.mark.slow
def test_two_processes_end_with_an_error_that_both_found(sft):
    spec = changed(sft, backend="engine", max_length=8)
    assert_both_end(spec, 2, "No row fits training.max_length=8")


@pytest.mark.slow
def test_two_processes_end_with_an_error_that_only_the_first_one_found(sft):
    """It alone makes the rows tokens; here the template takes away the space that an answer begins
    with.
    """
    base, rows = Path(sft.out).with_name("base"), chat_rows(29)
    shutil.copytree(sft.base, base)
    template = (base / "chat_template.jinja").read_text()
    (base / "chat_template.jinja").write_text(
        template.replace("message['content']", "message['content'] | trim")
    )
    rows[3]["messages"][-1]["content"] = " hold"
    write_jsonl(Path(sft.rows), rows)
    spec = changed(sft, backend="engine", base=str(base), template="any")
    assert_both_end(spec, 1, "The chat template renders the answer ' hold' as 'hold")


@pytest.mark.slow
def test_two_processes_stop_when_patience_is_over_and_both_take_the_best_state(sft):
    # a rate at which the eval loss rises at once
    spec = changed(
        sft, backend="engine", eval_every=1, patience=1, learning_rate=30.0, save_every=100
    )
    assert together(spec) == [0, 0]
    metrics = json.loads((Path(sft.out) / "metrics.json").read_text())
    assert metrics["stopped_at_step"] == metrics["best_step"] + 1 < 7


@pytest.mark.slow
def test_a_launcher_killed_outright_takes_its_processes_along(sft):
    command = command_for_two(changed(sft, backend="engine", epochs=100))
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        process.stdout.readline()
        processes = psutil.Process(process.pid).children(recursive=True)
        process.kill()
    assert len(processes) >= 2
    assert not psutil.wait_procs(processes, timeout=10)[1]


def join_after_the_launchers_end(port: int) -> None:
    os.environ |= {
        "RANK": "0",
        "WORLD_SIZE": "1",
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(port),
    }
    os.environ[ranks.LAUNCHER] = str(2**22 + 1)  # no process has this number
    ranks.join()


@pytest.mark.skipif(sys.platform != "linux", reason="the parent-death signal is Linux's")
@pytest.mark.slow
def test_a_process_whose_launcher_is_gone_before_it_joins_ends(tmp_path):
    process = processes.Process(target=join_after_the_launchers_end, args=(free_port(),))
    process.start()
    process.join(60)
    assert process.exitcode == 1


@pytest.mark.parametrize(
    ("rounds", "code"),
    [([{0: 1, 1: AGAIN}, {}], 0), ([{1: AGAIN}, {0: 1, 1: 2}], 2), ([{0: -9}], 1)],
)
def test_where_a_card_was_full_all_are_started_again(monkeypatch, capsys, rounds, code):
    """Each round is the exit codes of the processes that failed."""

    def run(command):
        assert os.environ[ranks.LAUNCHER] == str(os.getpid())
        if codes := rounds.pop(0):
            raise ChildFailedError(
                "training", {n: ProcessFailure(n, 1, x, "") for n, x in codes.items()}
            )

    monkeypatch.setenv(ranks.LAUNCHER, "")
    monkeypatch.setattr(launcher.logging, "disable", lambda level: None)
    monkeypatch.setattr(launcher.run, "run", run)
    assert launcher.main("2", "spec.json") == code
    assert rounds == []
    assert ("ended by signal 9" in capsys.readouterr().err) == (code == 1)
