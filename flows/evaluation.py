"""evaluate and promote: how good the released model is, and whether its users get it."""

from prefect import flow

from flows.chain import NONE, carry_out, run_of


@flow
def evaluate(profile: str = "demo", overrides: list[str] = NONE, force: list[str] = NONE) -> None:
    """Asks the frozen questions to the release and to the base model, which is quantized for it if
    needed.

    Args:
        profile: The profile's name, e.g. demo or kospi-7b.
        overrides: Settings as section.name=value.
        force: Steps to make again even if nothing changed.
    """
    carry_out(run_of(profile, overrides, force), ["baseline", "evaluate"])


@flow
def promote(profile: str = "demo", overrides: list[str] = NONE, force: list[str] = NONE) -> None:
    """Moves the model's name to the new release unless it answers worse.

    Args:
        profile: The profile's name, e.g. demo or kospi-7b.
        overrides: Settings as section.name=value.
        force: Steps to make again even if nothing changed.
    """
    carry_out(run_of(profile, overrides, force), ["promote"])
