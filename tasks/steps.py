"""The steps of the chain as Prefect tasks, each under its step's name.

All tasks are made here, from what tasks/core/steps says of each step: a new step is a task at once.
"""

from typing import Any

from prefect import Task, task
from prefect.client.schemas.objects import State, TaskRun

from tasks.artifacts import ArtifactPolicy, Progress, RefSerializer
from tasks.core.chain.produce import produce
from tasks.core.chain.run import Run
from tasks.core.chain.step import Step
from tasks.core.errors import RequestError
from tasks.core.records.artifacts import Ref
from tasks.core.steps import CHAIN

StepTask = Task[[Run, dict[str, Ref]], Ref]


def _task_of(step: Step) -> StepTask:
    """A task that finds or makes the step's artifact, and returns the reference to it."""

    @task(
        name=step.name,
        task_run_name=step.name,
        retries=len(step.retries_after_s),
        retry_delay_seconds=list(step.retries_after_s),
        retry_condition_fn=_may_succeed_later,
        cache_policy=ArtifactPolicy(step=step.name),
        result_serializer=RefSerializer(),
        persist_result=True,
    )
    def find_or_make(run: Run, reads: dict[str, Ref]) -> Ref:
        return produce(run, step.name, reads, Progress(run.home, step.name))

    return find_or_make


def _may_succeed_later(task: Task[Any, Any], run: TaskRun, state: State[Any]) -> bool:
    """Trying a wrong request again would only delay its answer."""
    return not isinstance(state.data, RequestError)


TASKS: dict[str, StepTask] = {step.name: _task_of(step) for step in CHAIN}
