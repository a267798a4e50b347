"""What every flow takes: a profile, settings that differ from it, and steps to make again.

Prefect's form offers profiles and steps as choices, and its server refuses any other.
"""

from typing import Annotated

from pydantic import Field, JsonValue

from tasks.core.settings.profiles import profile_names
from tasks.core.steps import CHAIN

NONE: list[str] = []
"""The default of a flow's overrides and of the steps it forces. Nobody changes it."""

_PROFILES: list[JsonValue] = [*profile_names()]
_STEPS: list[JsonValue] = [step.name for step in CHAIN]

Profile = Annotated[str, Field(json_schema_extra={"enum": _PROFILES})]
Overrides = list[str]
Force = list[Annotated[str, Field(json_schema_extra={"enum": _STEPS})]]

DESCRIPTIONS = {
    "profile": "The run takes its settings from this profile.",
    "overrides": (
        "Settings that differ from the profile's, each as section.name=value:"
        " stage2.learning_rate=1e-4, evaluation.questions=40 or market.dir=/srv/market_daily."
    ),
    "force": "These steps are made again even if nothing that they are made from has changed.",
}
"""What the form says of each."""
