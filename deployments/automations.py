"""What a kospilot server does by itself: it marks runs whose process died, and refreshes.

An automation that is there stays as it is, disabled or changed, but for the folder of the market
whose news it waits for. Runs beat every 30 s (flows/server_settings.py).
"""

from datetime import timedelta
from pathlib import Path
from typing import Any

from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.objects import StateType
from prefect.events.actions import ChangeFlowRunState, RunDeployment
from prefect.events.schemas.automations import (
    Automation,
    AutomationCore,
    EventTrigger,
    Posture,
)
from prefect.events.schemas.events import ResourceSpecification

from flows.watch import AUTOMATION
from tasks.core.market.news import FOLDER_LABEL, MARKET_UPDATED, followed_folder
from tasks.core.settings.home import kospilot_home
from tasks.core.settings.profiles import load

SILENT_RUNS = "crash-silent-runs"


def create_automations(client: SyncPrefectClient, refreshed: dict[str, Any], reset: bool) -> None:
    """Creates what is not there; with `reset`, all of it anew.

    refreshed: the profile and overrides of the refresh that a changed market starts.
    """
    resolved = load(refreshed["profile"], refreshed["overrides"])
    folder = followed_folder(resolved, kospilot_home())
    for wanted in (_crash_silent_runs(), _refresh_market(client, folder)):
        known = client.read_automations_by_name(wanted.name)
        if known and not reset:
            _follow(client, known[0], wanted)
            continue
        for old in known:
            client.delete_automation(old.id)
        client.create_automation(wanted)


def _follow(client: SyncPrefectClient, known: Automation, wanted: AutomationCore) -> None:
    """Lets the market's automation wait for the news of the folder that is followed now."""
    old, new = known.trigger, wanted.trigger
    if known.name == AUTOMATION and isinstance(old, EventTrigger) and isinstance(new, EventTrigger):
        trigger = old.model_copy(update={"match": new.match})
        fields = known.model_dump(exclude={"id", "trigger", "owner_resource"})
        client.update_automation(known.id, AutomationCore(**fields, trigger=trigger))


def _crash_silent_runs() -> AutomationCore:
    trigger = EventTrigger(
        after={"prefect.flow-run.heartbeat"},
        expect={"prefect.flow-run.*"},
        match=ResourceSpecification({"prefect.resource.id": ["prefect.flow-run.*"]}),
        for_each={"prefect.resource.id"},
        posture=Posture.Proactive,
        threshold=1,
        within=timedelta(seconds=120),
    )
    action = ChangeFlowRunState(
        name=None,
        state=StateType.CRASHED,
        message="No heartbeat for 2 minutes: its process or machine died. Retry resumes it.",
        force=False,
    )
    told = "Marks a run as Crashed when it has given no sign of life for two minutes."
    return AutomationCore(name=SILENT_RUNS, description=told, trigger=trigger, actions=[action])


def _refresh_market(client: SyncPrefectClient, folder: Path) -> AutomationCore:
    """Every event starts a run, which finds nothing to do if an earlier one has seen the change.

    To wait for the next event instead, Prefect would drop the later ones.
    """
    refresh = client.read_deployment_by_name("refresh/refresh")
    trigger = EventTrigger(
        match=ResourceSpecification(
            {"prefect.resource.id": "kospilot.market.*", FOLDER_LABEL: str(folder)}
        ),
        expect={MARKET_UPDATED},
        posture=Posture.Reactive,
        threshold=1,
        within=timedelta(0),
    )
    action = RunDeployment(
        source="selected", deployment_id=refresh.id, parameters=None, job_variables=None
    )
    told = (
        "Starts refresh when its market folder has changed. While this is disabled, serve starts"
        " none either."
    )
    return AutomationCore(name=AUTOMATION, description=told, trigger=trigger, actions=[action])
