"""What a run is called in Prefect, and its tags: what it is of, why it runs, who started it."""

import re
from collections.abc import Sequence
from datetime import date

from prefect.client.orchestration import get_client
from prefect.client.schemas.objects import FlowRun
from prefect.context import FlowRunContext

from flows.server_api import HOST_LABEL
from tasks.core.chain.plan import Planned
from tasks.core.chain.run import Run
from tasks.core.processes.host import host_name

MARKET = "market"
"""The tag of a run that a changed market started."""

_MADE_UP = re.compile("[A-Za-z]+-[A-Za-z]+")  # as Prefect and its form name a run: nimble-otter
_LONGEST_WHY = 60  # characters; a list of runs shows no more


def name_run(run: Run, lines: Sequence[Planned]) -> None:
    """Names this flow's run after its profile or file, the day and what its plan makes first.

    A name that a person gave stays, and so does the name of a run that is tried again. A label says
    on which machine it works.
    """
    context = FlowRunContext.get()
    if context is None or context.flow_run is None or context.flow is None:
        return
    flow_run = context.flow_run
    tags = sorted({*flow_run.tags, run.resolved.name, _trigger(flow_run)})
    name = flow_run.name
    if _MADE_UP.fullmatch(name):
        today = date.today().isoformat()
        name = f"{context.flow.name} {run.history} {today} · {why_short(lines)}"
    with get_client(sync_client=True) as client:
        client.update_flow_run(flow_run.id, name=name, tags=tags)
    label_host()


def label_host() -> None:
    """Says on which machine this flow's run works."""
    context = FlowRunContext.get()
    if context is not None and context.flow_run is not None:
        with get_client(sync_client=True) as client:
            client.update_flow_run_labels(context.flow_run.id, {HOST_LABEL: host_name()})


def why_short(lines: Sequence[Planned]) -> str:
    """Why a run makes something, in a few words: the market, or the first step of its plan."""
    to_run = [line for line in lines if line.action == "run"]
    if not to_run:
        return "nothing changed"
    if any(line.step == "market" and line.reason.endswith("changed") for line in to_run):
        return "market changed"
    text = f"{to_run[0].step}: {to_run[0].reason.partition('; ')[0]}"
    return text if len(text) <= _LONGEST_WHY else f"{text[: _LONGEST_WHY - 1]}…"


def _trigger(flow_run: FlowRun) -> str:
    """Who started a run: a schedule, a changed market, a person in the UI or in a terminal."""
    if flow_run.auto_scheduled:
        return "schedule"
    if MARKET in flow_run.tags or _is_by_automation(flow_run):
        return MARKET
    return "ui" if flow_run.deployment_id else "terminal"


def _is_by_automation(flow_run: FlowRun) -> bool:
    return flow_run.created_by is not None and flow_run.created_by.type == "AUTOMATION"
