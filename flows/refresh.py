"""Has the market parquet changed? Then the chain from there; what does not depend on it is skipped."""

import logging

from prefect import flow
from prefect.states import Completed, State

from flows.chain import carry_out
from tasks.core.chain.run import prepare

log = logging.getLogger("tasks.chain")


@flow
def refresh(profile: str = "demo", overrides: list[str] = (), force: list[str] = ()) -> State:
    """The chain again, because the market may have new days.

    Args:
        profile: The profile's name, e.g. demo or kospi-7b.
        overrides: Settings as section.name=value.
        force: Steps to make again even if nothing changed.
    """
    market = next(
        line
        for line in prepare(profile, overrides, force).plan(["market"])
        if line.step == "market"
    )
    of = " ".join([profile, *overrides])
    log.info("refreshing %s; market: %s (%s)", of, market.action, market.reason)
    carry_out(profile, overrides, force)
    return Completed(message=f"{of}; market: {market.reason}")
