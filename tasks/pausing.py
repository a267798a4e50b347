"""A run that was paused in the UI: its process ends, and Resume goes on from what is finished.

Prefect lets a paused run's process go on until its task ends, which for a training takes hours;
Resume would start another beside it. And when the process has ended, its silence must not be taken
for its death.
"""

import logging
import time

from prefect.client.orchestration import get_client
from prefect.context import FlowRunContext
from prefect.events import emit_event
from prefect.exceptions import Pause

from tasks.reaching import Telling

log = logging.getLogger(__name__)

_PERIOD_S = 20.0  # between two looks: each is a request


class PauseWatch:
    """Looks, now and then while a step is at work, whether the run was paused."""

    def __init__(self, telling: Telling | None = None) -> None:
        self._looked = time.monotonic()
        self._telling = telling or Telling()

    def stop_if_paused(self) -> None:
        """Raises Prefect's Pause if so, by which the step and its process end.

        A server that is away is asked later.
        """
        context = FlowRunContext.get()
        if context is None or context.flow_run is None:
            return
        if time.monotonic() - self._looked < _PERIOD_S or not self._telling.is_worthwhile():
            return
        self._looked = time.monotonic()
        state = None
        with self._telling.passing(), get_client(sync_client=True) as client:
            state = client.read_flow_run(context.flow_run.id).state
        if state is not None and state.is_paused():
            raise Pause(state=state)


def tell_rest() -> None:
    """Tells Prefect that the paused run's process is about to end.

    The automation that waits for signs of life takes this one for the last (deployments/
    automations.py).
    """
    context = FlowRunContext.get()
    if context is None or context.flow_run is None:
        return
    log.info("The run is paused. What is finished is kept; Resume goes on from there.")
    resource = {"prefect.resource.id": f"prefect.flow-run.{context.flow_run.id}"}
    emit_event("prefect.flow-run.rests", resource)
