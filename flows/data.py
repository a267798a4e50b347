"""The data of every stage: download → normalize, market → synthesize → pairs.

Pairs whose rejected answers are the Stage 2 model's own (pairs.model_reject_share) wait for that
model: `train` makes them.
"""

from prefect import flow

from flows.chain import WITH_REJECTS, carry_out, run_of
from flows.parameters import NONE, Force, Overrides, Profile

STEPS = ("download", "normalize", "market", "synthesize", "pairs")


@flow
def data(profile: Profile = "demo", overrides: Overrides = NONE, force: Force = NONE) -> None:
    """Base model, Stage 1 rows, market days, synthetic rows and preference pairs. Trains nothing.

    Pairs with the Stage 2 model's own answers are left to `train`.
    """
    run = run_of(profile, overrides, force)
    waiting = WITH_REJECTS if "rejects" in run.steps else ()
    carry_out(run, [step for step in STEPS if step not in waiting])
