"""The data of every stage: download → normalize, market → synthesize → pairs."""

from prefect import flow

from flows.chain import NONE, carry_out, run_of

STEPS = ("download", "normalize", "market", "synthesize", "pairs")


@flow
def data(profile: str = "demo", overrides: list[str] = NONE, force: list[str] = NONE) -> None:
    """Base model, Stage 1 rows, market days, synthetic rows and preference pairs. Trains nothing.

    Args:
        profile: The profile's name, e.g. demo or kospi-7b.
        overrides: Settings as section.name=value.
        force: Steps to make again even if nothing changed.
    """
    carry_out(run_of(profile, overrides, force), STEPS)
