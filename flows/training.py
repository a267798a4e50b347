"""stage1 → stage2 → stage3, on data that is there.

If some rejected answers are to be the Stage 2 model's own, it is asked and the pairs are made in
between.
"""

from prefect import flow

from flows.chain import WITH_REJECTS, carry_out, run_of
from flows.parameters import NONE, Force, Overrides, Profile
from tasks.core.settings.tree import STAGES


@flow
def train(profile: Profile = "demo", overrides: Overrides = NONE, force: Force = NONE) -> None:
    """The three stages, each in a process of its own; the data must be there."""
    run = run_of(profile, overrides, force)
    between = WITH_REJECTS if "rejects" in run.steps else ()
    carry_out(run, [*STAGES, *between])
