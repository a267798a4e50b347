"""The whole chain: download → normalize → market → synthesize → pairs → stage1 → stage2 → stage3 →
release.
"""

from prefect import flow

from flows.chain import carry_out, run_of
from flows.parameters import NONE, Force, Overrides, Profile
from tasks.core.preflight.prepare import releases


@flow
def full(profile: Profile = "demo", overrides: Overrides = NONE, force: Force = NONE) -> None:
    """Everything from the data to the promoted model. What is there and intact is skipped."""
    for run in releases(run_of(profile, overrides, force)):
        carry_out(run)


@flow
def part(profile: str, overrides: list[str], force: list[str], steps: list[str]) -> None:
    """Some steps of the chain, for the command's --only and --until."""
    carry_out(run_of(profile, overrides, force), steps)
