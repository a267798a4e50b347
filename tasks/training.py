"""stage1, stage2 and stage3, as Prefect sees them: each trains in a process of its own."""

import json
import logging
import re
import sys
from dataclasses import asdict
from typing import Any

from prefect import task

from tasks.artifacts import cached, make, show_files
from tasks.core.chain.adoption import figures
from tasks.core.chain.produce import Job
from tasks.core.chain.run import Run
from tasks.core.files.json_files import write_json
from tasks.core.processes.child import run_kospilot_program
from tasks.core.records.artifacts import Progress, Ref
from tasks.core.serving.servers import free_card
from tasks.core.training.spec import training_spec

log = logging.getLogger(__name__)
_LOGGED = re.compile(r"([A-Z]+):tasks\.[a-z_.]+:(.*)")  # a line of the child's own log


@task(**cached("stage1"))
def stage1(run: Run, reads: dict[str, Ref]) -> Ref:
    """SFT on the five finance data sets."""
    return _trained(run, "stage1", reads)


@task(**cached("stage2"))
def stage2(run: Run, reads: dict[str, Ref]) -> Ref:
    """SFT on the synthetic strategy rows."""
    return _trained(run, "stage2", reads)


@task(**cached("stage3"))
def stage3(run: Run, reads: dict[str, Ref]) -> Ref:
    """DPO on the preference pairs, against the policy it starts from."""
    return _trained(run, "stage3", reads)


def _trained(run: Run, stage: str, reads: dict[str, Ref]) -> Ref:
    ref = make(run, stage, reads, _train)
    show_files(run, ref, f"{stage}: loss over the optimizer steps")
    return ref


def _train(job: Job) -> dict[str, Any]:
    spec_file = job.out.with_suffix(
        ".json"
    )  # beside the adapter, which holds no path of this machine
    folders = {name: job.folder(name) for name in job.reads}
    write_json(spec_file, asdict(training_spec(job.run.settings, job.step.name, folders, job.out)))
    command = [sys.executable, "-m", "tasks.core.training", spec_file]
    # one training at a time on a machine, inside Prefect or out of it
    with job.run.store.locked("accelerator", "is taken by another run's training"):
        free_card(job.run.settings.release.name)
        run_kospilot_program(command, lambda line: _relay(line, job.progress))
    spec_file.unlink()
    return figures(job.out)


def _relay(line: str, progress: Progress) -> None:
    """Turns a telemetry line of the child into progress and passes on its log; other lines are in
    the error if it fails.
    """
    if logged := _LOGGED.match(line):
        log.log(logging.getLevelNamesMapping()[logged[1]], "%s", logged[2])
        return
    try:
        told = json.loads(line)
    except ValueError:
        return
    if not (isinstance(told, dict) and {"loss", "eta_s"} <= told.keys()):  # a library's own JSON
        return
    parts = [
        f"step {told['step']}/{told['steps']}",
        f"loss {told['loss']:.3f}",
        f"{told['tokens_per_s']:.0f} tokens/s",
        f"{told['memory_gib']:.1f} GiB",
        f"{told['eta_s']:.0f} s left",
    ]
    progress(told["step"] / told["steps"], ", ".join(parts))
