"""The data of every stage: download → normalize, market → synthesize → pairs.

Pairs whose rejected answers are the Stage 2 model's own (pairs.model_reject_share) wait for that
model: `train` makes them.
"""

from prefect import flow

from flows.chain import NONE, WITH_REJECTS, carry_out, run_of

STEPS = ("download", "normalize", "market", "synthesize", "pairs")


@flow
def data(profile: str = "demo", overrides: list[str] = NONE, force: list[str] = NONE) -> None:
    """Base model, Stage 1 rows, market days, synthetic rows and preference pairs. Trains nothing.

    Pairs with the Stage 2 model's own answers are left to `train`.

    Args:
        profile: The profile's name, e.g. demo or kospi-7b.
        overrides: Settings as section.name=value.
        force: Steps to make again even if nothing changed.
    """
    run = run_of(profile, overrides, force)
    waiting = WITH_REJECTS if "rejects" in run.steps else ()
    carry_out(run, [step for step in STEPS if step not in waiting])
