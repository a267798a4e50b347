"""What a run tells Prefect's server so that others are told: deployments/notices.py posts it."""

from typing import Any

from prefect.events import emit_event

RELEASE_REFUSED = "kospilot.release.refused"
"""The event of a release that did not get its name; its payload has a `text`."""


def tell_refused(promotion: dict[str, Any]) -> None:
    """Emits the event, if the release was weighed and found wanting.

    promotion: the metrics of the step `promote`.
    """
    if promotion["promoted"] is not False:
        return
    text = f"{promotion['tag']} is not promoted: {'; '.join(promotion['reasons'])}."
    resource = {"prefect.resource.id": f"kospilot.release.{promotion['name']}"}
    emit_event(RELEASE_REFUSED, resource, payload={"text": text})
