"""Has the market parquet changed? Then the chain runs from there, and skips all else."""

import logging

from prefect import flow
from prefect.client.schemas.objects import State
from prefect.states import Completed

from flows.chain import NONE, carry_out, new_run
from tasks.core.preflight.prepare import releases

log = logging.getLogger("tasks.chain")


@flow
def refresh(
    profile: str = "demo", overrides: list[str] = NONE, force: list[str] = NONE
) -> State[None]:
    """The chain again, because the market may have new days.

    Args:
        profile: The profile's name, e.g. demo or kospi-7b.
        overrides: Settings as section.name=value.
        force: Steps to make again even if nothing changed.
    """
    run = new_run(profile, overrides, force)
    market = next(line for line in run.plan(["market"]) if line.step == "market")
    whose = " ".join([profile, *overrides])
    log.info("refreshing %s; market: %s (%s)", whose, market.action, market.reason)
    for part in releases(run):
        carry_out(part)
    return Completed(message=f"{whose}; market: {market.reason}")
