"""What the three training stages share: each trains in a process of its own."""

import json
import logging
import re
import sys
from dataclasses import asdict
from typing import Any

from tasks.core.chain.step import Job, Reads, Step
from tasks.core.files.json_files import write_json
from tasks.core.records.artifacts import Progress
from tasks.core.settings.tree import Settings, StageName
from tasks.core.training.spec import STAGE_VERSION, training_spec

log = logging.getLogger(__name__)

_LOGGED = re.compile(r"([A-Z]+):tasks\.[a-z_.]+:(.*)")  # a line of the training process's own log

ADAPTER = ("adapter_config.json", "adapter_model.safetensors")
"""The files of an adapter's folder that count; the card, curves and checks lie beside them."""


def training_step(stage: StageName, rows: tuple[str, str]) -> Step:
    """The step of a stage; rows: the step and the file that hold what it trains on."""
    step, file = rows
    return Step(
        name=stage,
        build=_build,
        content=ADAPTER,
        reads={"download": ("base/*",), step: (file,)},
        reads_also=lambda settings: _adapter_to_continue(stage, settings),
        settings=("training", stage),
        consults=("release.name",),  # its models are unloaded while the stage trains
        runs=lambda settings: stage not in settings.stages.skip,
        version=STAGE_VERSION,
        resumes=True,
        disk_of_base=0.15,  # a 7B stage with three checkpoints takes 2 of 15 GB
        report=f"{stage}: loss over the optimizer steps",
    )


def _adapter_to_continue(stage: StageName, settings: Settings) -> Reads:
    """The newest earlier stage that ran; without one, the stage starts from the base model."""
    earlier = [other for other in settings.trained_stages if other < stage]
    return {earlier[-1]: ADAPTER} if earlier else {}


def _build(job: Job) -> dict[str, Any]:
    from tasks.core.chain.adoption import figures
    from tasks.core.processes.child import run_kospilot_program
    from tasks.core.serving.servers import free_card

    folders = {name: job.folder(name) for name in job.reads}
    spec = training_spec(job.settings, job.step, folders, job.out)
    # The file lies beside the adapter's folder, which shall hold no path of this machine.
    spec_file = job.out.with_suffix(".json")
    write_json(spec_file, asdict(spec))
    command = [sys.executable, "-m", "tasks.core.training", str(spec_file)]
    # One training at a time on a machine, inside Prefect or out of it.
    with job.store.locked("accelerator", "is taken by another run's training"):
        free_card(job.settings.release.name)
        run_kospilot_program(command, lambda line: relay(line, job.progress))
    spec_file.unlink()
    return figures(job.out)


def relay(line: str, progress: Progress) -> None:
    """Turns a telemetry line of the training process into progress, and passes on its log.

    Other lines are the libraries'; they are in the error if the process fails.
    """
    logged = _LOGGED.match(line)
    if logged:
        log.log(logging.getLevelNamesMapping()[logged[1]], "%s", logged[2])
        return
    try:
        telemetry = json.loads(line)
    except ValueError:
        return
    if not isinstance(telemetry, dict) or not {"loss", "eta_s"} <= telemetry.keys():
        return  # a library's own JSON
    parts = [
        f"step {telemetry['step']}/{telemetry['steps']}",
        f"loss {telemetry['loss']:.3f}",
        f"{telemetry['tokens_per_s']:.0f} tokens/s",
        f"{telemetry['memory_gib']:.1f} GiB",
        f"{telemetry['eta_s']:.0f} s left",
    ]
    progress(telemetry["step"] / telemetry["steps"], ", ".join(parts))
