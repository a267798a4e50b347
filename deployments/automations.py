"""What a kospilot server does by itself: it marks runs whose process died, and refreshes a profile.

Run as `python -m deployments.automations PROFILE [section.name=value ...]` with PREFECT_API_URL
set, once prefect.yaml is deployed. Runs beat every 30 s (flows/server.py).
"""

import asyncio
import sys
from datetime import timedelta

from prefect.automations import Automation
from prefect.client.orchestration import get_client
from prefect.client.schemas.actions import DeploymentUpdate
from prefect.client.schemas.objects import StateType
from prefect.events.actions import ChangeFlowRunState
from prefect.events.schemas.automations import EventTrigger, Posture
from prefect.events.schemas.events import ResourceSpecification
from prefect.exceptions import ObjectNotFound

NAME = "crash-silent-runs"


async def create_crash_automation() -> None:
    """Creates the automation that marks silent runs as crashed, unless it is there."""
    try:
        await Automation.aread(name=NAME)
        return
    except (ValueError, ObjectNotFound):  # Prefect's way of saying that there is none
        pass
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
    await Automation(name=NAME, trigger=trigger, actions=[action]).acreate()


def set_refresh_parameters(profile: str, overrides: list[str]) -> None:
    """Gives the scheduled and triggered refresh its profile and settings.

    Runs that were scheduled with others are scheduled anew.
    """
    parameters = {"profile": profile, "overrides": overrides, "force": []}
    with get_client(sync_client=True) as client:
        deployment = client.read_deployment_by_name("refresh/refresh")
        client.update_deployment(deployment.id, DeploymentUpdate(parameters=parameters))


if __name__ == "__main__":
    asyncio.run(create_crash_automation())
    set_refresh_parameters(sys.argv[1], sys.argv[2:])
