"""Kills and broken tools: nothing finished is lost, and the next run goes on from there to the same
result.
"""

import contextlib
import json
import os
import signal
import time

import psutil
import pytest

from tasks.core.tools import find_llama_cpp
from tests.pipeline.kills import running

pytestmark = pytest.mark.slow


def wait_for_checkpoint(home, stage, process, beyond=0):
    """The step of a whole checkpoint later than beyond, and the training child."""
    deadline = time.monotonic() + 300
    while time.monotonic() < deadline:
        assert process.poll() is None, process.stdout.read()
        whole = (home.folder / "artifacts" / ".staging").glob(
            f"{stage}-*/checkpoints/checkpoint-*/kospilot.json"
        )
        newest = max(
            (int(file.parent.name.removeprefix("checkpoint-")) for file in whole), default=0
        )
        if newest > beyond:
            child = running(home, "tasks.core.training")
            assert child is not None, f"{stage} has no training child"
            return newest, child
        time.sleep(0.05)
    raise AssertionError(f"{stage} wrote no checkpoint in 5 minutes")


def wait_until_gone(pid):
    deadline = time.monotonic() + 30
    with contextlib.suppress(psutil.NoSuchProcess):
        while psutil.Process(pid).status() != psutil.STATUS_ZOMBIE:
            assert time.monotonic() < deadline, f"process {pid} outlived its parent"
            time.sleep(0.1)


@pytest.mark.parametrize("stage", ["stage2", "stage3"])
def test_kill_9_resumes_to_the_same_adapter(finished, tmp_path, stage):
    """First the training child is killed, then the whole command."""
    home = finished.copy(tmp_path / "home", stage)
    reached = 0
    for victim in ("training", "command"):
        process = home.start("run", "demo", *home.small, "--until", stage, start_new_session=True)
        reached, child = wait_for_checkpoint(home, stage, process, reached)
        (child if victim == "training" else psutil.Process(process.pid)).send_signal(signal.SIGKILL)
        told = process.communicate()[0]
        wait_until_gone(child.pid)
        assert process.returncode == (1 if victim == "training" else -signal.SIGKILL)
        assert ("exited with -9" in told) == (victim == "training")
    before = home.made()
    home.run("--until", stage)
    after = home.made()
    assert {step for step in after if after[step] != before.get(step)} == {stage}
    assert home.newest(stage).digest == finished.newest(stage).digest
    assert int(home.newest(stage).metrics["resumed_from"].removeprefix("checkpoint-")) >= reached
    telemetry = (home.path(stage) / "telemetry.jsonl").read_text().splitlines()
    steps = [line["step"] for line in map(json.loads, telemetry) if "loss" in line]
    assert steps == list(range(1, steps[-1] + 1)), (
        "every step once: a resumed run goes on where its checkpoint was"
    )


def test_ctrl_c_leaves_nothing_running(finished, tmp_path):
    home = finished.copy(tmp_path / "home", "stage2")
    home.forget_server()  # it starts one, which ends with it
    process = home.start("run", "demo", *home.small, "--until", "stage2", start_new_session=True)
    wait_for_checkpoint(home, "stage2", process)
    started = psutil.Process(process.pid).children(recursive=True)
    os.kill(process.pid, signal.SIGINT)
    told = process.communicate(timeout=60)[0]
    assert process.returncode == 130
    assert "Interrupted" in told
    for child in started:
        wait_until_gone(child.pid)


def broken_llama_cpp(home, folder, program, script):
    """The home's llama.cpp, of which one program is replaced by a script."""
    folder.mkdir()
    for file in find_llama_cpp(home.folder).converter.parent.iterdir():
        (folder / file.name).symlink_to(file)
    (folder / program).unlink()
    (folder / program).write_text(script)
    (folder / program).chmod(0o755)
    return str(folder)


def test_a_broken_quantizer_fails_there_and_only_that_step_is_retried(
    finished, tmp_path, monkeypatch
):
    home = finished.copy(
        tmp_path / "home", "quantize", "register", "evaluate", "promote", "baseline"
    )
    script = "#!/bin/sh\necho 'cannot read tensor 7' >&2\nexit 1\n"
    broken = broken_llama_cpp(home, tmp_path / "llama.cpp", "llama-quantize", script)
    before = home.made()
    monkeypatch.setenv("KOSPILOT_LLAMA_CPP", broken)
    done = home.run(code=1)
    assert "cannot read tensor 7" in done.stderr
    assert "Traceback" not in done.stderr
    assert "nanobind" not in done.stderr  # DuckDB's word for objects that outlive it
    assert home.figures["kospilot_step_outcome", "quantize", "failed"] == 1
    assert home.figures["kospilot_run_succeeded", "", ""] == 0
    monkeypatch.delenv("KOSPILOT_LLAMA_CPP")
    home.run("--only", "quantize")
    after = home.made()
    assert {step for step in after if after[step] != before.get(step)} == {"quantize"}


def test_a_broken_converter_is_found_before_anything_is_trained(finished, tmp_path, monkeypatch):
    home = finished.copy(tmp_path / "home", "stage2")
    script = "raise RuntimeError('torch is too old for this converter')\n"
    broken = broken_llama_cpp(home, tmp_path / "llama.cpp", "convert_hf_to_gguf.py", script)
    before = home.made()
    monkeypatch.setenv("KOSPILOT_LLAMA_CPP", broken)
    done = home.run(code=1)
    assert "torch is too old for this converter" in " ".join(done.stderr.split())
    assert "stage2: not built yet" not in done.stderr
    assert home.made() == before
