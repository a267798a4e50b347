"""merge, gguf, quantize and register, each alone: to retry one failed step of a release."""

from prefect import flow

from flows.chain import carry_out, run_of
from flows.parameters import NONE, Force, Overrides, Profile


@flow
def merge(profile: Profile = "demo", overrides: Overrides = NONE, force: Force = NONE) -> None:
    """Folds the released stage's adapter into the base model. Trains nothing: the adapter must be
    there.
    """
    carry_out(run_of(profile, overrides, force), ["merge"])


@flow
def gguf(profile: Profile = "demo", overrides: Overrides = NONE, force: Force = NONE) -> None:
    """Converts the merged model to F16 GGUF."""
    carry_out(run_of(profile, overrides, force), ["gguf"])


@flow
def quantize(profile: Profile = "demo", overrides: Overrides = NONE, force: Force = NONE) -> None:
    """Quantizes the GGUF, with its importance matrix if that is used; merged shards and F16 that
    were cleaned up are rebuilt first.
    """
    carry_out(run_of(profile, overrides, force), ["imatrix", "quantize", "also"])


@flow
def register(profile: Profile = "demo", overrides: Overrides = NONE, force: Force = NONE) -> None:
    """Puts the quantized model on the server and proves its prompt."""
    carry_out(run_of(profile, overrides, force), ["register"])
