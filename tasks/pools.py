"""Steps that work in another pool than their run: training on a GPU's machine, say.

`kospilot deploy` puts the deployment step/gpu on a server that has a pool for GPUs. A run of
another pool starts it once for each step that wants one, waits, and finds the artifact in the
store, which all machines share. On other servers, and in a terminal, every step works in its run's
own process.
"""

import contextlib
import logging
import re
import time
from collections.abc import Mapping
from dataclasses import asdict
from uuid import UUID

import httpx
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.objects import FlowRun, State, WorkerStatus
from prefect.client.schemas.responses import DeploymentResponse
from prefect.context import FlowRunContext
from prefect.deployments import run_deployment
from prefect.exceptions import ObjectNotFound, Pause
from prefect.states import Cancelling

from tasks.core.chain.run import Run
from tasks.core.chain.status import write_status
from tasks.core.chain.step import Step
from tasks.core.errors import WorkError
from tasks.core.preflight.sent import Sent
from tasks.core.records.artifacts import Ref
from tasks.pausing import PauseWatch
from tasks.reaching import await_server

log = logging.getLogger(__name__)

STEP_FLOW = "step"
"""The flow that does one step of another run; its deployments are called as the pools that it is
for (flows/pipeline.py, prefect.yaml).
"""

_PREFECTS_WORDS = re.compile(r"^Flow run encountered an exception: (\w+: )?")
_MOST_DEATHS = 3  # a step that itself kills its machine is not tried for ever
_SOON_S = 3600.0  # of work; a machine that worked for longer died of something else
_LOOK_EVERY_S = 2.0


class FailedElsewhere(WorkError):
    """A step failed in its pool, where it was tried as often as it should be."""


def pool_elsewhere(step: Step) -> DeploymentResponse | None:
    """The deployment that does the step in a pool of its own; None if it works in this process."""
    flow_run = _this_run()
    if flow_run is None or flow_run.deployment_id is None or _is_sent():
        return None
    if (flow_run.work_pool_name or "").endswith(f"-{step.pool}"):
        return None
    await_server()
    with get_client(sync_client=True) as client:
        try:
            return client.read_deployment_by_name(f"{STEP_FLOW}/{step.pool}")
        except ObjectNotFound:
            return None


def make_elsewhere(
    run: Run, name: str, reads: Mapping[str, Ref], deployment: DeploymentResponse
) -> Ref:
    """Lets the step's pool make its artifact, and returns the reference to it.

    If the machine dies under it, another one of the pool goes on from the last checkpoint. Raises
    WorkError if the step fails there, or if its artifact is not to be seen here.
    """
    key = run.recipe(name, reads).key
    pool = deployment.work_pool_name
    deaths = 0  # in a row, each soon after the start
    while True:
        waiting = _Waiting(run, name, deployment)
        state = waiting.await_end(_send(run, name, reads, deployment))
        if not state.is_crashed():
            break
        deaths = deaths + 1 if waiting.worked_s() < _SOON_S else 1
        told = f"{name}: its run in the pool {pool} died ({state.message})"
        if deaths == _MOST_DEATHS:
            raise FailedElsewhere(f"{told}, {deaths} times in a row.")
        log.warning("%s; another one goes on from what it left", told)
    if not state.is_completed():
        why = _PREFECTS_WORDS.sub("", state.message or "")
        raise FailedElsewhere(f"{name} ended as {state.name} in the pool {pool}: {why}")
    return _found(run, name, key, deployment)


def _found(run: Run, name: str, key: str, deployment: DeploymentResponse) -> Ref:
    problem = run.store.problem(name, key)
    if problem:
        raise FailedElsewhere(
            f"The pool {deployment.work_pool_name} made {name} {key}, and on this machine it is"
            f" {problem}: {run.store.path(name, key)}. KOSPILOT_HOME must be one folder that all"
            " workers share."
        )
    return run.store.known(name, key).ref


def _send(run: Run, name: str, reads: Mapping[str, Ref], deployment: DeploymentResponse) -> FlowRun:
    """Starts the flow `step` of flows/pipeline.py, as a part of this run."""
    sent = Sent.of(run, name, reads)
    here = _this_run()
    assert here is not None
    await_server()
    with get_client(sync_client=True) as client:
        whole = client.read_flow_run(here.id).name  # it was renamed after it had begun
    started = run_deployment(
        deployment.id,
        parameters={"sent": asdict(sent)},
        flow_run_name=f"{name} of {whole}",
        tags=[run.resolved.name],
        timeout=0,
    )
    assert isinstance(started, FlowRun)  # it would be a coroutine in an asynchronous flow
    return started


class _Waiting:
    """Waits for one run in another pool, and tells what it waits for."""

    def __init__(self, run: Run, name: str, deployment: DeploymentResponse):
        self._run = run
        self._name = name
        self._pool = deployment.work_pool_name or ""
        self._pause = PauseWatch()
        self._told = ""
        self._began: float | None = None  # by our clock; None as long as it only waits

    def worked_s(self) -> float:
        """For how long the run has been seen at work; its wait for a worker does not count."""
        return 0.0 if self._began is None else time.monotonic() - self._began

    def await_end(self, sent: FlowRun) -> State:
        """Returns the state in which the run ended.

        A server that is away is asked again. If our own run is paused, the other one is ended.
        """
        while True:
            with contextlib.suppress(httpx.HTTPError), get_client(sync_client=True) as client:
                state = self._look(client, sent.id)
                if state.is_final():
                    return state
                self._end_if_paused(client, sent.id)
            time.sleep(_LOOK_EVERY_S)

    def _end_if_paused(self, client: SyncPrefectClient, identity: UUID) -> None:
        try:
            self._pause.stop_if_paused()
        except Pause:
            client.set_flow_run_state(identity, Cancelling(message="The run is paused."))
            raise

    def _look(self, client: SyncPrefectClient, identity: UUID) -> State:
        state = client.read_flow_run(identity).state
        assert state is not None  # every run that was created has one
        if state.is_running():
            if self._began is None:
                self._began = time.monotonic()
            self._tell(f"works in the pool {self._pool}", in_status=False)
        elif state.is_scheduled():
            self._tell(state.message or self._whom_it_waits_for(client), in_status=True)
        return state

    def _whom_it_waits_for(self, client: SyncPrefectClient) -> str:
        workers = client.read_workers_for_work_pool(self._pool)
        if any(worker.status == WorkerStatus.ONLINE for worker in workers):
            return f"waits for a worker of the pool {self._pool}"
        pool = self._pool.rpartition("-")[2]
        return (
            f"waits for a worker of the pool {self._pool}, and none is at work:"
            f" `kospilot worker --pool {pool}` on a machine of that kind starts one"
        )

    def _tell(self, text: str, in_status: bool) -> None:
        """Says it once. The status of a step at work is told where it works."""
        if text == self._told:
            return
        self._told = text
        log.info("%s: %s", self._name, text)
        if in_status:
            write_status(self._run.home, self._name, 0.0, text)


def _is_sent() -> bool:
    """Whether this run does one step of another one, in whatever pool that is."""
    context = FlowRunContext.get()
    return context is not None and context.flow is not None and context.flow.name == STEP_FLOW


def _this_run() -> FlowRun | None:
    context = FlowRunContext.get()
    return context.flow_run if context else None
