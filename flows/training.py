"""stage1 → stage2 → stage3, on data that is there.

If some rejected answers are to be the Stage 2 model's own, it is asked and the pairs are made in
between.
"""

from prefect import flow

from flows.chain import NONE, WITH_REJECTS, carry_out, run_of
from tasks.core.settings.tree import STAGES


@flow
def train(profile: str = "demo", overrides: list[str] = NONE, force: list[str] = NONE) -> None:
    """The three stages, each in a process of its own; the data must be there.

    Args:
        profile: The profile's name, e.g. demo or kospi-7b.
        overrides: Settings as section.name=value.
        force: Steps to make again even if nothing changed.
    """
    run = run_of(profile, overrides, force)
    between = WITH_REJECTS if "rejects" in run.steps else ()
    carry_out(run, [*STAGES, *between])
