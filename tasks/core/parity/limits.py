"""How far each hop of a release may be from what was trained, and why so far and no further."""

from dataclasses import dataclass

from tasks.core.parity.figures import Figures
from tasks.core.parity.hop import F16, MERGED, QUANTIZED, SERVED

VERSION = 1
"""Raise it if a limit changes: models that passed the old ones are then proven again."""


@dataclass(frozen=True)
class Limits:
    """What a computed hop may differ from the reference at most."""

    kl_mean: float  # nats a token
    kl_high: float  # nats, the 99.9th percentile
    same_top: float  # share of tokens, at least
    nats: float  # how many more nats a token the right answers may cost


@dataclass(frozen=True)
class Blame:
    """What a breach of a hop usually comes from, and what helps."""

    between: str
    cause: str
    remedy: str


EXACT = Limits(kl_mean=2e-3, kl_high=0.1, same_top=0.98, nats=0.01)
"""For hops that only write the same values in another form."""

BY_TYPE = {
    "F16": EXACT,
    "Q8_0": Limits(kl_mean=0.01, kl_high=0.5, same_top=0.97, nats=0.02),
    "Q5_K_M": Limits(kl_mean=0.05, kl_high=2.5, same_top=0.93, nats=0.06),
    "Q4_K_M": Limits(kl_mean=0.15, kl_high=5.0, same_top=0.88, nats=0.15),
    "Q4_K_S": Limits(kl_mean=0.2, kl_high=6.0, same_top=0.85, nats=0.2),
    "Q3_K_M": Limits(kl_mean=0.5, kl_high=8.0, same_top=0.75, nats=0.5),
    "Q2_K": Limits(kl_mean=1.5, kl_high=12.0, same_top=0.5, nats=1.5),
}

SERVED_AGREEMENT = 0.2
"""Share of the quantized file's own replies that the served model's must begin with, on average.
It is the same file in another build of llama.cpp, whose last bits may part two replies anywhere;
wrong parameters or another prompt part them at once.
"""

BLAMES = {
    MERGED: Blame(
        "adapter → merged",
        "the adapter was merged into other base values than it was trained on, with a wrong scale,"
        " or not into every layer",
        "Look at base.json and adapter_config.json in the adapter's folder; they must be those that"
        " training wrote, and the base model must be the one that it trained on",
    ),
    F16: Blame(
        "merged → F16 GGUF",
        "llama.cpp's converter reads this model otherwise than transformers does (RoPE, a tied"
        " head, the tokenizer, the template), or the file is another model's",
        "Remove the gguf artifact to convert again; if it fails again, name a newer llama.cpp in"
        " KOSPILOT_LLAMA_CPP",
    ),
    QUANTIZED: Blame(
        "F16 GGUF → quantized",
        "this quantization costs the model too much, or the file is another model's",
        "Take one with more bits, e.g. release.quantization=Q8_0",
    ),
    SERVED: Blame(
        "quantized → served",
        "the server asks the model otherwise than it was trained: template, context or parameters",
        "Compare the Modelfile on the server with the training template, and release.num_ctx with"
        " the longest row",
    ),
}


def breaches(figures: Figures, reference: Figures, limits: Limits) -> list[str]:
    """Returns in what a computed hop breaks its limits, in words with units; nothing if it holds
    them.
    """
    assert figures.kl_mean and figures.same_top and figures.nats and reference.nats
    assert figures.kl_high is not None, "a computed hop has all of these"
    rise = figures.nats.value - reference.nats.value
    found = list(figures.faults)
    if figures.kl_mean.value > limits.kl_mean:
        found.append(_above("mean KL", figures.kl_mean.value, limits.kl_mean, "nats a token"))
    if figures.kl_high > limits.kl_high:
        found.append(_above("99.9 % KL", figures.kl_high, limits.kl_high, "nats"))
    if figures.same_top.value < limits.same_top:
        share, least = 100 * figures.same_top.value, 100 * limits.same_top
        found.append(f"same top token {share:.1f} % (at least {least:.0f} %)")
    if rise > limits.nats:
        found.append(_above("right answers cost more", rise, limits.nats, "nats a token"))
    return found


def refusal(hop: str, found: list[str]) -> str:
    """Returns the error of a hop that broke its limits."""
    blame = BLAMES[hop]
    return (
        f"This release is not the model that was trained. It parts from it at {hop}"
        f" ({blame.between}): {'; '.join(found)}. Likely {blame.cause}. {blame.remedy}. Nothing was"
        " registered, and whoever holds the name keeps it."
    )


def _above(figure: str, value: float, most: float, unit: str) -> str:
    return f"{figure} {value:.2g} {unit} (at most {most:g})"
