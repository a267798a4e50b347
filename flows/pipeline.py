"""The whole chain: download → normalize → market → synthesize → pairs → stage1 → stage2 → stage3 →
release.
"""

from typing import Any

from prefect import flow

from flows.chain import carry_out, carry_out_sent, run_of
from flows.parameters import NONE, Force, Overrides, Profile
from tasks.core.preflight.prepare import releases
from tasks.core.preflight.sent import read_sent


@flow
def full(profile: Profile = "demo", overrides: Overrides = NONE, force: Force = NONE) -> None:
    """Everything from the data to the promoted model. What is there and intact is skipped."""
    for run in releases(run_of(profile, overrides, force)):
        carry_out(run)


@flow
def part(profile: str, overrides: list[str], force: list[str], steps: list[str]) -> None:
    """Some steps of the chain, for the command's --only and --until."""
    carry_out(run_of(profile, overrides, force), steps)


@flow
def step(sent: dict[str, Any]) -> None:
    """One step of another machine's run, which started this and waits for it."""
    carry_out_sent(read_sent(sent))
