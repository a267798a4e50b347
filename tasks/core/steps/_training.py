"""How the three training stages are made: each trains in a process of its own."""

import json
import logging
import re
import sys
from dataclasses import asdict
from typing import Any

from tasks.core.chain.step import Job, Reads
from tasks.core.files.json_files import write_json
from tasks.core.processes.host import accelerator
from tasks.core.records.artifacts import Progress
from tasks.core.settings.tree import STAGES, Settings, StageName
from tasks.core.steps._contents import ADAPTER
from tasks.core.training.spec import StageInputs, StageSettings, rows_file, training_spec

log = logging.getLogger(__name__)

_LOGGED = re.compile(r"([A-Z]+):tasks\.[a-z_.]+:(.*)")  # a line of the training process's own log


def earlier_adapter(stage: StageName, settings: Settings) -> Reads:
    """Returns the adapter that a stage continues: that of the newest earlier stage that runs.

    Without one, the stage starts from the base model.
    """
    earlier = [other for other in settings.trained_stages if other < stage]
    return {earlier[-1]: ADAPTER} if earlier else {}


def train(job: Job) -> dict[str, Any]:
    """Trains the job's stage in a process of its own, and returns its metrics and checks."""
    from tasks.core.processes.child import run_kospilot_program
    from tasks.core.serving.servers import free_card
    from tasks.core.training.finished import figures

    settings = StageSettings(job.settings.training, getattr(job.settings, job.step))
    spec = training_spec(job.step, settings, _inputs(job), job.out)
    # The file lies beside the adapter's folder, which shall hold no path of this machine.
    spec_file = job.out.with_suffix(".json")
    write_json(spec_file, asdict(spec))
    command = [sys.executable, "-m", "tasks.core.training", str(spec_file)]
    # One training at a time on a machine, inside Prefect or out of it.
    with job.locked(accelerator(), "is taken by another run's training"):
        free_card(job.settings.release.name)
        run_kospilot_program(command, lambda line: relay(line, job.progress))
    spec_file.unlink()
    return figures(job.out)


def _inputs(job: Job) -> StageInputs:
    rows = rows_file(job.reads)
    start = None
    for step in STAGES:
        if step in job.reads:
            start = job.folder(step)
    return StageInputs(
        base=job.folder("download") / "base",
        rows=job.folder(rows.step) / rows.name,
        start=start,
    )


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
        _time_left(telemetry["eta_s"]),
    ]
    progress(telemetry["step"] / telemetry["steps"], ", ".join(parts))


def _time_left(seconds: float) -> str:
    """Seconds as people read them: 149 s left, 12 min left, 3 h 25 min left."""
    if seconds < 600:
        return f"{seconds:.0f} s left"
    hours, minutes = divmod(round(seconds / 60), 60)
    return f"{hours} h {minutes:02d} min left" if hours else f"{minutes} min left"
