"""Tells a webhook how runs end: automations that post {"text": ...}, as Slack's webhooks take it.

The server posts, beside the runs: a call that fails is in its log and in the automation's events,
without the address, and no run waits for it. notify.url itself is kept in a block of Prefect's,
encrypted with a key that lies in the same database, and in no deployment's parameters. An
automation that its operator disabled stays disabled.
"""

from datetime import timedelta
from uuid import UUID

from prefect.blocks.webhook import Webhook
from prefect.client.orchestration import SyncPrefectClient
from prefect.events.actions import CallWebhook
from prefect.events.schemas.automations import AutomationCore, EventTrigger, Posture
from prefect.events.schemas.events import ResourceSpecification
from prefect.exceptions import ObjectNotFound
from prefect.types import SecretDict
from pydantic import SecretStr

from flows.notices import RELEASE_REFUSED

BLOCK = "kospilot-notify"
NAMES = ("notify-failed", "notify-refused", "notify-refreshed")

_Labels = dict[str, str | list[str]]

_RUN: _Labels = {"prefect.resource.id": "prefect.flow-run.*"}
_ENDED = (
    '{"text": {{ (flow_run.name ~ ": " ~ event.payload.validated_state.name ~ ". "'
    ' ~ (event.payload.validated_state.message or "")[:2000] ~ " " ~ (flow_run | ui_url))'
    " | tojson }}}"
)
_REFUSED = '{"text": {{ event.payload.text | tojson }}}'


def write_notices(client: SyncPrefectClient, url: str, flows: list[str], reset: bool) -> None:
    """Creates the automations that are not there, or removes all of them if there is no address.

    flows: the names of kospilot's flows; a server may have others' runs too. reset: all of them
    are created anew.
    """
    known = {}
    for name in NAMES:
        for automation in client.read_automations_by_name(name):
            known[name] = automation
    if reset or not url:
        for automation in known.values():
            client.delete_automation(automation.id)
        known = {}
    if not url:
        _remove_block(client)
        return
    headers = SecretDict({"Content-Type": "application/json"})
    webhook = Webhook(method="POST", url=SecretStr(url), headers=headers)
    block = webhook.save(BLOCK, overwrite=True)
    assert isinstance(block, UUID)  # it would be a coroutine in an asynchronous program
    action = CallWebhook(block_document_id=block, payload="")
    for wanted in (_failed(flows, action), _refused(action), _refreshed(action)):
        if wanted.name not in known:
            client.create_automation(wanted)


def _remove_block(client: SyncPrefectClient) -> None:
    try:
        block = client.read_block_document_by_name(BLOCK, "webhook")
    except ObjectNotFound:
        return
    assert block.id is not None
    client.delete_block_document(block.id)


def _failed(flows: list[str], action: CallWebhook) -> AutomationCore:
    trigger = _whenever({"prefect.flow-run.Failed", "prefect.flow-run.Crashed"}, _RUN, flows)
    told = "Tells notify.url that a run failed or crashed, and why."
    return _automation("notify-failed", told, trigger, action, _ENDED)


def _refused(action: CallWebhook) -> AutomationCore:
    trigger = _whenever({RELEASE_REFUSED}, {"prefect.resource.id": "kospilot.release.*"})
    told = "Tells notify.url that a release did not get its name, and why."
    return _automation("notify-refused", told, trigger, action, _REFUSED)


def _refreshed(action: CallWebhook) -> AutomationCore:
    trigger = _whenever({"prefect.flow-run.Completed"}, _RUN, ["refresh"])
    told = "Tells notify.url that a refresh has finished, and what it found changed."
    return _automation("notify-refreshed", told, trigger, action, _ENDED)


def _whenever(events: set[str], resource: _Labels, flows: list[str] | None = None) -> EventTrigger:
    related: _Labels = {}
    if flows:
        related = {"prefect.resource.role": "flow", "prefect.resource.name": flows}
    return EventTrigger(
        expect=events,
        match=ResourceSpecification(resource),
        match_related=ResourceSpecification(related),
        posture=Posture.Reactive,
        threshold=1,
        within=timedelta(0),
    )


def _automation(
    name: str, told: str, trigger: EventTrigger, action: CallWebhook, payload: str
) -> AutomationCore:
    posts = action.model_copy(update={"payload": payload})
    return AutomationCore(name=name, description=told, trigger=trigger, actions=[posts])
