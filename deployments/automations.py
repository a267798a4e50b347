"""The automation every kospilot server should have: a run whose process died silently is marked Crashed.

Run as `python -m deployments.automations` with PREFECT_API_URL set. Runs beat every 30 s (flows/server.py).
"""

from datetime import timedelta

from prefect.automations import Automation
from prefect.client.schemas.objects import StateType
from prefect.events.actions import ChangeFlowRunState
from prefect.events.schemas.automations import EventTrigger, Posture
from prefect.events.schemas.events import ResourceSpecification
from prefect.exceptions import ObjectNotFound

NAME = "crash-silent-runs"


def create() -> None:
    """Creates the automation unless it is there."""
    try:
        Automation.read(name=NAME)
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
    message = "No heartbeat for 2 minutes: its process or machine died. Retry resumes it."
    Automation(
        name=NAME, trigger=trigger, actions=[ChangeFlowRunState(state=StateType.CRASHED, message=message)]
    ).create()


if __name__ == "__main__":
    create()
