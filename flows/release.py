"""merge, gguf, quantize and register, each alone: to retry one failed step of a release."""

from prefect import flow

from flows.chain import NONE, carry_out, run_of


@flow
def merge(profile: str = "demo", overrides: list[str] = NONE, force: list[str] = NONE) -> None:
    """Folds the released stage's adapter into the base model. Trains nothing: the adapter must be
    there.

    Args:
        profile: The profile's name, e.g. demo or kospi-7b.
        overrides: Settings as section.name=value.
        force: Steps to make again even if nothing changed.
    """
    carry_out(run_of(profile, overrides, force), ["merge"])


@flow
def gguf(profile: str = "demo", overrides: list[str] = NONE, force: list[str] = NONE) -> None:
    """Converts the merged model to F16 GGUF.

    Args:
        profile: The profile's name, e.g. demo or kospi-7b.
        overrides: Settings as section.name=value.
        force: Steps to make again even if nothing changed.
    """
    carry_out(run_of(profile, overrides, force), ["gguf"])


@flow
def quantize(profile: str = "demo", overrides: list[str] = NONE, force: list[str] = NONE) -> None:
    """Quantizes the GGUF, with its importance matrix if that is used; merged shards and F16 that
    were cleaned up are rebuilt first.

    Args:
        profile: The profile's name, e.g. demo or kospi-7b.
        overrides: Settings as section.name=value.
        force: Steps to make again even if nothing changed.
    """
    carry_out(run_of(profile, overrides, force), ["imatrix", "quantize", "also"])


@flow
def register(profile: str = "demo", overrides: list[str] = NONE, force: list[str] = NONE) -> None:
    """Puts the quantized model on the server and proves its prompt.

    Args:
        profile: The profile's name, e.g. demo or kospi-7b.
        overrides: Settings as section.name=value.
        force: Steps to make again even if nothing changed.
    """
    carry_out(run_of(profile, overrides, force), ["register"])
