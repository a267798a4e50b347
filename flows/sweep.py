"""Trials of a stage side by side on the Ray cluster that this process has joined.

Needs the extra `ray`. Each trial is a task, and Ray puts it where its options are met.
"""

from typing import Any

from prefect import flow
from prefect_ray import RayTaskRunner
from prefect_ray.context import remote_options

from tasks.core.training.spec import TrainingSpec
from tasks.trials import carry_out_trial


@flow(task_runner=RayTaskRunner)
def sweep(
    spec: TrainingSpec, trials: list[dict[str, Any]], release: str, options: dict[str, Any]
) -> list[dict[str, Any]]:
    """Returns the results of the trials, in their order.

    options: what each takes of a node, as Ray's options. Raises the error of the first that fails.
    """
    with remote_options(**options):
        futures = [carry_out_trial.submit(spec, trial, release) for trial in trials]
    return [future.result() for future in futures]
