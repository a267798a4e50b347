"""Has the market changed? Then the chain runs from there, and skips all else.

The folder is looked at again at the end: what came while the run was at work is not left to the
next one.
"""

import logging
from pathlib import Path

from prefect import flow
from prefect.client.schemas.objects import State
from prefect.states import Completed

from flows.chain import begin, carry_out, new_run
from flows.parameters import NONE, Force, Overrides, Profile
from tasks.core.chain.run import Run
from tasks.core.errors import RequestError, WorkError
from tasks.core.market.changes import tell_changes
from tasks.core.market.demo import ensure_demo_market
from tasks.core.market.fetch import fetch_new_days
from tasks.core.market.news import (
    await_quiet,
    followed_folder,
    follower_of,
    market_state,
    note_looked_at,
)
from tasks.core.preflight.prepare import releases
from tasks.core.records.artifacts import no_progress
from tasks.core.settings.home import kospilot_home
from tasks.core.settings.profiles import Resolved, load

log = logging.getLogger("tasks.chain")

_MOST_ROUNDS = 3  # of one run; a folder that changes all the time starts another run


@flow
def refresh(
    profile: Profile = "demo", overrides: Overrides = NONE, force: Force = NONE
) -> State[None]:
    """The chain again, because the market may have new days."""
    begin()
    resolved = load(profile, overrides)
    home = kospilot_home()
    folder = followed_folder(resolved, home)
    if resolved.settings.market.dir == "demo":
        ensure_demo_market(folder)
    fetch_new_days(resolved.settings.market, folder, no_progress)
    told = []
    for _ in range(_MOST_ROUNDS):
        await_quiet(folder, log.info)
        state = market_state(folder)
        note_looked_at(home, follower_of(resolved, folder), state)
        told.append(_look(resolved, force, folder, state))
        if market_state(folder) == state:
            break
        log.info("%s changed while this run was at work: looking again", folder)
        force = NONE
    named = " ".join([profile, *resolved.overrides])
    return Completed(message=f"{named}; market: {', then '.join(told)}")


def _look(resolved: Resolved, force: Force, folder: Path, state: str) -> str:
    """Carries out one round, and returns what it found changed.

    An error is passed over if the folder changed meanwhile: that may be its reason.
    """
    try:
        run = new_run(resolved.profile, resolved.overrides, force)
        changes = _changes(run, folder)
        log.info("refreshing %s; market: %s", resolved.profile, changes)
        for part in releases(run):
            carry_out(part)
    except (RequestError, WorkError) as error:
        if market_state(folder) == state:
            raise
        log.warning("%s", error)
        return "changed while it was read"
    return changes


def _changes(run: Run, folder: Path) -> str:
    """Which days are new or revised since this profile's market was made last."""
    [line] = [line for line in run.plan(["market"]) if line.step == "market"]
    if line.action == "skip":
        return "unchanged"
    recipe = run.recipe("market", {})
    before = run.store.before(recipe, run.history)
    if before is None:
        return line.reason
    artifact = run.store.path("market", before.key)
    try:
        return tell_changes(artifact, folder, run.settings.market)
    except OSError:  # the earlier artifact is damaged
        return line.reason
