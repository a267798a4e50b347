"""The steps of the chain as Prefect tasks, each under its step's name.

All tasks are made here, from what tasks/core/steps says of each step: a new step is a task at once.
"""

from typing import Any

from prefect import Task, task
from prefect.client.schemas.objects import State, TaskRun
from prefect.states import Completed

from tasks.artifacts import ArtifactPolicy, RefSerializer
from tasks.core.chain.produce import produce
from tasks.core.chain.run import Run
from tasks.core.chain.step import Step
from tasks.core.errors import RequestError
from tasks.core.records.artifacts import Ref
from tasks.core.steps import CHAIN
from tasks.pools import FailedElsewhere, make_elsewhere, pool_elsewhere
from tasks.shown import Progress

CACHED = "Cached"
"""The name of a task's state if the artifact was found: Prefect's own for a hit in its cache."""

StepTask = Task[[Run, dict[str, Ref]], Ref | State[Ref]]


def _task_of(step: Step) -> StepTask:
    """A task that finds or makes the step's artifact, in this process or in the step's pool, and
    returns the reference to it.
    """

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
    def find_or_make(run: Run, reads: dict[str, Ref]) -> Ref | State[Ref]:
        key = run.recipe(step.name, reads).key
        before = _made_at(run, step.name, key)
        pool = pool_elsewhere(step) if run.why(step.name, reads) else None
        ref = make_elsewhere(run, step.name, reads, pool) if pool else _make(run, step.name, reads)
        is_found = _made_at(run, step.name, key) == before
        return Completed(name=CACHED, data=ref) if is_found else ref

    return find_or_make


def _make(run: Run, name: str, reads: dict[str, Ref]) -> Ref:
    """Finds or makes the artifact in this process, and shows how far it is."""
    key = run.recipe(name, reads).key
    progress = Progress(run.home, name, run.store.staging_path(name, key))
    ref = produce(run, name, reads, progress)
    progress.end(run.store.path(name, key))
    return ref


def _made_at(run: Run, step: str, key: str) -> str | None:
    """When an artifact was made; None if there is none."""
    manifest = run.store.manifest(step, key)
    return str(manifest.made["finished"]) if manifest else None


def _may_succeed_later(task: Task[Any, Any], run: TaskRun, state: State[Any]) -> bool:
    """Trying a wrong request again would only delay its answer; a pool has tried already."""
    return not isinstance(state.data, RequestError | FailedElsewhere)


TASKS: dict[str, StepTask] = {step.name: _task_of(step) for step in CHAIN}
