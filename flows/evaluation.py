"""evaluate and promote: how good the released model is, and whether its users get it."""

from prefect import flow

from flows.chain import carry_out, run_of
from flows.parameters import NONE, Force, Overrides, Profile


@flow
def evaluate(profile: Profile = "demo", overrides: Overrides = NONE, force: Force = NONE) -> None:
    """Asks the frozen questions to the release and to the base model, which is quantized for it if
    needed.
    """
    carry_out(run_of(profile, overrides, force), ["baseline", "evaluate"])


@flow
def promote(profile: Profile = "demo", overrides: Overrides = NONE, force: Force = NONE) -> None:
    """Moves the model's name to the new release unless it answers worse."""
    carry_out(run_of(profile, overrides, force), ["promote"])
